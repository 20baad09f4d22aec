//! The outputs that are on.

use std::path::Path;

use detector::{
    config::{self, Origins},
    sink::{
        Format,
        settings::{Body, Secret, Target},
    },
};

use crate::{load, report, valid, written};

#[test]
fn falcos_outputs_are_sinks() {
    let file = written(
        "json_output: true\n\
         file_output: {enabled: true, keep_alive: true, filename: /var/log/alerts.json}\n\
         syslog_output: {enabled: true}\n\
         http_output:\n  \
           enabled: true\n  url: https://siem/in\n  user_agent: falcosecurity/falco\n  \
           compress_uploads: true\n  ca_cert: /ca.pem\n  ca_path: /etc/ssl/certs/\n  mtls: true\n  \
           client_cert: /c.pem\n  client_key: /k.pem\n\
         sinks: [{name: own, stdout: {}}]\n",
    );
    let loaded = load(&file.file);
    assert_eq!(report(&loaded), "");
    let sinks = valid(loaded).sinks();
    let names: Vec<&str> = sinks.iter().map(|sink| sink.name.as_str()).collect();
    assert_eq!(names, ["file", "syslog", "http", "own"]);
    assert!(
        sinks[..3]
            .iter()
            .all(|sink| sink.format == Some(Format::Json))
    );
    let Target::File(to) = sinks[0].target().unwrap() else {
        panic!("{sinks:?}")
    };
    assert_eq!(to.path, Path::new("/var/log/alerts.json"));
    assert_eq!(to.max_bytes.0, 0);
    let Target::Syslog(to) = sinks[1].target().unwrap() else {
        panic!("{sinks:?}")
    };
    assert_eq!(to.address, "unix:/dev/log");
    assert_eq!(to.facility, "user");
    let Target::Http(to) = sinks[2].target().unwrap() else {
        panic!("{sinks:?}")
    };
    assert_eq!((to.url.as_str(), to.body), ("https://siem/in", Body::One));
    let request = &to.request;
    assert!(request.gzip);
    assert_eq!(request.tls.ca.as_deref(), Some(Path::new("/ca.pem")));
    assert_eq!(
        request.tls.certificate.as_deref(),
        Some(Path::new("/c.pem"))
    );
    assert_eq!(request.tls.key.as_deref(), Some(Path::new("/k.pem")));
    let agent = Secret::Text("falcosecurity/falco".to_owned());
    assert_eq!(request.headers.get("User-Agent"), Some(&agent));
}

#[test]
fn stdout_is_on_where_nothing_else_is() {
    for (settings, expected) in [
        (vec![], vec!["stdout"]),
        (vec!["stdout_output.enabled=true"], vec!["stdout"]),
        (vec!["syslog_output.enabled=true"], vec!["syslog"]),
        (
            vec!["syslog_output.enabled=true", "stdout_output.enabled=true"],
            vec!["stdout", "syslog"],
        ),
        (vec!["sinks=[{name: a, stdout: {}}]"], vec!["a"]),
    ] {
        let config = valid(config::load(&Origins {
            settings: settings.iter().map(|one| (*one).to_owned()).collect(),
            ..Origins::default()
        }));
        let names: Vec<String> = config.sinks().into_iter().map(|sink| sink.name).collect();
        assert_eq!(names, expected, "{settings:?}");
        // The option --format is of Falco's outputs.
        let mut config = config;
        config.style.format = Format::Json;
        let format = config.sinks()[0].format;
        let own = names[0] == "a";
        assert_eq!(format, Some(Format::Json).filter(|_| !own), "{settings:?}");
    }
    assert_eq!(config::Config::default().sinks()[0].name, "stdout");
}

/// Kafka is a feature of the build: one without it tells what to do, and where.
#[test]
fn kafka_is_taken_or_the_remedy_is_told() {
    let file = written(
        "sinks:\n  - name: topic\n    kafka:\n      \
         bootstrap_servers: tls://a:9093, tls://b:9093\n      topic: alerts\n      \
         mechanism: PLAIN\n      user: u\n      password: {env: PASSWORD}\n",
    );
    let loaded = load(&file.file);
    if cfg!(feature = "kafka") {
        assert_eq!(report(&loaded), "");
        assert_eq!(valid(loaded).sinks()[0].target().unwrap().kind(), "kafka");
    } else {
        let told = report(&loaded);
        for part in [
            "Kafka is not built in",
            "config.yaml:4:",
            "--features kafka",
        ] {
            assert!(told.contains(part), "{told}");
        }
        assert!(loaded.config.is_none());
    }
}
