//! A sink that cannot work is told when the detector starts: which one, what is wrong, and what to do.

use std::{fs, path::Path};

use detector::{
    host::Host,
    sink::{Plan, PlanError, Style, settings::SpoolSettings},
};

use crate::{
    certificates::Certificates,
    delivery::{Delivery, settings},
    peers::document,
};

fn mistake(folder: &Path, sink: &str) -> String {
    let yaml = format!("sinks:\n- name: mine\n  {sink}\n");
    let started = Delivery::try_start(&settings(&yaml), &folder.join("spool"), &Host::default());
    let Err(error) = started else {
        panic!("this is no mistake: {sink}");
    };
    error.to_string()
}

#[test]
fn what_cannot_work_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let one = Certificates::new(&folder.path().join("one"));
    let other = Certificates::new(&folder.path().join("other"));
    let empty = folder.path().join("empty");
    fs::write(&empty, "").unwrap();
    let (ca, client, key) = (
        one.ca.display(),
        one.client.display(),
        one.client_key.display(),
    );
    let (stranger, empty) = (other.client_key.display(), empty.display());
    let https = |tls: &str| format!("http: {{url: 'https://127.0.0.1:1', tls: {{{tls}}}}}");
    let nats = |more: &str| format!("nats: {{url: 'nats://127.0.0.1:1', subject: a, {more}}}");
    for (sink, expected) in [
        (
            https("ca: /no/ca"),
            "no certificate can be read of /no/ca, give a file in PEM",
        ),
        (
            https(&format!("ca: {empty}")),
            "empty has no certificate, give a file in PEM",
        ),
        (
            https(&format!("certificate: {client}")),
            "`tls.certificate` and `tls.key` need each other",
        ),
        (
            https(&format!("certificate: {client}, key: {ca}")),
            "ca.pem, give a file in PEM: no items found",
        ),
        (
            https(&format!("certificate: {client}, key: {stranger}")),
            "are no pair",
        ),
        (https("server_name: 'a b'"), "`a b` is no name of a server"),
        (
            "http: {url: 'siem.example'}".into(),
            "`siem.example` is no URL",
        ),
        (
            "http: {url: 'ftp://siem.example'}".into(),
            "is neither http:// nor https://",
        ),
        (
            "http: {url: 'http://a', bearer: {file: /no/token}}".into(),
            "cannot read the secret in /no/token",
        ),
        (
            "http: {url: 'http://a', bearer: {env: NO_TOKEN}}".into(),
            "no secret in the environment variable NO_TOKEN",
        ),
        (
            "http: {url: 'http://a', headers: {'a b': c}}".into(),
            "`a b` is no name of a header",
        ),
        (
            "http: {url: 'http://a', body: array}\n  format: cef".into(),
            "`body: array` needs an encoding in JSON",
        ),
        (
            "syslog: {address: 'siem.example:514'}".into(),
            "write unix:/dev/log, udp://host:514",
        ),
        (
            "syslog: {address: 'tcp://::1:601'}".into(),
            "is no address of a syslog server",
        ),
        (
            "syslog: {address: 'unix:/dev/log', facility: local8}".into(),
            "`local8` is no facility",
        ),
        (
            format!("syslog: {{address: 'tls://a:1', tls: {{key: {key}}}}}"),
            "`tls.certificate` and `tls.key` need each other",
        ),
        (
            "elasticsearch: {url: 'http://a', user: u}".into(),
            "give `api_key`, or `user` and `password`",
        ),
        (
            "elasticsearch: {url: 'http://a'}\n  format: text".into(),
            "choose an encoding that is",
        ),
        (
            "otlp: {url: 'http://a'}\n  format: ecs".into(),
            "leave `format` out",
        ),
        (
            nats("user: u"),
            "give `credentials`, or `user` and `password`, or `token`",
        ),
        (
            nats("credentials: /no/creds"),
            "no credentials can be read of /no/creds",
        ),
        (
            nats("token: {file: /no/token}"),
            "cannot read the secret in /no/token",
        ),
        (
            nats("tls: {ca: /no/ca}"),
            "no certificate can be read of /no/ca",
        ),
        (
            "nats: {url: 'nats://a', subject: 'a.*'}".into(),
            "`a.*` is no subject to publish to",
        ),
        (
            "nats: {url: '::', subject: a}".into(),
            "`::` is no URL of a NATS server",
        ),
        (
            "http: {url: 'http://a', bearer: {file: /dev/zero}}".into(),
            "cannot read the secret in /dev/zero: this is a device, not a file",
        ),
        (
            format!("http: {{url: 'http://a', bearer: {{file: {empty}}}}}"),
            "has an empty secret",
        ),
        (
            https("ca: /dev/zero"),
            "no certificate can be read of /dev/zero, give a file in PEM: this is a device",
        ),
        (
            format!("http: {{url: 'http://a', tls: {{ca: {ca}}}}}"),
            "the URL is http://: write https://",
        ),
        (
            format!("syslog: {{address: 'tcp://a:1', tls: {{ca: {ca}}}}}"),
            "the address is tcp: write tls://",
        ),
        (
            "http: {url: 'http://a', headers: {content-length: '5'}}".into(),
            "the header `content-length` is set by other settings",
        ),
        (
            "http: {url: 'http://a', bearer: b, headers: {Authorization: c}}".into(),
            "the header `Authorization` is set by other settings",
        ),
        (
            "http: {url: 'http://a', timeout: 0s}".into(),
            "within a `timeout` of 0s",
        ),
        (
            "syslog: {address: 'unix:/dev/log', timeout: 0s}".into(),
            "within a `timeout` of 0s",
        ),
        (nats("timeout: 0s"), "within a `timeout` of 0s"),
        (
            "file: {path: /no/folder/file}".into(),
            "cannot write /no/folder/file",
        ),
    ] {
        let told = mistake(folder.path(), &sink);
        assert!(told.contains(expected), "{sink}: {told}");
        assert!(told.contains("the sink `mine`"), "{told}");
    }
}

