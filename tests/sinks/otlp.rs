//! Logs of OTLP to a real collector, rotel, and through it to a receiver that decodes them by
//! OpenTelemetry's own package (`tests/peers/otlp_receiver.py`).

use std::process::Command;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use detector::sink::{Format, settings::OtlpEncoding};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use prost::Message as _;

use crate::{
    alerts::{ALERTS, Alerts},
    delivery::{Delivery, documented},
    peers::{Lines, Server, free_port, packaged, served, wait_for_port},
};

fn check(encoding: OtlpEncoding, gzip: bool) {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = packaged("rotel/rotel-agent") else {
        return;
    };
    let Some((_receiver, behind)) = served(folder.path(), "otlp_receiver.py", &[]) else {
        return;
    };
    let (port, other) = (free_port(), free_port());
    let mut command = Command::new(program);
    command
        .arg("start")
        .args(["--otlp-http-endpoint", &format!("127.0.0.1:{port}")])
        .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{other}")])
        // Of a batch that it has to cut it forgets the resource.
        .args(["--logs-batch-max-size", &(2 * ALERTS).to_string()])
        .args(["--exporter", "otlp", "--otlp-exporter-protocol", "http"])
        .args([
            "--otlp-exporter-endpoint",
            &format!("http://127.0.0.1:{behind}"),
        ]);
    let mut rotel = Server::start(&mut command, folder.path(), "rotel");
    wait_for_port(&mut rotel, port);
    let alerts = Alerts::new(ALERTS);
    let address = format!("127.0.0.1:{port}");
    let mut sink = documented("otlp", &[("collector.monitoring:4318", &address)]);
    sink.name = format!("otlp_{encoding:?}{}", if gzip { "_gzip" } else { "" }).to_lowercase();
    let settings = sink.otlp.as_mut().unwrap();
    settings.encoding = encoding;
    settings.request.gzip = gzip;
    let mut delivery = Delivery::start(&[sink], &folder.path().join("spool"), &alerts.host);
    delivery.write(&alerts.all);
    let stats = delivery.finish();
    assert_eq!(stats.refused, 0);
    let mut lines = Lines::of(folder.path().join("out"));
    lines.wait(ALERTS);
    let mut arrived: Vec<ExportLogsServiceRequest> =
        lines.all().iter().map(|line| decode(line)).collect();
    // A collector puts records together as it likes.
    arrived.sort_by_key(|request| {
        request.resource_logs[0].scope_logs[0].log_records[0].time_unix_nano
    });
    let bodies = alerts.bodies(Format::Otlp);
    assert_eq!(arrived.len(), bodies.len());
    for (arrived, body) in arrived.iter().zip(&bodies) {
        let sent: ExportLogsServiceRequest = serde_json::from_slice(body).unwrap();
        assert_eq!(*arrived, sent);
    }
}

fn decode(line: &str) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest::decode(&BASE64_STANDARD.decode(line).unwrap()[..]).unwrap()
}

#[test]
fn a_collector_gets_every_alert_in_protobuf() {
    check(OtlpEncoding::Protobuf, false);
}

#[test]
fn a_collector_gets_every_alert_in_compressed_protobuf() {
    check(OtlpEncoding::Protobuf, true);
}

#[test]
fn a_collector_gets_every_alert_in_json() {
    check(OtlpEncoding::Json, false);
}

#[test]
fn a_collector_gets_every_alert_in_compressed_json() {
    check(OtlpEncoding::Json, true);
}
