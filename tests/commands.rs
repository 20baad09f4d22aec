//! The `rules` commands of the real binary.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, process::Command};

use serde_json::Value;

/// Exit code, stdout and stderr.
fn detector(args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kubelet-detector"))
        .args(args)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests"))
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

const WRONG: &str = "- rule: r\n  desc: d\n  condition: fd.sprt = 1\n  output: o\n  priority: INFO\n- macro: unused\n  condition: evt.num = 1\n";

#[test]
fn what_is_no_utf_8_is_refused_by_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("latin.yaml");
    fs::write(&path, b"# names\n- list: l\n  items: [m\xfcller]\n").unwrap();
    let (code, _, error) = detector(&["rules", "check", "-r", path.to_str().unwrap()]);
    assert_eq!(code, 3);
    assert!(error.contains("latin.yaml:3: this is no UTF-8"), "{error}");
}

#[test]
fn check_writes_every_style() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wrong.yaml");
    fs::write(&path, WRONG).unwrap();
    let file = path.to_str().unwrap();

    let (code, out, error) = detector(&["rules", "check", "-r", file]);
    assert_eq!(code, 3);
    assert!(out.contains("^^^^^^^"), "{out}");
    assert!(error.contains("the rules have 1 error"), "{error}");

    let (_, out, _) = detector(&["rules", "check", "-r", file, "--format", "line"]);
    assert!(
        out.starts_with(&format!("{file}:3:14: LOAD_ERR_COMPILE_CONDITION: ")),
        "{out}"
    );
    assert_eq!(out.lines().count(), 2, "{out}");

    let (_, out, _) = detector(&["rules", "check", "-r", file, "--format", "json"]);
    let first: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!(first["help"], "did you mean `fd.sport`?");
    assert_eq!((&first["line"], &first["column"]), (&3.into(), &14.into()));

    let (_, out, _) = detector(&["rules", "check", "-r", file, "--format", "falco-json"]);
    let result: Value = serde_json::from_str(&out).unwrap();
    let result = &result["falco_load_results"][0];
    assert_eq!(result["name"], file);
    assert_eq!(result["successful"], false);
    assert_eq!(result["errors"][0]["code"], "LOAD_ERR_COMPILE_CONDITION");
    assert_eq!(result["warnings"][0]["code"], "LOAD_UNUSED_MACRO");
    let locations = result["errors"][0]["context"]["locations"]
        .as_array()
        .unwrap();
    let of_condition = |one: &&Value| one["item_type"] == "rule condition";
    let position = &locations.iter().find(of_condition).unwrap()["position"];
    assert_eq!(
        (&position["line"], &position["column"]),
        (&2.into(), &13.into())
    );
    let snippet = result["errors"][0]["context"]["snippet"].as_str().unwrap();
    assert_eq!(snippet, "  condition: fd.sprt = 1\n             ^\n");
}

#[test]
fn a_switch_that_names_no_rule_is_told() {
    for (which, expected) in [
        ("nosuch", "no rule is called `nosuch`"),
        ("tag:nosuch", "no rule has the tag `nosuch`"),
    ] {
        let (code, _, error) = detector(&["rules", "check", "--disable", which]);
        assert_eq!(code, 0, "{error}");
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn explain_shows_every_node() {
    let trace = "traces/allowlisted.jsonl";
    let (code, out, _) = detector(&["rules", "explain", trace, "--rule", "Unauth*"]);
    let expected = r#"Unauthorized Kubelet API Access: does not match
false and
true    evt.type = "connect"    # "connect"
true    fd.sport = "10250"    # "10250"
false   not
true      proc.name in ("kubelet", "kube-apiserver")    # "kubelet"
"#;
    assert_eq!((code, out.as_str()), (0, expected));
    let (_, out, _) = detector(&[
        "rules",
        "explain",
        "traces/refused.jsonl",
        "--rule",
        "Unauth*",
    ]);
    assert!(
        out.starts_with("Unauthorized Kubelet API Access: matches\ntrue  and\n"),
        "{out}"
    );
    for (more, message) in [
        (["--event", "99"], "none with the number 99"),
        (["--rule", "nosuch"], "no rule `nosuch`"),
    ] {
        let (code, _, error) = detector(&["rules", "explain", trace, more[0], more[1]]);
        assert_eq!(code, 3);
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn the_users_tests_pass_or_name_the_difference() {
    let (code, out, error) = detector(&["rules", "test", "suites/shipped.yaml"]);
    assert_eq!(code, 0, "{out}{error}");
    assert!(out.ends_with("8 passed, 0 failed\n"), "{out}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tests.yaml");
    let file = path.to_str().unwrap();
    let event = "- test: t\n  event: {proc.name: curl}\n";
    for (more, expected) in [
        ("  fires: []\n", "`Unauthorized Kubelet API Access` fired"),
        (
            "  fires: [Unexpected Listener On Kubelet Port]\n",
            "`Unexpected Listener On Kubelet Port` did not fire",
        ),
        (
            "  silent: [Unauthorized Kubelet API Access]\n",
            "`Unauthorized Kubelet API Access` fired",
        ),
    ] {
        fs::write(&path, format!("{event}{more}")).unwrap();
        let (code, out, _) = detector(&["rules", "test", file]);
        assert_eq!(code, 1, "{out}");
        assert!(out.contains(expected) && out.contains("FAIL t"), "{out}");
    }
    for (text, expected) in [
        ("a: 1\n", ":1:1: a test file is a sequence"),
        ("- test: t\n  evnt: {}\n", ":2:3: `evnt` is not known here"),
        ("- test: t\n  event: {}\n", "lacks an expectation"),
        ("- test: t\n  fires: []\n", "lacks `trace: FILE` or `event"),
        (
            "- test: t\n  event: {fd.sport: x}\n  fires: []\n",
            ":2:21: `x` is no value of `fd.sport`",
        ),
        (
            "- test: t\n  event: {evt.rawres: 7}\n  fires: []\n",
            "`evt.rawres` is 0 or a negative errno",
        ),
        (
            "- test: t\n  event: {proc.name: kube-controller-manager}\n  fires: []\n",
            "the kernel keeps 15 bytes of `proc.name`",
        ),
        (
            "- test: t\n  event: {}\n  fires: [nosuch]\n",
            "no rule is called `nosuch`",
        ),
        (
            "- test: t\n  trace: nosuch.jsonl\n  fires: []\n",
            "nosuch.jsonl",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let (code, _, error) = detector(&["rules", "test", file]);
        assert_eq!(code, 3, "{error}");
        assert!(error.contains(expected), "{text}: {error}");
    }
}