#[test]
fn every_mistake_of_every_sink_is_told() {
    let sinks = settings(
        "sinks:\n\
         - {name: a, http: {url: 'https://a', bearer: {file: /no/token}, tls: {ca: /no/ca}}}\n\
         - {name: b, stdout: {}}\n\
         - {name: c, syslog: {address: 'tcp://c'}}\n",
    );
    let spool = SpoolSettings::default();
    let plan = Plan::new(&sinks, &spool, Style::default(), &Host::default());
    let Err(PlanError(mistakes)) = plan else {
        panic!("this is no mistake");
    };
    let names: Vec<&str> = mistakes.iter().map(|one| one.sink.as_str()).collect();
    assert_eq!(names, ["a", "a", "c"], "{mistakes:?}");
    let sinks = settings(
        "sinks: [{name: a, http: {url: 'ftp://a', bearer: {file: /no/token}, headers: {b: {file: /no/b}}}}]",
    );
    let plan = Plan::new(&sinks, &spool, Style::default(), &Host::default());
    let Err(PlanError(mistakes)) = plan else {
        panic!("this is no mistake");
    };
    assert_eq!(mistakes.len(), 3, "{mistakes:?}");
}

#[cfg(feature = "kafka")]
#[test]
fn what_cannot_work_of_kafka_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    for (settings, expected) in [
        ("'a:9092', topic: t", "`a:9092` is no server: write tcp://"),
        ("'tcp://a', topic: t", "`tcp://a` is no server"),
        (
            "'tcp://a:9092,tls://b:9093', topic: t",
            "are all tcp:// or all tls://",
        ),
        ("'tcp://a:9092', topic: 'a b'", "`a b` is no topic"),
        (
            "'tcp://a:9092', topic: t, user: u",
            "`user` and `password` need each other",
        ),
        (
            "'tcp://a:9092', topic: t, user: u, password: {env: NO_PASSWORD}",
            "no secret in the environment variable NO_PASSWORD",
        ),
        (
            "'tcp://a:9092', topic: t, tls: {ca: /ca}",
            "`tls` is given, but `bootstrap_servers` are tcp://",
        ),
        (
            "'tls://a:9093', topic: t, tls: {ca: /no/ca}",
            "no certificate can be read of /no/ca",
        ),
    ] {
        let sink = format!("kafka: {{bootstrap_servers: {settings}}}");
        let told = mistake(folder.path(), &sink);
        assert!(told.contains(expected), "{sink}: {told}");
        assert!(told.contains("the sink `mine`"), "{told}");
    }
}

#[cfg(not(feature = "kafka"))]
#[test]
fn a_build_without_kafka_tells_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let sink = "kafka: {bootstrap_servers: 'tcp://a:9092', topic: t}";
    let told = mistake(folder.path(), sink);
    assert!(
        told.contains("the sink `mine`: Kafka is not built in: build"),
        "{told}"
    );
    assert!(told.contains("--features kafka"), "{told}");
}

#[test]
fn every_documented_sink_is_one() {
    let text = document("sinks.md");
    let blocks = text.split("```yaml\n").skip(1);
    let blocks: Vec<&str> = blocks
        .filter_map(|block| block.split("```").next())
        .collect();
    assert!(blocks.len() > 10, "{}", blocks.len());
    for sink in blocks.into_iter().flat_map(settings) {
        assert!(sink.target().is_ok(), "{}", sink.name);
    }
}
