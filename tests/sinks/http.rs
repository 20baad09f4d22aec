//! Alerts over HTTP to a receiver as strict as falcosidekick (`tests/peers/http_contract.py`).

use std::{fs, path::Path};

use detector::sink::{Format, settings::SinkSettings};

use crate::{
    alerts::{ALERTS, Alerts, assert_same, assert_same_in_any_order},
    certificates::Certificates,
    delivery::{Delivery, documented},
    peers::{Lines, served},
};

/// The alerts that arrived below a path.
pub(crate) fn arrived(folder: &Path, path: &str) -> Vec<Vec<u8>> {
    let lines = Lines::of(folder.join("out")).all();
    let found = lines.iter().filter_map(|line| {
        let (its, alert) = line.split_once(' ').unwrap();
        (its == path).then(|| alert.as_bytes().to_vec())
    });
    found.collect()
}

fn send(sink: SinkSettings, alerts: &Alerts, folder: &Path) {
    let mut delivery = Delivery::start(&[sink], &folder.join("spool"), &alerts.host);
    delivery.write(&alerts.all);
    let stats = delivery.finish();
    assert_eq!(stats.refused, 0);
}

#[test]
fn falcosidekick_gets_each_alert_by_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let Some((_server, port)) = served(folder.path(), "http_contract.py", &[]) else {
        return;
    };
    let alerts = Alerts::new(ALERTS);
    let address = format!("127.0.0.1:{port}");
    let sink = documented("falcosidekick", &[("falcosidekick.falco:2801", &address)]);
    send(sink, &alerts, folder.path());
    assert_same_in_any_order(&arrived(folder.path(), "/"), &alerts.bodies(Format::Json));
}

/// Each connection ends after some requests, and the client does not know.
#[test]
fn a_server_that_closes_connections_gets_every_alert() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--close-after", "40"];
    let Some((_server, port)) = served(folder.path(), "http_contract.py", &arguments) else {
        return;
    };
    let alerts = Alerts::new(2000);
    let address = format!("127.0.0.1:{port}");
    let mut sink = documented("falcosidekick", &[("falcosidekick.falco:2801", &address)]);
    sink.http.as_mut().unwrap().concurrency = 1;
    send(sink, &alerts, folder.path());
    assert_same(&arrived(folder.path(), "/"), &alerts.bodies(Format::Json));
}

/// Many alerts a request, compressed, with a client certificate, a token and headers.
#[test]
fn batches_arrive_over_mutual_tls() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::new(&folder.path().join("tls"));
    let token = folder.path().join("token");
    fs::write(&token, "s3cret token\n").unwrap();
    let headers = [
        "--header",
        "Authorization:Bearer s3cret token",
        "--header",
        "X-Cluster:blue",
        "--header",
        "Content-Encoding:gzip",
    ];
    let arguments = [&certificates.arguments()[..], &headers].concat();
    let Some((_server, port)) = served(folder.path(), "http_contract.py", &arguments) else {
        return;
    };
    let alerts = Alerts::new(ALERTS);
    let address = format!("127.0.0.1:{port}");
    for (path, name) in [("/array", "http_array"), ("/lines", "http_lines")] {
        let mut words = certificates.words();
        words.extend([
            ("siem.example:8443", &*address),
            ("/etc/kubelet-detector/token", token.to_str().unwrap()),
        ]);
        let sink = documented(name, &words);
        let mut delivery = Delivery::start(&[sink], &folder.path().join(name), &alerts.host);
        delivery.write(&alerts.all);
        let stats = delivery.finish();
        assert_eq!(stats.refused, 0);
        assert_same(&arrived(folder.path(), path), &alerts.bodies(Format::Json));
    }
}
