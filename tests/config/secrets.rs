//! Secrets: never in what is shown, in what is told of a mistake, or in the list of processes.

use std::{fs, process::Command};

use detector::config::{self, Origins, codes};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::{TESTS, detector, report, text, valid, written};

/// Part of every secret.
const NEEDLE: &str = "hunter2";

const FILE: &str = r#"# Every place that a secret can have.
hostname: node-1
sinks:
  - name: siem
    http:
      url: https://siem.example/in
      bearer: hunter2-bearer
      headers: {X-Key: hunter2-header, X-Two: "hunter2 \"quoted\""}
      timeout: 5s
  - name: elastic
    elasticsearch: {url: "https://elastic:9200", api_key: hunter2-key, batch: 10}
  - name: elastic-2
    elasticsearch:
      url: https://elastic:9200
      user: detector
      password: |
        hunter2-password
        hunter2-more
  - {name: js, nats: {url: "nats://js:4222", subject: alerts, token: hunter2-token, password: hunter2-x}}
"#;

fn nothing_shown(what: &str, shown: &str) {
    assert!(!shown.contains(NEEDLE), "{what}\n{shown}");
}

#[test]
fn what_is_in_force_is_shown_masked() {
    let file = written(FILE);
    let path = file.file.to_str().unwrap();
    let output = detector(&["config", "show", "-c", path], &[]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    nothing_shown("show", &shown);
    assert!(
        shown.contains("bearer: \"***\"") || shown.contains("bearer: '***'"),
        "{shown}"
    );
    let config = valid(crate::load(&file.file));
    nothing_shown("debug", &format!("{config:?}"));
    // It is there all the same.
    let sinks = config.sinks();
    let bearer = sinks[0].http.as_ref().unwrap().request.bearer.as_ref();
    assert_eq!(bearer.unwrap().read().unwrap(), "hunter2-bearer");
}

/// The values of a query may be some; an address with a user is refused.
#[test]
fn an_address_is_shown_without_its_query() {
    let url = "https://siem.example/in?key=hunter2-query&x=hunter2-more";
    let file = written(&format!(
        "http_output: {{enabled: true, url: '{url}'}}\n\
         sinks: [{{name: a, http: {{url: '{url}'}}}}]\n"
    ));
    let shown = crate::load(&file.file).show().unwrap().unwrap();
    nothing_shown("show", &shown);
    assert_eq!(shown.matches("siem.example/in?key=***&x=***").count(), 2);
    let file = written(&format!("sinks: [{{nam: a, http: {{url: '{url}'}}}}]\n"));
    nothing_shown("excerpt", &report(&crate::load(&file.file)));
    let user = written("http_output: {enabled: true, url: 'https://u:hunter2@a'}\n");
    let loaded = crate::load(&user.file);
    assert!(loaded.show().is_none());
    nothing_shown("user", &report(&loaded));
}

/// Wherever the file is broken: cut off, a letter changed, a line put elsewhere.
#[test]
fn no_mistake_shows_one() {
    let mut broken: Vec<String> = Vec::new();
    let ends = FILE.char_indices().map(|(at, _)| at);
    broken.extend(ends.map(|at| FILE[..at].to_owned()));
    for (at, letter) in FILE.char_indices() {
        // Each in turn, and none: all of them take a minute.
        let turn = ["x", "[", "\"", ":", " ", "\n"][at % 6];
        for put in ["", turn] {
            let after = &FILE[at + letter.len_utf8()..];
            broken.push(format!("{}{put}{after}", &FILE[..at]));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yaml");
    let mut told = 0;
    for text in &broken {
        fs::write(&path, text).unwrap();
        let loaded = crate::load(&path);
        let report = report(&loaded);
        let lines: String = loaded
            .diagnostics
            .iter()
            .map(|one| format!("{one}\n"))
            .collect();
        nothing_shown(text, &report);
        nothing_shown(text, &lines);
        if let Some(shown) = loaded.show() {
            nothing_shown(text, &shown.unwrap());
        }
        told += loaded.diagnostics.len();
    }
    assert!(told > 300, "{told}");
}

#[test]
fn those_of_the_command_line_are_refused_with_the_remedy() {
    for setting in [
        "sinks=[{name: a, http: {url: 'http://a', bearer: hunter2}}]",
        "sinks[0].http.bearer=hunter2",
        "sinks[0].http.headers.X-Key=hunter2",
        "sinks[0].http.headers={X-Key: hunter2}",
        "sinks[0].nats.url=nats://u:hunter2@host",
        "sinks[0].kafka.bootstrap_servers=tls://a:9093,tls://u:hunter2@b:9093",
        "sinks[0].elasticsearch={password: [hunter2]}",
        "sinks[]={name: b, nats: {token: hunter2}}",
    ] {
        let file = written("sinks: [{name: a, http: {url: 'http://a'}}]\n");
        let path = file.file.to_str().unwrap();
        let arguments = ["rules", "list", "-c", path, "--set", setting];
        let output = detector(&arguments, &[]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{setting}: {error}");
        assert_eq!(text(&output.stdout), "");
        nothing_shown(setting, &error);
        assert!(error.contains(codes::SECRET), "{error}");
        assert!(error.contains("write it to a file"), "{error}");
    }
    // The value of a query may be one.
    for setting in [
        "http_output.url=http://a/?key=hunter2",
        "sinks[0].http.url='http://a/in?hunter2'",
        "sinks[]={name: b, http: {url: 'http://a/?key=hunter2'}}",
    ] {
        let output = detector(&["rules", "list", "--set", setting], &[]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{setting}: {error}");
        nothing_shown(setting, &error);
        assert!(error.contains(codes::SECRET), "{error}");
        assert!(
            error.contains("write it to a file of the configuration"),
            "{error}"
        );
    }
    // Where it is can be said.
    for setting in [
        "sinks[0].http.bearer.file=/run/secrets/x",
        "sinks[0].http.headers.X-Key={env: KEY}",
    ] {
        let file = written("sinks: [{name: a, http: {url: 'http://a'}}]\n");
        valid(config::load(&Origins {
            file: Some(file.file.clone()),
            settings: vec![setting.to_owned()],
            ..Origins::default()
        }));
    }
}

#[test]
fn the_environment_may_have_one_and_it_is_not_shown() {
    let file = written("sinks: [{name: a, http: {url: 'http://a'}}]\n");
    let path = file.file.to_str().unwrap();
    let whole = "[{name: a, http: {url: 'http://a', bearer: hunter2}}]";
    let good = [("KUBELET_DETECTOR__SINKS", whole)];
    let output = detector(&["config", "show", "-c", path], &good);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    nothing_shown("show", &text(&output.stdout));
    assert!(text(&output.stdout).contains("***"));
    for (name, value) in [
        (
            "KUBELET_DETECTOR__SINKS",
            "[{name: a, http: {bearer: hunter2}}]",
        ),
        (
            "KUBELET_DETECTOR__SINKS",
            "[{name: a, http: {bearer: hunter2",
        ),
        ("KUBELET_DETECTOR__TOKEN", "hunter2"),
        ("KUBELET_DETECTOR__PASSWORT", "hunter2"),
    ] {
        let output = detector(&["config", "check", "-c", path], &[(name, value)]);
        assert_eq!(output.status.code(), Some(3));
        nothing_shown(value, &text(&output.stdout));
        nothing_shown(value, &text(&output.stderr));
        assert!(text(&output.stdout).contains(name));
    }
}

#[test]
fn an_address_has_none_even_where_the_output_is_off() {
    let file = written("http_output: {enabled: false, url: 'https://u:hunter2@host/'}\n");
    let loaded = crate::load(&file.file);
    assert!(loaded.config.is_none());
    assert_eq!(loaded.diagnostics[0].code, codes::SECRET);
    nothing_shown("address", &report(&loaded));
}

/// A run that waits, for a pipe that nobody writes.
#[test]
fn the_list_of_processes_has_none() {
    let file = written(FILE);
    let pipe = file.folder.path().join("trace.jsonl");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR, 0).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_kubelet-detector"))
        .args(["replay", "--log-level", "trace"])
        .arg(&pipe)
        .arg("-c")
        .arg(&file.file)
        .current_dir(TESTS)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let of = |name: &str| fs::read(format!("/proc/{}/{name}", child.id())).unwrap();
    // Once it opens the pipe, its configuration has been read.
    drop(fs::OpenOptions::new().write(true).open(&pipe).unwrap());
    for name in ["cmdline", "comm"] {
        nothing_shown(name, &String::from_utf8_lossy(&of(name)));
    }
    let output = {
        child.wait().unwrap();
        std::io::read_to_string(child.stderr.take().unwrap()).unwrap()
    };
    nothing_shown("log", &output);
}
