//! The real binary and the library, without privileges.
#![expect(
    clippy::string_slice,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "event.rs"]
mod event;
#[path = "loaded.rs"]
mod loaded;

use std::{
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
    sync::Arc,
};

use detector::{
    event::{Asked, Event, Item, Kind, Loss, Process},
    host::Host,
    trace,
};
use loaded::{load, ruleset};

const SHIPPED: &str = include_str!("../rules/kubelet_rules.yaml");

/// Of a process of which little is known.
fn event(kind: Kind, name: &str, port: u16) -> Event {
    let mut event = event::event(kind);
    event.process = Arc::new(Process {
        pid: 42,
        ..Process::default()
    });
    event.thread.comm = name.to_owned();
    event.socket.server.port = port;
    event
}

fn one_rule(condition: &str) -> String {
    format!(
        "- rule: r\n  desc: d\n  condition: {condition}\n  output: o %fd.name\n  priority: INFO\n"
    )
}

fn matches(condition: &str, event: &Event) -> bool {
    ruleset(&[&one_rule(condition)])
        .evaluate(event)
        .next()
        .is_some()
}

#[test]
fn every_shipped_rule_fires_on_one_event_and_not_on_another() {
    let rules = ruleset(&[SHIPPED]);
    let rows = [
        (
            Kind::ConnectAttempt,
            "Unauthorized Kubelet API Access",
            "kubelet",
        ),
        (
            Kind::Accept,
            "Kubelet API Accepted By Unexpected Process",
            "kubelet",
        ),
        (
            Kind::Listen,
            "Unexpected Listener On Kubelet Port",
            "kubelet",
        ),
    ];
    assert_eq!(
        rows.len(),
        rules.rules().len(),
        "a row for each shipped rule"
    );
    for (kind, rule, allowed) in rows {
        let fired = |name, port| -> Vec<String> {
            rules
                .evaluate(&event(kind, name, port))
                .map(|rule| rule.name.clone())
                .collect()
        };
        assert_eq!(fired("curl", 10250), [rule]);
        assert!(fired(allowed, 10250).is_empty(), "{rule}");
        assert!(fired("curl", 10999).is_empty(), "{rule}");
    }
    assert_eq!(
        rules
            .evaluate(&event(Kind::ConnectOutcome, "curl", 10250))
            .count(),
        0
    );
}

#[test]
fn conditions_mean_what_falco_means() {
    let attempt = event(Kind::ConnectAttempt, "curl", 10250);
    for (condition, expected) in [
        ("evt.type = connect", true),
        ("evt.type != connect", false),
        ("not evt.type = accept and fd.sport = 10250", true),
        ("fd.sport in (1, 10250)", true),
        ("fd.sport in ()", false),
        ("fd.sport > 10249 and fd.sport <= 10250", true),
        ("proc.name startswith cu and proc.name endswith rl", true),
        ("proc.name contains ur", true),
        ("proc.name = \"curl\" or fd.sport = 1", true),
        ("proc.pname exists", false),
        ("proc.pname != bash", false),
        ("not proc.pname = bash", true),
        ("fd.sip = 10.0.0.5", true),
        ("fd.cport = 5002", true),
        ("fd.l4proto = tcp and container.id = host", true),
    ] {
        assert_eq!(matches(condition, &attempt), expected, "{condition}");
    }
    let outcome = event(Kind::ConnectOutcome, "curl", 10250);
    assert!(matches(
        "evt.res = ECONNREFUSED and evt.rawres = -111",
        &outcome
    ));
    assert!(
        !matches("evt.res = ECONNREFUSED", &attempt),
        "the attempt has no result yet"
    );
}

#[test]
fn a_local_file_appends_to_the_allowlist() {
    let local = "- list: kubelet_api_clients\n  items: [curl]\n  override: {items: append}\n";
    let rules = ruleset(&[SHIPPED, local]);
    for name in ["curl", "kubelet", "kube-apiserver"] {
        assert_eq!(
            rules
                .evaluate(&event(Kind::ConnectAttempt, name, 10250))
                .count(),
            0,
            "{name}"
        );
    }
    assert_eq!(
        rules
            .evaluate(&event(Kind::ConnectAttempt, "wget", 10250))
            .count(),
        1
    );
}

