//! Topics of tansu, which speaks Kafka's protocol; they are read by kafka-python.

mod broker;
mod gate;

use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::AtomicUsize},
};

use detector::sink::{
    Format,
    settings::{SinkSettings, Size},
};

use self::{
    broker::{Store, TOPIC, administer, check, make_topic},
    gate::Gate,
};
use crate::{
    alerts::{ALERTS, Alerts},
    certificates::Certificates,
    delivery::{Delivery, documented, settings},
    peers::{free_port, served_with, wait_until},
};

/// Made while the broker dies, and while it is away.
const DURING: usize = 5_000;
const AWAY: usize = 100;
/// tansu does not answer longer ones: it takes 128 KiB, and says nowhere so.
const MAX_REQUEST: Size = Size(100 << 10);

/// A broker is killed while it is handed alerts, and comes back at another address.
#[test]
fn a_topic_gets_every_alert_though_its_broker_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let Some(store) = Store::start(folder.path()) else {
        return;
    };
    let (first, second) = (free_port(), free_port());
    let broker = store.broker(folder.path(), first, first, &[]);
    make_topic(first);
    let mut sink = documented(
        "kafka",
        &[
            ("kafka-0.example:9092", &format!("127.0.0.1:{first}")),
            ("kafka-1.example:9092", &format!("127.0.0.1:{second}")),
        ],
    );
    let batch = 100;
    let kafka = sink.kafka.as_mut().unwrap();
    (kafka.batch, kafka.max_request_size) = (batch, MAX_REQUEST);
    let alerts = Alerts::new(ALERTS);
    let (before, rest) = alerts.all.split_at(ALERTS - DURING - AWAY);
    let (during, away) = rest.split_at(DURING);
    let mut delivery = Delivery::start(&[sink], &folder.path().join("spool"), &alerts.host);
    delivery.write(before);
    delivery.wait(before.len());
    delivery.write(during);
    drop(broker);
    let had = delivery.stats().delivered;
    delivery.write(away);
    wait_until("a broker that is missed", || delivery.stats().failing);
    let _broker = store.broker(folder.path(), second, second, &[]);
    let stats = delivery.finish();
    assert_eq!(stats.refused, 0);
    println!("killed when {had} were delivered");
    let twice = check(second, &alerts, Format::Json);
    assert!(twice <= batch, "{twice}");
}

#[test]
fn a_topic_gets_alerts_over_mutual_tls_from_who_knows_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let Some(store) = Store::start(folder.path()) else {
        return;
    };
    let port = free_port();
    let plain = store.broker(folder.path(), port, port, &[]);
    make_topic(port);
    administer(port, &["user", "create", "detector", "p w"]);
    drop(plain);
    let certificates = Certificates::new(&folder.path().join("tls"));
    let front = [
        port.to_string(),
        certificates.server.display().to_string(),
        certificates.server_key.display().to_string(),
        certificates.ca.display().to_string(),
    ];
    let front = front.iter().map(String::as_str).collect();
    let (_front, encrypted) = served_with(folder.path(), "tls_front.py", front).unwrap();
    let broker = store.broker(folder.path(), port, encrypted, &["--authentication"]);

    let password = folder.path().join("password");
    fs::write(&password, "wrong\n").unwrap();
    let server = format!("127.0.0.1:{encrypted}");
    let mut words = certificates.words();
    words.push(("kafka.example:9093", &server));
    words.push(("/etc/kubelet-detector/password", password.to_str().unwrap()));
    let mut sink = documented("kafka_tls", &words);
    sink.kafka.as_mut().unwrap().max_request_size = MAX_REQUEST;
    let alerts = Alerts::new(ALERTS);
    let mut delivery = Delivery::start(&[sink], &folder.path().join("spool"), &alerts.host);
    delivery.write(&alerts.all);
    let why = wait_until("a password that is refused", || delivery.stats().failing);
    assert!(why.contains("Sasl"), "{why}");
    fs::write(&password, "p w\n").unwrap();
    let stats = delivery.finish();
    assert_eq!((stats.delivered, stats.refused), (ALERTS as u64, 0));

    // It is read over a plain connection.
    drop(broker);
    let _broker = store.broker(folder.path(), port, port, &[]);
    assert_eq!(check(port, &alerts, Format::Ocsf), 0);
}

