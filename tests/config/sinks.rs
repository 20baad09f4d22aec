//! The outputs that are on.

use std::{fs, os::unix::fs::symlink, path::Path};

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

/// However it is spelled.
#[test]
fn no_file_is_written_by_two_sinks() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(at("x")).unwrap();
    fs::write(at("there"), "").unwrap();
    symlink("there", at("link")).unwrap();
    symlink(folder.path(), at("folder")).unwrap();
    for (one, other, clash) in [
        (at("f"), at("x/../f"), "this is the file of another sink"),
        (at("f"), at("folder/f"), "this is the file of another sink"),
        (at("there"), at("link"), "this is the file of another sink"),
        (at("f"), at("folder/f.5"), "another sink renames its file"),
        (at("folder/f.5"), at("f"), "a file that is renamed would"),
        (at("f"), at("x/f"), ""),
        (at("f"), at("f.6"), ""),
        (at("f"), at("f.05"), ""),
        (at("f"), at("f.1.gz"), ""),
    ] {
        let file = written(&format!(
            "sinks:\n  - {{name: a, file: {{path: {one}}}}}\n  - {{name: b, file: {{path: {other}}}}}\n"
        ));
        let told = report(&load(&file.file));
        assert_eq!(told.is_empty(), clash.is_empty(), "{one} {other} {told}");
        assert!(told.contains(clash), "{one} {other} {told}");
        assert!(
            clash.is_empty() || told.contains("config.yaml:3:"),
            "{told}"
        );
    }
}
