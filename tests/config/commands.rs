//! `config check`, `config show`, `config schema`, and the log.

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