fn configured(port: u16, more: &str) -> Vec<SinkSettings> {
    settings(&format!(
        "sinks:\n- name: kafka\n  kafka:\n    bootstrap_servers: tcp://127.0.0.1:{port}\n    \
         topic: {TOPIC}\n    max_request_size: {MAX_REQUEST}\n{more}"
    ))
}

fn deliver(sinks: &[SinkSettings], alerts: &Alerts, spool: &Path) {
    let mut delivery = Delivery::start(sinks, spool, &alerts.host);
    delivery.write(&alerts.all);
    std::thread::sleep(std::time::Duration::from_secs(3));
    println!("DEBUG {:?}", delivery.stats().failing);
    assert_eq!(delivery.finish().refused, 0);
}

#[test]
fn every_compression_and_mechanism_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let Some(store) = Store::start(folder.path()) else {
        return;
    };
    let port = free_port();
    let plain = store.broker(folder.path(), port, port, &[]);
    make_topic(port);
    administer(port, &["user", "create", "detector", "p"]);
    administer(
        port,
        &["user", "create", "--mechanism", "scram256", "other", "p"],
    );
    drop(plain);
    let broker = store.broker(folder.path(), port, port, &["--authentication"]);
    let alerts = Alerts::new(1000);
    for (mechanism, user, compression) in [
        ("PLAIN", "detector", "gzip"),
        ("SCRAM-SHA-256", "other", "snappy"),
    ] {
        let more = format!(
            "    mechanism: {mechanism}\n    user: {user}\n    password: p\n    \
             compression: {compression}\n"
        );
        deliver(
            &configured(port, &more),
            &alerts,
            &folder.path().join(compression),
        );
    }
    drop(broker);
    let _broker = store.broker(folder.path(), port, port, &[]);
    // Each has been sent by both.
    assert_eq!(check(port, &alerts, Format::Json), 1000);
}

/// Before there is a topic, nobody has them; then the partition's leader is another for a while; and
/// one alert is too long, among others.
#[test]
fn an_alert_that_is_too_long_is_refused_alone() {
    let folder = tempfile::tempdir().unwrap();
    let Some(store) = Store::start(folder.path()) else {
        return;
    };
    let port = free_port();
    let gate = Arc::new(Gate {
        max_bytes: 50_000,
        moved: AtomicUsize::new(3),
        ..Gate::default()
    });
    let open = gate.open(port);
    let _broker = store.broker(folder.path(), port, open, &[]);
    let mut alerts = Alerts::new(1000);
    alerts.all[500].message = "long ".repeat(20_000);
    let mut delivery = Delivery::start(&configured(open, ""), folder.path(), &alerts.host);
    delivery.write(&alerts.all);
    let why = wait_until("a topic that is missed", || delivery.stats().failing);
    assert!(why.contains("there is no topic `kubelet-alerts`"), "{why}");
    make_topic(port);
    wait_until("a leader that is missed", || {
        let why = delivery.stats().failing?;
        why.contains("NotLeaderOrFollower").then_some(())
    });
    let stats = delivery.finish();
    assert_eq!((stats.delivered, stats.refused), (999, 1));
    let refused = alerts.all.remove(500);
    let dead = fs::read_to_string(folder.path().join("dead/kafka.jsonl")).unwrap();
    assert_eq!(dead.lines().count(), 1);
    assert!(dead.contains(&refused.uuid().to_string()), "{dead}");
    assert!(dead.contains("the broker says MessageTooLarge"), "{dead}");
    assert_eq!(check(port, &alerts, Format::Json), 0);
}
