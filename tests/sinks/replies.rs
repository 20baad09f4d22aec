//! What counts as delivered where a server's reply is no good, from a server that says what it is told.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
    thread,
};

use detector::sink::settings::SinkSettings;

use crate::{
    alerts::Alerts,
    delivery::{Delivery, settings},
};

const END: &str = "Connection: close\r\n\r\n";

/// Says each of `replies` to a request on a connection of its own, and hands on what it was asked. At an
/// address that other tests do not look for servers at.
pub(crate) fn scripted(replies: Vec<String>) -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, requests) = channel();
    thread::spawn(move || {
        for reply in replies {
            let mut asking = listener.incoming().map(Result::unwrap);
            let asked_by = |stream: TcpStream| Some((request(&stream)?, stream));
            let (request, mut stream) = asking.find_map(asked_by).unwrap();
            stream.write_all(reply.as_bytes()).unwrap();
            drop(stream);
            if asked.send(request).is_err() {
                return;
            }
        }
    });
    (address, requests)
}

/// Head and body; none of a connection that ends without.
fn request(stream: &TcpStream) -> Option<Vec<u8>> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some([head.into_bytes(), body].concat())
}

/// How often one alert is handed over until it counts as delivered.
fn times(sink: &str, replies: Vec<String>) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let alerts = Alerts::new(1);
    let (address, requests) = scripted(replies);
    let sinks: Vec<SinkSettings> = settings(&sink.replace("ADDRESS", &address.to_string()));
    let mut delivery = Delivery::start(&sinks, &folder.path().join("spool"), &alerts.host);
    delivery.write(&alerts.all);
    let stats = delivery.finish();
    assert_eq!((stats.delivered, stats.refused), (1, 0));
    let count = requests.try_iter().count();
    assert_eq!(stats.retried + 1, count as u64);
    count
}

fn ok(content: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: {content}\r\nContent-Length: {length}\r\n{END}{body}")
}

/// The server promises more than it says.
fn cut(content: &str, body: &str) -> String {
    let length = body.len() + 1000;
    format!("HTTP/1.1 200 OK\r\nContent-Type: {content}\r\nContent-Length: {length}\r\n{END}{body}")
}

#[test]
fn a_page_of_a_proxy_is_no_reply_of_a_collector() {
    let (protobuf, json) = ("application/x-protobuf", "application/json");
    let sink = "sinks: [{name: otlp, otlp: {url: 'http://ADDRESS/v1/logs'}}]";
    let replies = vec![
        ok("text/html; charset=utf-8", "<html>Sign in</html>"),
        ok(protobuf, "<html>Sign in</html>"),
        ok(json, "<html>Sign in</html>"),
        cut(json, "{}"),
        // All is well.
        ok(protobuf, ""),
    ];
    assert_eq!(times(sink, replies), 5);
}

#[test]
fn what_bulk_did_is_not_known_if_its_reply_breaks_off() {
    let sink = "sinks: [{name: es, elasticsearch: {url: 'http://ADDRESS'}}]";
    let (json, items) = (
        "application/json",
        r#"{"items":[{"create":{"status":201}}]}"#,
    );
    assert_eq!(times(sink, vec![cut(json, items), ok(json, items)]), 2);
}

/// So that the alert is not there twice.
#[test]
fn a_server_that_says_200_has_the_alert_even_if_its_reply_breaks_off() {
    let chunked = format!("HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n{END}ff\r\nwelc");
    for body in ["one", "array", "lines"] {
        let sink =
            format!("sinks: [{{name: http, http: {{url: 'http://ADDRESS/', body: {body}}}}}]");
        for reply in [cut("text/plain", "thanks"), chunked.clone()] {
            assert_eq!(times(&sink, vec![reply, ok("text/plain", "")]), 1);
        }
    }
}

/// Why one alert is refused, as its dead letter has it.
fn refused(sink: &str, reply: String) -> String {
    let folder = tempfile::tempdir().unwrap();
    let alerts = Alerts::new(1);
    let (address, _requests) = scripted(vec![reply]);
    let sinks = settings(&sink.replace("ADDRESS", &address.to_string()));
    let mut delivery = Delivery::start(&sinks, &folder.path().join("spool"), &alerts.host);
    delivery.write(&alerts.all);
    assert_eq!(delivery.finish().refused, 1);
    let dead = fs::read_to_string(folder.path().join("spool/dead/a.jsonl")).unwrap();
    let dead: serde_json::Value = serde_json::from_str(&dead).unwrap();
    dead["reason"].as_str().unwrap().to_owned()
}

/// As debug endpoints do; and at any length.
#[test]
fn a_server_that_says_back_what_it_was_asked_gives_no_secret_away() {
    let json = "application/json";
    let login = "user: ann, password: hunter2";
    let long = "x".repeat(5 << 20);
    let error = format!(r#"{{"reason": "Basic YW5uOmh1bnRlcjI= of ann:hunter2 {long}"}}"#);
    let item = format!(r#"{{"create": {{"status": 400, "error": {error}}}}}"#);
    let words = format!("Bearer hunter2 {long}");
    let partial = format!(r#"{{"rejectedLogRecords": "1", "errorMessage": "{words}"}}"#);
    let body = "Authorization: Bearer hunter2\r\nX-Key: a key\r\n";
    let length = body.len();
    for (sink, reply, expected) in [
        (
            "http: {url: 'http://ADDRESS/', bearer: hunter2, headers: {X-Key: a key}}".to_owned(),
            format!("HTTP/1.1 400 Bad\r\nContent-Length: {length}\r\n{END}{body}"),
            "HTTP 400: Authorization: Bearer ***  X-Key: ***",
        ),
        (
            format!("elasticsearch: {{url: 'http://ADDRESS', {login}}}"),
            ok(json, &format!(r#"{{"items": [{item}]}}"#)),
            "status 400: Basic *** of ann:*** xxx",
        ),
        (
            "otlp: {url: 'http://ADDRESS/', bearer: hunter2}".to_owned(),
            ok(json, &format!(r#"{{"partialSuccess": {partial}}}"#)),
            "1 of 1 were rejected: Bearer *** xxx",
        ),
    ] {
        let reason = refused(&format!("sinks: [{{name: a, {sink}}}]"), reply);
        assert!(reason.starts_with(expected), "{reason:.999}");
        assert!(reason.len() < 400, "{}", reason.len());
    }
}

/// What nobody asked for is not read: it may have no end.
#[test]
fn a_body_without_an_end_is_given_up() {
    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        request(&stream).unwrap();
        let length = 100 << 10;
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunk = format!("{head}{length:x}\r\n{}\r\n", "x".repeat(length));
        stream.write_all(chunk.as_bytes()).unwrap();
        // Until the other side has gone, which may be an error.
        matches!(stream.read(&mut [0]), Ok(0) | Err(_))
    });
    let folder = tempfile::tempdir().unwrap();
    let alerts = Alerts::new(1);
    let sinks = format!("sinks: [{{name: a, http: {{url: 'http://{address}/', timeout: 1h}}}}]");
    let mut delivery = Delivery::start(&settings(&sinks), folder.path(), &alerts.host);
    delivery.write(&alerts.all);
    delivery.wait(1);
    assert!(server.join().unwrap());
    let stats = delivery.finish();
    assert_eq!((stats.delivered, stats.retried), (1, 0));
}
