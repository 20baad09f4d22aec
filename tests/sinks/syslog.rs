//! Syslog over each of its ways to rsyslog.

use std::{
    io::Read as _,
    net::{TcpListener, UdpSocket},
    os::unix::net::UnixDatagram,
    time::Duration,
};

use detector::sink::{Format, kept::Kept, settings::SinkSettings};
use jiff::Timestamp;

use crate::{
    alerts::{ALERTS, Alerts},
    certificates::Certificates,
    delivery::{Delivery, documented},
    peers::{distant, free_port, wait_for_port, wait_until},
    rsyslog::{Message, Rsyslog, messages, received},
};

const LOCAL0: u8 = 16;

/// Alerts that are sent before the ones before them have arrived: a datagram that finds the server's
/// buffer full is gone, and nobody is told.
const DATAGRAMS: usize = 200;

fn tcp(port: u16) -> String {
    format!(r#"module(load="imptcp") input(type="imptcp" address="127.0.0.1" port="{port}")"#)
}

fn tls(port: u16, certificates: &Certificates) -> String {
    format!(
        r#"global(defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="{}"
            defaultNetstreamDriverCertFile="{}" defaultNetstreamDriverKeyFile="{}")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
input(type="imtcp" address="127.0.0.1" port="{port}")"#,
        certificates.ca.display(),
        certificates.server.display(),
        certificates.server_key.display(),
    )
}

/// RFC 5424's parts are what they should be, and the alert is what it was.
fn check(received: &[Message], alerts: &[Kept], bodies: &[Vec<u8>]) {
    assert_eq!(received.len(), alerts.len());
    for ((message, kept), body) in received.iter().zip(alerts).zip(bodies) {
        let severity = kept.priority as u8;
        assert_eq!(message.part("pri"), (LOCAL0 * 8 + severity).to_string());
        assert_eq!(message.part("host"), "node-1");
        assert_eq!(message.part("app"), "kubelet-detector");
        assert_eq!(message.part("id"), "alert");
        let rule = kept
            .rule
            .replace('\\', r"\\")
            .replace('"', r#"\""#)
            .replace(']', r"\]");
        let data = format!(
            r#"[alert@32473 uuid="{}" sequence="{}" rule="{rule}" priority="{}"]"#,
            kept.uuid(),
            kept.sequence,
            kept.priority
        );
        assert_eq!(message.part("data"), data);
        let micros = i64::try_from(kept.time_ns / 1000).unwrap();
        let time = Timestamp::from_microsecond(micros).unwrap();
        assert!(
            message
                .raw
                .starts_with(&format!("<{}>1 {time:.6} node-1 ", message.part("pri")))
        );
        let body = std::str::from_utf8(body).unwrap();
        assert!(
            message.raw.ends_with(&format!("{data} \u{feff}{body}")),
            "{}",
            message.raw
        );
        assert_eq!(message.part("message").trim_start_matches('\u{feff}'), body);
    }
}

#[test]
fn a_unix_socket_gets_every_alert() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("log");
    let input = format!(
        r#"module(load="imuxsock" sysSock.use="off")
input(type="imuxsock" socket="{}" rateLimit.interval="0" useSpecialParser="off" parseHostname="on")"#,
        socket.display()
    );
    let Some(_server) = Rsyslog::start(folder.path(), &input) else {
        return;
    };
    let alerts = Alerts::new(ALERTS);
    let sink = documented("syslog_unix", &[("/dev/log", socket.to_str().unwrap())]);
    let mut delivery = Delivery::start(&[sink], &folder.path().join("spool"), &alerts.host);
    delivery.write(&alerts.all);
    delivery.finish();
    check(
        &messages(folder.path(), ALERTS),
        &alerts.all,
        &alerts.bodies(Format::Json),
    );
}

#[test]
fn datagrams_arrive_at_a_server_that_keeps_up() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let input = format!(
        r#"module(load="imudp") input(type="imudp" address="127.0.0.1" port="{port}" rcvbufSize="4m")"#
    );
    let Some(mut server) = Rsyslog::start(folder.path(), &input) else {
        return;
    };
    let bound = format!("{:04X} ", port);
    server.server().wait_until("a port of UDP", |_| {
        let sockets = std::fs::read_to_string("/proc/net/udp").unwrap();
        sockets.contains(&format!(":{bound}")).then_some(())
    });
    let alerts = Alerts::new(ALERTS);
    let address = format!("127.0.0.1:{port}");
    let sink = documented("syslog_udp", &[("siem.example:514", &address)]);
    let mut delivery = Delivery::start(&[sink], &folder.path().join("spool"), &alerts.host);
    let mut arrived = received(folder.path());
    let mut sent = 0;
    for some in alerts.all.chunks(DATAGRAMS) {
        delivery.write(some);
        sent += some.len();
        arrived.wait(sent);
    }
    delivery.finish();
    check(
        &messages(folder.path(), ALERTS),
        &alerts.all,
        &alerts.bodies(Format::Cef),
    );
}

