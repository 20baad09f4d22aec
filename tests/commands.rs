//! The `rules` commands of the real binary.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

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

/// What cannot be read is told in every style, and what is wrong in the other files too.
#[test]
fn files_that_cannot_be_read_are_mistakes_among_others() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (latin, wrong) = (file("latin.yaml"), file("wrong.yaml"));
    fs::write(&latin, b"# names\n- list: l\n  items: [m\xfcller]\n").unwrap();
    fs::write(
        &wrong,
        format!("{WRONG}- macro: m\n  condition: elsewhere\n"),
    )
    .unwrap();
    let missing = file("missing.yaml");
    let check = |style: &str| {
        let files = ["-r", &latin, "-r", &missing, "-r", &wrong];
        let arguments = ["rules", "check", "--format", style];
        detector(&[&arguments[..], &files[..]].concat())
    };

    let (code, out, error) = check("line");
    assert_eq!(code, 3);
    assert!(error.contains("the rules have 3 errors"), "{error}");
    let lines: Vec<&str> = out.lines().collect();
    let begins = [
        format!("{latin}:3:12: LOAD_ERR_FILE_READ: this is no UTF-8 (save"),
        format!("{missing}:1:1: LOAD_ERR_FILE_READ: cannot be read: No such file"),
        format!("{wrong}:3:14: LOAD_ERR_COMPILE_CONDITION: "),
    ];
    // Neither an undefined nor an unused macro: the others may define and use it.
    assert_eq!(lines.len(), begins.len(), "{out}");
    for (line, begin) in lines.iter().zip(&begins) {
        assert!(line.starts_with(begin), "{line}");
    }

    let (_, out, _) = check("full");
    assert!(out.contains("items: [m\u{fffd}ller]"), "{out}");
    assert!(out.contains(&format!("--> {missing}\n")), "{out}");
    let (_, out, _) = check("json");
    assert_eq!(out.matches("\"LOAD_ERR_FILE_READ\"").count(), 2, "{out}");
    let (_, out, _) = check("falco-json");
    let result: Value = serde_json::from_str(&out).unwrap();
    for (number, name, code) in [
        (0, &latin, "LOAD_ERR_FILE_READ"),
        (1, &missing, "LOAD_ERR_FILE_READ"),
        (2, &wrong, "LOAD_ERR_COMPILE_CONDITION"),
    ] {
        let result = &result["falco_load_results"][number];
        assert_eq!(result["name"], name.as_str());
        assert_eq!(result["successful"], false);
        assert_eq!(result["errors"][0]["code"], code);
    }

    let trace = "traces/allowlisted.jsonl";
    let (code, out, error) = detector(&["replay", trace, "-r", &missing]);
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(error.contains("cannot be read: No such file"), "{error}");
}

#[test]
fn a_rules_folder_gives_its_files_and_names_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let check = || detector(&["rules", "check", "-r", folder.path().to_str().unwrap()]);
    let (code, out, _) = check();
    assert_eq!(code, 3);
    assert!(
        out.contains("the folder has no .yaml or .yml file"),
        "{out}"
    );

    // A config map's mount: links to files in a folder that is a link itself.
    let good = WRONG.replace("sprt", "sport");
    fs::create_dir(path("..2026_01_01")).unwrap();
    fs::write(path("..2026_01_01/rules.yaml"), &good).unwrap();
    symlink("..2026_01_01", path("..data")).unwrap();
    symlink("..data/rules.yaml", path("rules.yaml")).unwrap();
    fs::write(path(".hidden.yml"), good.replace("rule: r", "rule: h")).unwrap();
    fs::write(path("notes.txt"), "no rules").unwrap();
    fs::create_dir(path("x.yaml")).unwrap();
    let (code, out, error) = check();
    assert_eq!(code, 0, "{out}{error}");
    assert!(out.contains("2 rules active"), "{out}");
    assert!(error.contains("x.yaml` is a folder, not a file"), "{error}");

    symlink("nowhere", path("lost.yaml")).unwrap();
    fs::write(path("wrong.yaml"), WRONG).unwrap();
    let (code, out, error) = check();
    assert_eq!(code, 3);
    assert!(out.contains("lost.yaml\n"), "{out}");
    assert!(out.contains("nonexistent field `fd.sprt`"), "{out}");
    assert!(error.contains("the rules have 2 errors"), "{error}");
}

#[test]
fn what_is_no_file_or_has_no_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large.yaml");
    let file = fs::File::create(&large).unwrap();
    file.set_len((16 << 20) + 1).unwrap();
    for (path, told) in [
        (large.to_str().unwrap(), "has more than 16 MiB"),
        ("/dev/zero", "is a device, not a file"),
    ] {
        let (code, out, _) = detector(&["rules", "check", "-r", path]);
        assert_eq!(code, 3);
        assert!(out.contains(told), "{out}");
    }
}

#[test]
fn check_counts_what_list_shows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yaml");
    let of = |name: &str, condition: &str, more: &str| {
        format!(
            "- rule: {name}\n  desc: d\n  condition: evt.type = {condition}\n  output: o\n  priority: INFO\n{more}"
        )
    };
    let off = "  enabled: false\n";
    let rules = [
        of("good", "connect", ""),
        of("off", "accept", off),
        of("unseen", "open", ""),
        of("unseen and off", "open", off),
        of("never", "connect and proc.name = a and proc.name = b", ""),
        of(
            "never and off",
            "connect and fd.sport = 1 and fd.sport = 2",
            off,
        ),
    ];
    fs::write(&path, rules.concat()).unwrap();
    let file = path.to_str().unwrap();
    for (more, counts, states) in [
        (
            &[][..],
            "1 rule active, 3 disabled, 2 inactive, no error",
            [
                "active", "disabled", "inactive", "disabled", "inactive", "disabled",
            ],
        ),
        (
            &["--enable", "*"][..],
            "2 rules active, 0 disabled, 4 inactive, no error",
            [
                "active", "active", "inactive", "inactive", "inactive", "inactive",
            ],
        ),
    ] {
        let (_, out, _) = detector(&[&["rules", "check", "-r", file], more].concat());
        assert_eq!(out.lines().last(), Some(counts));
        let (_, out, _) = detector(&[&["rules", "list", "-r", file], more].concat());
        let shown: Vec<&str> = out
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert_eq!(shown, states);
        assert!(
            out.contains("unseen (only connect, accept and listen"),
            "{out}"
        );
        let reason = "`proc.name = \"a\"` and `proc.name = \"b\"` are never both true";
        assert!(out.contains(&format!("never ({reason})\n")), "{out}");
    }
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
