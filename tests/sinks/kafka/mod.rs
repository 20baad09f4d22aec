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
    broker::{Store, TOPIC, check, make_topic},
    gate::Gate,
};
use crate::{
    alerts::{ALERTS, Alerts},
    certificates::Certificates,
    delivery::{Delivery, documented, settings},
    peers::{Server, free_port, served_with, wait_until},
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
    let broker = store.broker(folder.path(), first, first);
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
    delivery.wait(before.len() + during.len() / 5);
    drop(broker);
    let had = delivery.stats().delivered;
    delivery.write(away);
    wait_until("a broker that is missed", || delivery.stats().failing);
    let broker = store.broker(folder.path(), second, second);
    let stats = delivery.finish();
    assert_eq!(stats.refused, 0);
    println!("killed when {had} were delivered");
    drop(broker);
    let twice = check(&store, folder.path(), &alerts, Format::Json);
    assert!(twice <= batch, "{twice}");
}

/// tansu's own TLS and passwords cannot be used: its options for a certificate and a key exclude each
/// other, and the storage that it has here keeps no users.
fn front(folder: &Path, broker: u16, arguments: &[&str]) -> (Server, u16) {
    let broker = broker.to_string();
    let arguments = [&[broker.as_str()], arguments].concat();
    served_with(folder, "kafka_front.py", arguments).unwrap()
}

#[test]
fn a_topic_gets_alerts_over_mutual_tls_from_who_knows_the_password() {
    let folder = tempfile::tempdir().unwrap();
    let Some(store) = Store::start(folder.path()) else {
        return;
    };
    let certificates = Certificates::new(&folder.path().join("tls"));
    let login = [
        "--mechanism",
        "SCRAM-SHA-512",
        "--user",
        "detector",
        "--password",
        "p w",
    ];
    let port = free_port();
    let (_front, encrypted) = front(
        folder.path(),
        port,
        &[&login[..], &certificates.arguments()].concat(),
    );
    let broker = store.broker(folder.path(), port, encrypted);
    make_topic(port);

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
    assert!(why.contains("SaslAuthenticationFailed"), "{why}");
    fs::write(&password, "p w\n").unwrap();
    let stats = delivery.finish();
    assert_eq!((stats.delivered, stats.refused), (ALERTS as u64, 0));
    drop(broker);
    assert_eq!(check(&store, folder.path(), &alerts, Format::Ocsf), 0);
}

fn configured(port: u16, more: &str) -> Vec<SinkSettings> {
    settings(&format!(
        "sinks:\n- name: kafka\n  kafka:\n    bootstrap_servers: tcp://127.0.0.1:{port}\n    \
         topic: {TOPIC}\n    max_request_size: {MAX_REQUEST}\n{more}"
    ))
}

#[test]
fn every_compression_and_mechanism_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let Some(store) = Store::start(folder.path()) else {
        return;
    };
    let alerts = Alerts::new(1000);
    for (mechanism, compression) in [("PLAIN", "gzip"), ("SCRAM-SHA-256", "snappy")] {
        let login = [
            "--mechanism",
            mechanism,
            "--user",
            "detector",
            "--password",
            "p w",
        ];
        let port = free_port();
        let (_front, open) = front(folder.path(), port, &login);
        let _broker = store.broker(folder.path(), port, open);
        if compression == "gzip" {
            make_topic(port);
        }
        let more = format!(
            "    mechanism: {mechanism}\n    user: detector\n    password: p w\n    \
             compression: {compression}\n"
        );
        let sinks = configured(open, &more);
        let spool = folder.path().join(compression);
        let mut delivery = Delivery::start(&sinks, &spool, &alerts.host);
        delivery.write(&alerts.all);
        assert_eq!(delivery.finish().refused, 0);
    }
    // Each has been sent by both.
    assert_eq!(check(&store, folder.path(), &alerts, Format::Json), 1000);
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
    let broker = store.broker(folder.path(), port, open);
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
    drop(broker);
    assert_eq!(check(&store, folder.path(), &alerts, Format::Json), 0);
}