#[test]
fn watched_ports_come_from_the_conditions() {
    let shipped = ruleset(&[SHIPPED]);
    let watched = shipped.watched_ports();
    assert_eq!(watched.connect.ports(), [10250]);
    assert_eq!(watched.accept.ports(), [10250]);
    assert_eq!(watched.listen.ports(), [10250, 10255]);
    let open = ruleset(&[&one_rule("evt.type = connect and not fd.sport = 1")]);
    assert_eq!(open.watched_ports().connect.ports().len(), 65_535);
    assert!(open.watched_ports().accept.ports().is_empty());
}

#[test]
fn mistakes_are_all_reported_where_they_stand() {
    let loaded = load(&[
        "- rule: a\n  desc: d\n  condition: fd.sprt = 1\n  output: o\n  priority: INFO\n\
                         - rule: b\n  desc: d\n  condition: evt.type =\n  output: \"%nope.x\"\n  priority: LOUD\n",
    ]);
    assert!(loaded.ruleset.is_none());
    let found: Vec<_> = loaded
        .diagnostics
        .iter()
        .map(|one| (one.line, one.column, one.code))
        .collect();
    let condition = "LOAD_ERR_COMPILE_CONDITION";
    let expected = [
        (3, 14, condition),
        (8, 23, condition),
        (9, 12, "LOAD_ERR_COMPILE_OUTPUT"),
        (10, 13, "LOAD_ERR_YAML_VALIDATE"),
    ];
    assert_eq!(found, expected, "{:#?}", loaded.diagnostics);
    let help = loaded.diagnostics[0].help.as_deref();
    assert_eq!(help, Some("did you mean `fd.sport`?"));
}

fn host() -> Host {
    Host {
        hostname: "node-1".to_owned(),
        ..Host::default()
    }
}

fn record(path: &Path) {
    let mut writer = trace::Writer::create(path, &host(), &Asked::default()).unwrap();
    for kind in [
        Kind::Listen,
        Kind::ConnectAttempt,
        Kind::ConnectOutcome,
        Kind::Accept,
    ] {
        writer
            .write(&Item::Event(event(kind, "curl", 10250)))
            .unwrap();
    }
    let (subject, cause) = ("connect".to_owned(), "ring_buffer_full".to_owned());
    writer
        .write(&Item::Drop(Loss {
            time_ns: 5,
            subject,
            cause,
            count: 3,
        }))
        .unwrap();
    writer.finish().unwrap();
}

fn detector(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubelet-detector"))
        .args(args)
        .output()
        .unwrap()
}

/// Neither a full disk nor a reader of the log that is gone.
#[test]
fn a_log_that_cannot_be_written_hinders_no_alert() {
    let replay = |log: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubelet-detector"));
        command
            .args(["replay", "traces/accept.jsonl", "-r", "../rules"])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests"));
        command.stderr(log).output().unwrap()
    };
    let full = std::fs::File::options().write(true).open("/dev/full");
    let (nobody, pipe) = std::io::pipe().unwrap();
    drop(nobody);
    let expected = replay(Stdio::null());
    assert!(!expected.stdout.is_empty());
    for log in [Stdio::from(full.unwrap()), Stdio::from(pipe)] {
        let output = replay(log);
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(output.stdout, expected.stdout);
    }
}