/// Also those that were made while the server was away.
#[test]
fn tcp_gets_every_alert_and_connects_again() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let Some(mut server) = Rsyslog::start(folder.path(), &tcp(port)) else {
        return;
    };
    wait_for_port(server.server(), port);
    let alerts = Alerts::new(ALERTS);
    let address = format!("localhost:{port}");
    let sink = documented("syslog_tcp", &[("siem.example:601", &address)]);
    let mut delivery = Delivery::start(&[sink], &folder.path().join("spool"), &alerts.host);
    let (before, after) = alerts.all.split_at(ALERTS / 2);
    delivery.write(before);
    delivery.wait(before.len());
    messages(folder.path(), before.len());
    server.stop();
    delivery.write(after);
    wait_until("a server that is missed", || delivery.stats().failing);
    assert_eq!(delivery.stats().delivered, before.len() as u64);
    let _server = Rsyslog::start(folder.path(), &tcp(port));
    delivery.finish();
    check(
        &messages(folder.path(), ALERTS),
        &alerts.all,
        &alerts.bodies(Format::Json),
    );
}

#[test]
fn tls_with_a_client_certificate_gets_every_alert() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let certificates = Certificates::new(&folder.path().join("tls"));
    let Some(mut server) = Rsyslog::start(folder.path(), &tls(port, &certificates)) else {
        return;
    };
    wait_for_port(server.server(), port);
    let alerts = Alerts::new(ALERTS);
    let sink = tls_sink(port, &certificates);
    let mut delivery = Delivery::start(&[sink], &folder.path().join("spool"), &alerts.host);
    delivery.write(&alerts.all);
    delivery.finish();
    check(
        &messages(folder.path(), ALERTS),
        &alerts.all,
        &alerts.bodies(Format::Ocsf),
    );
}

/// TLS 1.3 ends for a client before the server has looked at its certificate.
#[test]
fn a_server_that_refuses_the_certificate_has_got_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let certificates = Certificates::new(&folder.path().join("tls"));
    let others = Certificates::new(&folder.path().join("others"));
    let Some(mut server) = Rsyslog::start(folder.path(), &tls(port, &certificates)) else {
        return;
    };
    wait_for_port(server.server(), port);
    let alerts = Alerts::new(1000);
    let stranger = Certificates {
        ca: certificates.ca.clone(),
        ..others
    };
    let spool = folder.path().join("spool");
    // Far enough away that the alerts would be on their way before the answer is here.
    let port = distant(port, Duration::from_millis(100));
    let mut delivery = Delivery::start(&[tls_sink(port, &stranger)], &spool, &alerts.host);
    delivery.write(&alerts.all);
    wait_until("several refusals", || {
        (delivery.stats().requests > 3).then_some(())
    });
    let stats = delivery.stats();
    println!("refused: {}", stats.failing.unwrap());
    assert_eq!((stats.delivered, received(folder.path()).count()), (0, 0));
    delivery.end();

    let delivery = Delivery::start(&[tls_sink(port, &certificates)], &spool, &alerts.host);
    delivery.wait(alerts.all.len());
    delivery.end();
    check(
        &messages(folder.path(), 1000),
        &alerts.all,
        &alerts.bodies(Format::Ocsf),
    );
}

/// Nobody would ever take it, and those behind it are not to wait.
#[test]
fn a_datagram_that_is_too_long_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let socket = UnixDatagram::bind(&path).unwrap();
    let address = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut alerts = Alerts::new(3);
    let long = "long ".repeat(100_000);
    alerts.all[1].message.clone_from(&long);
    let reader = std::thread::spawn(move || {
        let mut buffer = vec![0; 1 << 16];
        [(); 2].map(|()| socket.recv(&mut buffer).unwrap())
    });
    let port = address.local_addr().unwrap().port();
    let unix = documented("syslog_unix", &[("/dev/log", path.to_str().unwrap())]);
    let mut udp = documented(
        "syslog_udp",
        &[("siem.example:514", &format!("127.0.0.1:{port}"))],
    );
    // CEF is never as long.
    udp.format = None;
    for sink in [unix, udp] {
        let name = sink.name.clone();
        let spool = folder.path().join(&name);
        let mut delivery = Delivery::start(&[sink], &spool, &alerts.host);
        delivery.write(&alerts.all);
        let stats = delivery.finish();
        assert_eq!((stats.delivered, stats.refused), (2, 1), "{name}");
        let dead = std::fs::read_to_string(spool.join(format!("dead/{name}.jsonl"))).unwrap();
        assert!(dead.contains("too many for a datagram") && dead.contains(&long));
    }
    reader.join().unwrap();
}

#[test]
fn an_address_may_be_one_of_ipv6() {
    let listener = match TcpListener::bind("[::1]:0") {
        Ok(listener) => listener,
        Err(error) => return println!("skipped: no IPv6 on loopback: {error}"),
    };
    let folder = tempfile::tempdir().unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let alerts = Alerts::new(100);
    let sink = documented("syslog_tcp", &[("siem.example:601", &address)]);
    let mut delivery = Delivery::start(&[sink], folder.path(), &alerts.host);
    delivery.write(&alerts.all);
    delivery.finish();
    let mut text = String::new();
    listener
        .accept()
        .unwrap()
        .0
        .read_to_string(&mut text)
        .unwrap();
    for body in alerts.bodies(Format::Json) {
        assert!(text.contains(str::from_utf8(&body).unwrap()));
    }
}

fn tls_sink(port: u16, certificates: &Certificates) -> SinkSettings {
    let address = format!("127.0.0.1:{port}");
    let mut words = certificates.words();
    words.push(("siem.example:6514", &address));
    documented("syslog_tls", &words)
}
