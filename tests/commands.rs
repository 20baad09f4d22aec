//! The `rules` commands of the real binary, and the start of a run.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "commands/start.rs"]
mod start;

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
        ("", ":1:1: nothing is tested"),
        ("[]\n", ":1:1: nothing is tested"),
        (
            "- test: t\n  event: {}\n  trace: x\n  fires: []\n",
            ":2:10: a test has one source of events: leave out `event` or `trace`",
        ),
        (
            "- test: t\n  event: {}\n  fires: []\n- test: t\n  event: {}\n  fires: []\n",
            ":4:9: the test of line 1 is called `t` too",
        ),
        (
            "- test: t\n  event: {fd.sport: 1, fd.sport: 2}\n  fires: []\n",
            ":2:24: `fd.sport` is given twice",
        ),
        (
            "- test: t\n  event: {evt.type: listen, fd.cport: 2}\n  fires: []\n",
            "`fd.cport` is of a connection: leave it out of a listen",
        ),
        (
            "- test: t\n  event: {evt.type: accept, evt.rawres: -11}\n  fires: []\n",
            "`evt.rawres` is of a connect",
        ),
        (
            "- test: t\n  event: {evt.type: [listen]}\n  fires: []\n",
            "`evt.type` is connect, accept or listen",
        ),
        (
            "- test: t\n  event: {fd.sip: '::1', fd.cip: 127.0.0.1}\n  fires: []\n",
            "`fd.cip` is of another family than `fd.sip`",
        ),
        (
            "- test: t\n  event: {}\n  fires: [Unexpected Listener On Kubelet Port]\n  silent: [Unexpected Listener On Kubelet Port]\n",
            ":4:11: `Unexpected Listener On Kubelet Port` cannot fire and be silent",
        ),
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
            "`proc.name` has at most 15 bytes",
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

#[test]
fn a_test_of_a_rule_out_of_force_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (rules, tests) = (folder.path().join("r.yaml"), folder.path().join("t.yaml"));
    let rule = |name: &str, check: &str| {
        format!(
            "- rule: {name}\n  desc: d\n  condition: evt.type = connect and {check}\n  output: o\n  priority: INFO\n"
        )
    };
    let udp = rule("udp", "fd.l4proto = udp");
    fs::write(&rules, rule("off", "fd.sport = 10250") + &udp).unwrap();
    fs::write(
        &tests,
        "- test: a\n  event: {}\n  fires: [off]\n- test: b\n  event: {}\n  fires: [udp]\n",
    )
    .unwrap();
    let (rules, tests) = (rules.to_str().unwrap(), tests.to_str().unwrap());
    let (code, out, error) = detector(&["rules", "test", tests, "-r", rules, "--disable", "off"]);
    assert_eq!(code, 1, "{error}");
    assert!(out.contains("`off` did not fire: it is disabled"), "{out}");
    assert!(
        out.contains("`udp` did not fire: it is inactive: "),
        "{out}"
    );
}

/// Each field of an event is what a rule reads.
#[test]
fn the_fields_of_an_event_are_those_that_rules_read() {
    let folder = tempfile::tempdir().unwrap();
    let (rules, tests) = (folder.path().join("r.yaml"), folder.path().join("t.yaml"));
    let given = [
        ("evt.type", "connect"),
        ("evt.rawres", "-111"),
        ("evt.cpu", "3"),
        ("fd.cip", "10.1.1.1"),
        ("fd.cport", "4000"),
        ("fd.sip", "10.1.1.2"),
        ("fd.sport", "10255"),
        ("proc.name", "sh"),
        ("proc.exe", "busybox"),
        ("proc.exepath", "/bin/busybox"),
        ("proc.cwd", "/root/"),
        ("proc.pid", "7"),
        ("proc.vpid", "8"),
        ("proc.sid", "9"),
        ("proc.pgid", "10"),
        ("proc.tty", "11"),
        ("proc.exe_ino", "12"),
        ("proc.exe_dev", "13"),
        ("proc.exe_deleted", "true"),
        ("proc.is_exe_from_memfd", "true"),
        ("proc.is_exe_upper_layer", "true"),
        ("thread.tid", "14"),
        ("thread.cgroups", "/kubepods"),
        ("user.uid", "15"),
        ("user.name", "ann"),
        ("user.euid", "16"),
        ("user.loginuid", "17"),
        ("user.loginname", "bob"),
        ("group.gid", "18"),
        ("group.name", "staff"),
        ("container.id", "0123456789ab"),
    ];
    let checks = given.map(|(field, value)| format!("{field} = {value}"));
    let checks = checks.join(" and ") + " and proc.args = a and proc.aname[2] = sshd";
    let event = given.map(|(field, value)| format!("{field}: {value}"));
    let event = event.join(", ") + ", proc.args: [a], proc.aname: [bash, sshd]";
    fs::write(
        &rules,
        format!("- rule: r\n  desc: d\n  condition: {checks}\n  output: o\n  priority: INFO\n"),
    )
    .unwrap();
    fs::write(
        &tests,
        format!("- test: a\n  event: {{{event}}}\n  fires: [r]\n"),
    )
    .unwrap();
    let (rules, tests) = (rules.to_str().unwrap(), tests.to_str().unwrap());
    let (code, out, error) = detector(&["rules", "test", tests, "-r", rules]);
    assert_eq!(code, 0, "{out}{error}");
}