#[test]
fn a_trace_replays_to_the_same_alerts_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let outputs = ["t.jsonl", "t.jsonl.zst", "t.kdt", "t.kdt.zst"].map(|name| {
        let path = folder.path().join(name);
        record(&path);
        let output = detector(&["replay", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    });
    for output in &outputs {
        assert_eq!(output, &outputs[0]);
    }
    let expected = "\
22:13:20.000000001: Warning Unexpected listener on a kubelet port \
(process=curl exe= listener=10.0.0.5:10250 user=root)
22:13:20.000000001: Warning Suspicious kubelet API access \
(process=curl connection=10.0.0.9:5002->10.0.0.5:10250 user=root)
22:13:20.000000001: Notice Kubelet port served by another process \
(process=curl exe= connection=10.0.0.9:5002->10.0.0.5:10250)
00:00:00.000000005: Critical 3 connect events were lost (ring_buffer_full)
";
    assert_eq!(outputs[0], expected);
}

#[test]
fn a_trace_keeps_which_sockets_were_found() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["t.jsonl", "t.kdt"] {
        let path = folder.path().join(name);
        let mut writer = trace::Writer::create(&path, &host(), &Asked::default()).unwrap();
        let mut written = Vec::new();
        for found in [true, false, true] {
            let mut one = event(Kind::Listen, "curl", 10250);
            one.found = found;
            if written.len() == 2 {
                one.names = Some(Box::default());
            }
            written.push(Item::Event(one));
        }
        written.iter().for_each(|one| writer.write(one).unwrap());
        writer.finish().unwrap();
        let mut reader = trace::Reader::open(&path, |file| Box::new(file)).unwrap();
        let mut read = Vec::new();
        while let Some(item) = reader.next_item().unwrap() {
            read.push(item);
        }
        assert_eq!(read, written, "{name}");
    }
}

#[test]
fn alerts_are_falcos_object() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.jsonl");
    record(&path);
    let output = detector(&["replay", "--format", "json", path.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    let alert: serde_json::Value = serde_json::from_str(
        text.lines()
            .find(|line| line.contains("Suspicious"))
            .unwrap(),
    )
    .unwrap();
    assert_eq!(alert["priority"], "Warning");
    assert_eq!(alert["hostname"], "node-1");
    assert_eq!(alert["time"], "2023-11-14T22:13:20.000000001Z");
    assert_eq!(
        alert["output_fields"]["fd.name"],
        "10.0.0.9:5002->10.0.0.5:10250"
    );
    assert_eq!(alert["sequence"], 2);
    assert_eq!(alert["tags"], serde_json::json!(["kubelet", "network"]));
}

#[test]
fn bad_input_has_one_error_and_the_documented_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = folder.path().join("good.jsonl");
    record(&good);
    let whole = std::fs::read_to_string(&good).unwrap();
    let cut = write("cut.jsonl", &whole[..whole.len() - 30]);
    let newer = write(
        "newer.jsonl",
        &whole.replacen("\"version\":5", "\"version\":99", 1),
    );
    let alien = write("alien.jsonl", "{}\n");
    let syntax = write("syntax.yaml", &one_rule("evt.type = connect and"));
    for (args, code, message) in [
        (
            vec!["replay", &cut],
            1,
            "cut.jsonl:10: the trace is truncated",
        ),
        (vec!["replay", &newer], 1, "trace version 99 is not known"),
        (vec!["replay", &alien], 1, "no kubelet-detector trace"),
        (vec!["replay", "/no/such/trace"], 1, "cannot open the trace"),
        (vec!["rules", "list", "-r", &syntax], 3, "ends too early"),
        (
            vec!["rules", "list", "-r", "/no/such/folder"],
            3,
            "name a file or folder",
        ),
        (vec!["run", "--duration", "10"], 2, "the unit is missing"),
    ] {
        let output = detector(&args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {stderr}");
        assert!(stderr.contains(message), "{args:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
    }
    let stdout = detector(&["replay", &cut]).stdout;
    assert_eq!(
        String::from_utf8(stdout).unwrap().lines().count(),
        3,
        "what precedes is replayed"
    );
}

/// It has the arguments of processes in it.
#[test]
fn a_trace_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["trace.jsonl", "trace.jsonl.zst"] {
        let path = folder.path().join(name);
        trace::Writer::create(&path, &host(), &Asked::default()).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
