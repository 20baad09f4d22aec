//! `config check`, `config show`, `config schema`, and the log.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use crate::{TESTS, detector, text, written};

#[test]
fn check_tells_every_mistake_and_the_warnings() {
    let check = |text_of: &str| {
        let file = written(text_of);
        let path = file.file.to_str().unwrap();
        let output = detector(&["config", "check", "-c", path], &[]);
        let code = output.status.code().unwrap();
        (code, text(&output.stdout), text(&output.stderr))
    };
    let (code, out, error) = check("hostname: a\n");
    assert_eq!(
        (code, out.as_str(), error.as_str()),
        (0, "alerts go to stdout; no error\n", "")
    );
    let (code, out, _) = check("log_syslog: true\nsinks: [{name: a, stdout: {}}]\n");
    assert_eq!(code, 0);
    assert!(
        out.contains("`log_syslog` of Falco is not used here"),
        "{out}"
    );
    assert!(out.ends_with("alerts go to a; no error\n"), "{out}");
    let (code, out, error) = check("log_syslog: true\nhostnam: a\npriority: 5\n");
    assert_eq!(code, 3);
    assert_eq!(
        out.matches("^").count(),
        "log_syslog".len() + "hostnam".len() + 1
    );
    assert_eq!(error, "error: the configuration has 2 errors\n");
}

#[test]
fn a_run_tells_the_mistakes_and_logs_the_warnings() {
    let file = written("hostnam: a\n");
    let path = file.file.to_str().unwrap();
    let output = detector(&["run", "-c", path], &[]);
    assert_eq!(output.status.code(), Some(3));
    let error = text(&output.stderr);
    assert!(
        error.starts_with("error: the configuration is invalid\n"),
        "{error}"
    );
    assert!(error.contains("did you mean `hostname`?"), "{error}");

    let file = written("log_syslog: true\nlog_level: warn\n");
    let path = file.file.to_str().unwrap();
    let replay = |more: &[&str]| {
        let trace = format!("{TESTS}/traces/ipv6.jsonl");
        let arguments = [&["replay", &trace, "-c", path], more].concat();
        let output = detector(&arguments, &[]);
        assert_eq!(output.status.code(), Some(0));
        text(&output.stderr)
    };
    let log = replay(&[]);
    assert!(
        log.contains("WARN") && log.contains(":1:1: CONFIG_NOT_USED: `log_syslog`"),
        "{log}"
    );
    assert!(!log.contains("replayed"), "{log}");
    assert!(replay(&["--log-level", "info"]).contains("replayed"));
    assert_eq!(replay(&["--log-level", "error"]), "");
}

/// As a run does, but nothing is made and nobody is connected to.
#[test]
fn check_looks_at_what_sinks_name() {
    let file = written(
        "file_output: {enabled: true, filename: /no/folder/alerts}\n\
         sinks:\n  \
           - name: siem\n    http:\n      url: https://127.0.0.1:1\n      \
             bearer: {file: /no/token}\n      headers: {X-Key: {env: NO_SUCH_KEY}}\n      \
             tls: {ca: /no/ca.pem}\n  \
           - name: search\n    elasticsearch: {url: http://127.0.0.1:1, user: u}\n  \
           - name: here\n    file: {path: FOLDER/alerts}\n  \
           - name: folder\n    file: {path: FOLDER}\n  \
           - name: log\n    syslog: {address: unix:/no/socket}\n",
    );
    let folder = file.folder.path().to_str().unwrap();
    let written_out = fs::read_to_string(&file.file).unwrap();
    fs::write(&file.file, written_out.replace("FOLDER", folder)).unwrap();
    let path = file.file.to_str().unwrap();
    let output = detector(&["config", "check", "-c", path], &[]);
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(3), "{out}{error}");
    assert_eq!(error, "error: the configuration has 6 errors\n", "{out}");
    for (line, told) in [
        (1, "cannot write /no/folder/alerts: No such file"),
        (3, "cannot read the secret in /no/token"),
        (3, "no certificate can be read of /no/ca.pem"),
        (3, "no secret in the environment variable NO_SUCH_KEY"),
        (9, "give `api_key`, or `user` and `password`"),
        (13, "it is no regular file"),
        (
            15,
            "/no/socket is no socket now: alerts wait until it is one",
        ),
    ] {
        let at = format!("{path}:{line}:");
        let found = out
            .split("\n\n")
            .any(|one| one.contains(&at) && one.contains(told));
        assert!(found, "{at} {told}\n{out}");
    }
    assert!(!out.contains("`here`"), "{out}");
    assert!(!file.folder.path().join("alerts").exists());

    let file = written("sinks: [{name: log, syslog: {address: unix:/no/socket}}]\n");
    let path = file.file.to_str().unwrap();
    let output = detector(&["config", "check", "-c", path], &[]);
    assert_eq!(output.status.code(), Some(0));
    let out = text(&output.stdout);
    assert!(out.contains("warning[CONFIG_NOT_THERE]"), "{out}");
}

