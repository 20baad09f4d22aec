//! `_bulk` of a server that is compatible with OpenSearch 3.8, in memory.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use detector::sink::{Format, settings::SinkSettings};
use serde_json::{Value, json};

use crate::{
    alerts::{ALERTS, Alerts},
    certificates::Certificates,
    delivery::{Delivery, documented, settings},
    peers::{Server, packaged, served_with, wait_until},
};

const INDEX: &str = "logs-kubelet_detector-default";

struct OpenSearch {
    _server: Server,
    url: String,
}

impl OpenSearch {
    /// `None` if it is not there.
    fn start(folder: &Path) -> Option<Self> {
        let mut command = Command::new(packaged("osmem_server/bin/osmem-server")?);
        command.arg("-no-ja");
        let mut server = Server::start(&mut command, folder, "osmem");
        let url = server.wait_until("a server's address", |said| {
            let ready: Value = serde_json::from_str(said.lines().next()?).ok()?;
            Some(ready["url"].as_str()?.to_owned())
        });
        Some(Self {
            _server: server,
            url,
        })
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut curl = Command::new("curl")
            .args(["-s", "-X", method, "-H", "content-type: application/json"])
            .args(["--data-binary", "@-", &format!("{}/{path}", self.url)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        serde_json::to_writer(curl.stdin.take().unwrap(), body).unwrap();
        let output = curl.wait_with_output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn sink(&self, gzip: bool) -> SinkSettings {
        let mut sink = documented(
            "elasticsearch",
            &[("https://search.example:9200", &self.url)],
        );
        sink.elasticsearch.as_mut().unwrap().request.gzip = gzip;
        sink
    }

    /// Every document, by its id.
    fn documents(&self) -> BTreeMap<String, Value> {
        self.ask("POST", &format!("{INDEX}/_refresh"), &Value::Null);
        let all = json!({"size": 10_000, "query": {"match_all": {}}});
        let found = self.ask("POST", &format!("{INDEX}/_search"), &all);
        let hits = found["hits"]["hits"].as_array().unwrap();
        let documents: BTreeMap<String, Value> = hits
            .iter()
            .map(|hit| {
                (
                    hit["_id"].as_str().unwrap().to_owned(),
                    hit["_source"].clone(),
                )
            })
            .collect();
        assert_eq!(documents.len(), hits.len());
        documents
    }
}

fn expected(alerts: &Alerts) -> BTreeMap<String, Value> {
    let bodies = alerts.bodies(Format::Ecs);
    let documents = alerts.all.iter().zip(bodies).map(|(kept, body)| {
        (
            kept.uuid().to_string(),
            serde_json::from_slice(&body).unwrap(),
        )
    });
    documents.collect()
}

fn assert_same(found: &BTreeMap<String, Value>, expected: &BTreeMap<String, Value>) {
    for (id, document) in expected {
        assert_eq!(found.get(id), Some(document), "{id}");
    }
    assert_eq!(found.len(), expected.len());
}

#[test]
fn an_index_gets_every_alert_once() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = OpenSearch::start(folder.path()) else {
        return;
    };
    // It is slow to index so many fields; the other test has it do so.
    server.ask("PUT", INDEX, &json!({"mappings": {"dynamic": false}}));
    let alerts = Alerts::new(ALERTS);
    // The second time as after a crash before the spool knew.
    for (spool, gzip) in [("first", false), ("second", true)] {
        let spool = folder.path().join(spool);
        let mut delivery = Delivery::start(&[server.sink(gzip)], &spool, &alerts.host);
        delivery.write(&alerts.all);
        let stats = delivery.finish();
        assert_eq!(stats.refused, 0);
    }
    assert_same(&server.documents(), &expected(&alerts));
}

/// One whose number is none of the index's mapping, among others.
#[test]
fn an_alert_that_is_refused_is_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = OpenSearch::start(folder.path()) else {
        return;
    };
    let mapping = json!({"mappings": {"properties": {"event": {"properties": {
        "sequence": {"type": "integer"}}}}}});
    server.ask("PUT", INDEX, &mapping);
    let mut alerts = Alerts::new(1000);
    alerts.all[500].sequence = 3_000_000_000;
    let mut delivery = Delivery::start(&[server.sink(false)], folder.path(), &alerts.host);
    delivery.write(&alerts.all);
    let stats = delivery.finish();
    assert_eq!((stats.delivered, stats.refused), (999, 1));
    let refused = alerts.all.remove(500);
    assert_same(&server.documents(), &expected(&alerts));
    let dead = fs::read_to_string(folder.path().join("dead/elasticsearch.jsonl")).unwrap();
    let dead: Value = serde_json::from_str(&dead).unwrap();
    assert_eq!(dead["alert"]["uuid"], refused.uuid().to_string());
    let reason = dead["reason"].as_str().unwrap();
    assert!(
        reason.contains("failed to parse field [event.sequence]"),
        "{reason}"
    );
}

/// Before the server: it asks for this header.
fn front(server: &OpenSearch, folder: &Path, tls: &Certificates, header: &str) -> (Server, u16) {
    let (certificate, key) = (&tls.server, &tls.server_key);
    let arguments = vec![
        server.url.rsplit(':').next().unwrap(),
        "--authorization",
        header,
        "--certificate",
        certificate.to_str().unwrap(),
        "--key",
        key.to_str().unwrap(),
    ];
    served_with(folder, "search_front.py", arguments).unwrap()
}

/// With an API key that is wrong alerts wait, for the next run too, which has the right one.
#[test]
fn alerts_arrive_over_tls_with_an_api_key() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = OpenSearch::start(folder.path()) else {
        return;
    };
    server.ask("PUT", INDEX, &json!({"mappings": {"dynamic": false}}));
    let certificates = Certificates::new(&folder.path().join("tls"));
    let header = "ApiKey aWQ6c2VjcmV0";
    let (_front, port) = front(&server, folder.path(), &certificates, header);
    let key = folder.path().join("api_key");
    let sink = || {
        let ca = certificates.ca.to_str().unwrap();
        let words = [
            ("search.example:9200", &*format!("127.0.0.1:{port}")),
            ("/etc/kubelet-detector/api_key", key.to_str().unwrap()),
            ("/etc/kubelet-detector/ca.pem", ca),
        ];
        documented("elasticsearch_tls", &words)
    };
    let alerts = Alerts::new(ALERTS);
    let spool = folder.path().join("spool");
    fs::write(&key, "wrong\n").unwrap();
    let mut delivery = Delivery::start(&[sink()], &spool, &alerts.host);
    delivery.write(&alerts.all);
    let why = wait_until("a key that is refused", || delivery.stats().failing);
    assert!(why.contains("401"), "{why}");
    delivery.end();
    assert!(server.documents().is_empty());

