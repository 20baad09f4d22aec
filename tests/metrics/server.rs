//! The server of health and metrics: what it answers, and whom it does not wait for.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use detector::{
    metrics::{Board, Build, Status, health::PATIENCE},
    web::{Http, Settings, Web, WebError},
};

use super::{filled, request};

const LOOK: Duration = Duration::from_millis(50);

fn settings(metrics: bool) -> Settings {
    Settings {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        healthz: "/livez".to_owned(),
        metrics,
    }
}

pub(crate) fn start(board: &Board) -> (Web, SocketAddr) {
    let http = Http::bind(settings(true)).unwrap();
    let address = http.address();
    (Web::start(board, Some(http), None).unwrap(), address)
}

/// In which every subject is proven.
fn sound() -> Status {
    let mut status = filled::status();
    status.probes.faults.clear();
    for subject in &mut status.probes.subjects {
        subject.proven = true;
    }
    status
}

#[test]
fn health_is_that_of_the_last_status() {
    let board = Board::default();
    let (_web, address) = start(&board);
    let get = |path| request::get(address, path);
    for path in ["/healthz", "/livez", "/readyz", "/metrics"] {
        assert_eq!(get(path).status, 503, "{path} before the first status");
    }
    assert_eq!(get("/healthz").body, "the probes are not attached yet\n");

    board.post(filled::status());
    assert_eq!(get("/healthz").status, 200);
    assert_eq!(get("/livez").body, "ok\n");
    let unready = get("/readyz");
    assert_eq!(unready.status, 503);
    assert_eq!(
        unready.body,
        "the probes told nothing: no accept\nnot proven yet: accept\n"
    );

    let posted = Instant::now();
    board.post(sound());
    assert_eq!(
        (get("/readyz").status, get("/readyz").body),
        (200, "ok\n".to_owned())
    );
    // The pipeline stands still from here on.
    while get("/healthz").status == 200 {
        assert!(posted.elapsed() < PATIENCE * 2, "it is still healthy");
        std::thread::sleep(LOOK);
    }
    assert!(posted.elapsed() >= PATIENCE, "{:?}", posted.elapsed());
    let late = get("/healthz");
    assert_eq!(
        (late.status, late.body.as_str()),
        (503, "events were processed last 10 s ago\n")
    );
    assert_eq!(get("/readyz").status, 503);
    assert_eq!(
        get("/metrics").status,
        200,
        "what was counted is told still"
    );

    board.post(sound());
    assert_eq!(get("/healthz").status, 200, "it goes on");
}

#[test]
fn what_is_served_is_read_and_nothing_else_is_there() {
    let board = Board::default();
    board.post(filled::status());
    let (_web, address) = start(&board);
    let metrics = request::get(address, "/metrics");
    assert_eq!(metrics.status, 200);
    assert!(
        metrics
            .head
            .contains("content-type: text/plain; version=0.0.4"),
        "{}",
        metrics.head
    );
    let made = detector::metrics::prometheus::render(&filled::status()).unwrap();
    assert_eq!(metrics.body.as_bytes(), made);

    let version = request::get(address, "/version");
    assert!(version.head.contains("content-type: application/json"));
    let build: Build = serde_json::from_str(&version.body).unwrap();
    assert_eq!(build, Build::this());
    assert!(
        !build.version.is_empty() && build.target.contains("linux"),
        "{build:?}"
    );
    assert!(build.rustc.starts_with("1."), "{build:?}");

    for path in [
        "/",
        "/metrics/",
        "/healthz/x",
        "/versions",
        "//metrics",
        "/../metrics",
    ] {
        assert_eq!(request::get(address, path).status, 404, "{path}");
    }
    assert_eq!(request::get(address, "/metrics?x=y").status, 200);
    let head = request::send(address, "HEAD", "/metrics").unwrap();
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(
        head.head
            .contains(&format!("content-length: {}", made.len()))
    );
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let refusal = request::send(address, method, "/metrics").unwrap();
        assert_eq!(refusal.status, 405, "{method}");
        assert!(refusal.head.contains("allow: get, head"));
        assert_eq!(request::send(address, method, "/x").unwrap().status, 404);
    }
}

#[test]
fn metrics_can_be_left_out() {
    let board = Board::default();
    board.post(sound());
    let http = Http::bind(settings(false)).unwrap();
    let address = http.address();
    let _web = Web::start(&board, Some(http), None).unwrap();
    assert_eq!(request::get(address, "/metrics").status, 404);
    assert_eq!(request::get(address, "/healthz").status, 200);
}

#[test]
fn a_port_in_use_names_the_setting() {
    let http = Http::bind(settings(true)).unwrap();
    let address = http.address();
    let taken = Settings {
        address,
        ..settings(true)
    };
    let error = Http::bind(taken).unwrap_err();
    assert!(matches!(error, WebError::Listen { .. }));
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen on {address}: set another `webserver.listen_port` or \
             `webserver.listen_address`"
        )
    );
}

#[test]
fn slow_connections_stop_no_scrape() {
    let board = Board::default();
    board.post(filled::status());
    let (_web, address) = start(&board);
    let mut slow: Vec<TcpStream> = (0..200)
        .map(|number| {
            let mut stream = TcpStream::connect(address).unwrap();
            // Nothing at all, a part of a request, or one whose answer is not read.
            let begin: &[u8] = match number % 3 {
                0 => b"",
                1 => b"GET /metrics HTTP/1.1\r\nHost:",
                _ => b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\n",
            };
            stream.write_all(begin).unwrap();
            stream
        })
        .collect();
    let begin = Instant::now();
    for _ in 0..20 {
        assert_eq!(request::get(address, "/metrics").status, 200);
    }
    let took = begin.elapsed() / 20;
    println!("a scrape beside 200 slow connections takes {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    // Whoever sends nothing is let go in the end.
    let last = slow.iter_mut().rev().nth(1).unwrap();
    last.set_read_timeout(Some(Duration::from_secs(15)))
        .unwrap();
    let begin = Instant::now();
    let mut rest = Vec::new();
    let ended = last.read_to_end(&mut rest);
    let timed_out = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
    assert!(!ended.as_ref().is_err_and(timed_out), "{ended:?}");
    println!(
        "a connection without a whole request lasts {:?}",
        begin.elapsed()
    );
}

#[test]
fn a_head_without_an_end_is_refused() {
    let board = Board::default();
    board.post(filled::status());
    let (_web, address) = start(&board);
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(15)))
        .unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
    let header = format!("X: {}\r\n", "y".repeat(1000));
    // The other side may close amid it.
    let sent = (0..1000).try_for_each(|_| stream.write_all(header.as_bytes()));
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        sent.is_err() || read.is_err() || answer.starts_with("HTTP/1.1 431"),
        "{answer}"
    );
    assert_eq!(request::get(address, "/healthz").status, 200);
}