#[test]
fn what_ends_a_program_is_a_line_of_json_if_the_log_is() {
    let file = written("hostnam: a\nhostnme: b\n");
    let path = file.file.to_str().unwrap();
    for (arguments, code, told) in [
        (vec!["run", "-c", path], 3, "hostnam"),
        (vec!["config", "check", "-c", path], 3, "2 errors"),
        (vec!["replay", "/no/trace"], 1, "/no/trace"),
        (vec!["run", "--no-such-option"], 2, "--no-such-option"),
    ] {
        for option in [&["--log-format", "json"][..], &["--log-format=json"]] {
            let arguments = [&arguments[..], option].concat();
            let output = detector(&arguments, &[]);
            let error = text(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
            let line: serde_json::Value = serde_json::from_str(&error).unwrap();
            assert_eq!(line["level"], "ERROR");
            let message = line["fields"]["message"].as_str().unwrap();
            assert!(message.contains(told), "{error}");
            assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
        }
        let output = detector(&arguments, &[]);
        assert!(text(&output.stderr).starts_with("error: "));
    }
    let output = detector(&["--log-format", "json", "--help"], &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("Usage: "));
}

/// The run ends for its socket, before there are probes.
#[test]
fn a_run_warns_of_a_network_without_a_spool() {
    let warned = |more: &str| {
        let sinks =
            "sinks: [{name: siem, http: {url: 'http://127.0.0.1:1'}}, {name: out, stdout: {}}]";
        let file = written(&format!("{sinks}\n{more}"));
        let path = file.file.to_str().unwrap();
        let arguments = ["run", "-c", path, "--status-socket", "/dev/null/socket"];
        let output = detector(&arguments, &[]);
        assert_eq!(output.status.code(), Some(1));
        let log = text(&output.stderr);
        assert!(log.contains("--status-socket"), "{log}");
        log.lines()
            .filter(|line| line.contains("spool.path"))
            .count()
            + log.matches("alerts wait for siem in memory alone").count()
    };
    assert_eq!(warned(""), 2, "in one line");
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    assert_eq!(
        warned(&format!("spool: {{path: '{}'}}\n", spool.display())),
        0
    );
}

/// As the start does.
#[test]
fn check_looks_at_the_folder_of_the_spool() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("file"), "").unwrap();
    symlink("nowhere", at("link")).unwrap();
    for (name, mode) in [("own", 0o700), ("shared", 0o777)] {
        fs::create_dir(at(name)).unwrap();
        fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    for (spool, told) in [
        ("file", "is a file, not a folder"),
        ("file/below", "is a file, not a folder"),
        ("shared", "others can write to"),
        ("link", "No such file"),
        ("own", ""),
        ("own/not/yet", ""),
    ] {
        for (sink, waits) in [
            ("http: {url: 'http://127.0.0.1:1'}", true),
            ("stdout: {}", false),
        ] {
            let path = at(spool);
            let path = path.display();
            let file = written(&format!(
                "sinks: [{{name: a, {sink}}}]\nspool: {{path: {path}}}\n"
            ));
            let name = file.file.to_str().unwrap();
            let output = detector(&["config", "check", "-c", name], &[]);
            let out = text(&output.stdout);
            let is_wrong = waits && !told.is_empty();
            let code = if is_wrong { 3 } else { 0 };
            assert_eq!(output.status.code(), Some(code), "{spool} {sink} {out}");
            assert!(
                !is_wrong || out.contains(told) && out.contains("config.yaml:2:"),
                "{out}"
            );
        }
    }
    assert!(!at("own/not").exists());
}

/// The run ends before its probes are attached.
#[test]
fn a_sink_that_no_rule_has_alerts_for_is_told_at_the_start() {
    let file = written(
        "sinks:\n  - {name: slip, rules: ['Kublet *'], stdout: {}}\n  \
           - {name: right, rules: ['Kubelet *'], stdout: {}}\n  \
           - {name: tagged, tags: [netwrok], stdout: {}}\n  \
           - {name: ends, file: {path: /no/folder/alerts}}\n",
    );
    let output = detector(&["run", "--state=", "-c", file.file.to_str().unwrap()], &[]);
    assert_eq!(output.status.code(), Some(1));
    let log = text(&output.stderr);
    for (sink, key) in [("slip", "rules"), ("tagged", "tags")] {
        let line =
            format!("the sink `{sink}` gets no alert but heartbeats: its `{key}` are of no rule");
        assert!(log.contains(&line), "{log}");
    }
    assert_eq!(log.matches("gets no alert").count(), 2, "{log}");
}