    fs::write(&key, "aWQ6c2VjcmV0\n").unwrap();
    let delivery = Delivery::start(&[sink()], &spool, &alerts.host);
    delivery.wait(ALERTS);
    assert_eq!(delivery.stats().refused, 0);
    delivery.end();
    assert_same(&server.documents(), &expected(&alerts));
}

#[test]
fn alerts_arrive_over_tls_with_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = OpenSearch::start(folder.path()) else {
        return;
    };
    server.ask("PUT", INDEX, &json!({"mappings": {"dynamic": false}}));
    let certificates = Certificates::new(&folder.path().join("tls"));
    // `detector:p w`, as base64(1) has it.
    let header = "Basic ZGV0ZWN0b3I6cCB3";
    let (_front, port) = front(&server, folder.path(), &certificates, header);
    let yaml = format!(
        "sinks:\n- name: elasticsearch\n  elasticsearch:\n    url: https://127.0.0.1:{port}\n    \
         user: detector\n    password: p w\n    tls: {{ca: {}, server_name: siem.example}}\n",
        certificates.ca.display()
    );
    let alerts = Alerts::new(1000);
    let spool = folder.path().join("spool");
    let mut delivery = Delivery::start(&settings(&yaml), &spool, &alerts.host);
    delivery.write(&alerts.all);
    assert_eq!(delivery.finish().refused, 0);
    assert_same(&server.documents(), &expected(&alerts));
}
