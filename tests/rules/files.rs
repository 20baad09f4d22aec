//! Files: definition, redefinition, append, override, exceptions, lists, macros and their order.

use detector::{
    event::Kind,
    rules::{Ruleset, diagnostic::Severity},
};

use crate::{codes, events::event, load, rule, ruleset};

pub(crate) fn fires(texts: &[&str]) -> Vec<String> {
    names(&ruleset(texts))
}

fn names(rules: &Ruleset) -> Vec<String> {
    rules
        .evaluate(&event(Kind::ConnectAttempt))
        .map(|rule| rule.name.clone())
        .collect()
}

/// The text defines `r`; whether it matches curl connecting to 10250.
pub(crate) fn matches(text: &str) -> bool {
    fires(&[text]) == ["r"]
}

pub(crate) const CURL: &str = "evt.type = connect and proc.name = curl";

pub(crate) fn errors(texts: &[&str]) -> Vec<&'static str> {
    codes(&load(texts), Severity::Error)
}

pub(crate) fn warnings(texts: &[&str]) -> Vec<&'static str> {
    codes(&load(texts), Severity::Warning)
}

pub(crate) const SHAPE: &str = "LOAD_ERR_YAML_VALIDATE";
pub(crate) const VALIDATE: &str = "LOAD_ERR_VALIDATE";
pub(crate) const CONDITION: &str = "LOAD_ERR_COMPILE_CONDITION";
const DEPRECATED: &str = "LOAD_DEPRECATED_ITEM";

#[test]
fn files_may_be_empty_and_hold_several_documents() {
    for text in ["", "---\n---\n", "# nothing\n", "- \n- ~\n"] {
        assert_eq!(errors(&[text]), Vec::<&str>::new(), "{text}");
    }
    let two = format!("{}---\n{}", rule("a", CURL), rule("b", CURL));
    assert_eq!(fires(&[&two]), ["a", "b"]);
}

#[test]
fn override_changes_the_named_keys() {
    let base = rule("r", CURL);
    let more = |yaml: &str| format!("- rule: r\n{yaml}");
    for (yaml, expected) in [
        (
            "  condition: and fd.sport = 1\n  override: {condition: append}\n",
            false,
        ),
        (
            "  condition: fd.sport = 1\n  override: {condition: replace}\n",
            false,
        ),
        (
            "  condition: or fd.sport = 1\n  override: {condition: append}\n",
            true,
        ),
        ("  enabled: false\n  override: {enabled: replace}\n", false),
        ("  enabled: no\n  override: {enabled: replace}\n", false),
        ("  tags: [x]\n  override: {tags: append}\n", true),
        (
            "  condition: and fd.sport = 10250\n  enabled: true\n  override: {condition: append, enabled: replace}\n",
            true,
        ),
        ("  override: {}\n  enabled: false\n", false),
    ] {
        let loaded = ruleset(&[&base, &more(yaml)]);
        assert_eq!(names(&loaded) == ["r"], expected, "{yaml}");
    }
    let changed = more(
        "  output: and %proc.name\n  desc: more\n  tags: [b, a]\n  priority: ERROR\n  override: {output: append, desc: append, tags: replace, priority: replace}\n",
    );
    let rules = ruleset(&[&base, &changed]);
    let rule = &rules.rules()[0];
    assert_eq!(
        (rule.desc.as_str(), rule.priority.as_str()),
        ("d more", "Error")
    );
    assert_eq!(rule.tags, ["a", "b"]);
    let mut message = String::new();
    rule.render(
        &event(Kind::ConnectAttempt),
        &detector::host::Host::default(),
        &mut message,
    );
    assert_eq!(message, "o and curl");
}

#[test]
fn joined_conditions_are_joined_as_text() {
    let base = rule("r", "proc.name = curl or proc.name = wget");
    let append = "- rule: r\n  condition: and fd.sport = 1\n  override: {condition: append}\n";
    assert_eq!(fires(&[&base, append]), ["r"]);
}

#[test]
fn override_refuses_what_falco_refuses() {
    let base = rule("r", CURL);
    for (yaml, code) in [
        (
            "- rule: r\n  priority: INFO\n  override: {priority: append}\n",
            SHAPE,
        ),
        (
            "- rule: r\n  source: x\n  override: {source: replace}\n",
            SHAPE,
        ),
        (
            "- rule: r\n  condition: x\n  override: {condition: merge}\n",
            SHAPE,
        ),
        ("- rule: r\n  override: {condition: append}\n", SHAPE),
        (
            "- rule: r\n  condition: and a\n  enabled: true\n  override: {condition: append}\n",
            SHAPE,
        ),
        (
            "- rule: r\n  condition: and a\n  append: true\n  override: {condition: append}\n",
            SHAPE,
        ),
        (
            "- rule: x\n  condition: and a\n  override: {condition: append}\n",
            VALIDATE,
        ),
        (
            "- rule: x\n  condition: a\n  override: {condition: replace}\n",
            VALIDATE,
        ),
        (
            "- list: x\n  items: []\n  override: {items: append}\n",
            VALIDATE,
        ),
        (
            "- macro: x\n  condition: a\n  override: {condition: append}\n",
            VALIDATE,
        ),
        ("- rule: x\n  enabled: false\n", VALIDATE),
        ("- rule: r\n", SHAPE),
        ("- rule: r\n  condition: a\n", SHAPE),
        ("- rule: r\n  append: true\n", VALIDATE),
        (
            "- rule: r\n  source: k8s_audit\n  desc: x\n  override: {desc: append}\n",
            VALIDATE,
        ),
    ] {
        assert!(errors(&[&base, yaml]).contains(&code), "{yaml}");
    }
    let list = "- list: x\n  items: [curl]\n  override: {items: replace}\n";
    assert_eq!(fires(&[list, &rule("r", "proc.name in (x)")]), ["r"]);
}

#[test]
fn redefinition_keeps_the_order_and_resets_the_rest() {
    let first = format!("{}  enabled: false\n{}", rule("a", CURL), rule("b", CURL));
    assert_eq!(fires(&[&first, &rule("a", CURL)]), ["a", "b"]);
    let off = "- rule: a\n  enabled: false\n";
    assert_eq!(fires(&[&rule("a", CURL), off]), Vec::<String>::new());
    assert!(warnings(&[&rule("a", CURL), off]).contains(&DEPRECATED));
}

#[test]
fn the_deprecated_append_joins_and_warns() {
    let base = rule("r", CURL);
    let append = "- rule: r\n  append: true\n  enabled: false\n  condition: and fd.sport = 10250\n";
    assert_eq!(fires(&[&base, append]), ["r"]);
    assert_eq!(warnings(&[&base, append]), [DEPRECATED]);
    let list = "- list: l\n  items: [a]\n- list: l\n  items: [curl]\n  append: true\n";
    assert!(matches(&format!("{list}{}", rule("r", "proc.name in (l)"))));
    let body = "- macro: m\n  condition: proc.name = x\n- macro: m\n  condition: or fd.sport = 10250\n  append: true\n";
    assert!(matches(&format!("{body}{}", rule("r", "m"))));
}

#[test]
fn lists_expand_as_text() {
    let lists = "- list: a\n  items: [curl, \"b c\"]\n- list: empty\n  items: []\n- list: ports\n  items: [1, 10250]\n";
    for (condition, expected) in [
        ("proc.name in (a)", true),
        ("proc.name in (x, a, y)", true),
        ("proc.name in (\"a\")", false),
        ("proc.name in (empty)", false),
        ("proc.name in (empty, curl)", true),
        ("fd.sport in (ports)", true),
        ("proc.name = anyof (a)", true),
        ("not proc.name in (empty)", true),
    ] {
        let text = format!("{lists}{}", rule("r", condition));
        assert_eq!(matches(&text), expected, "{condition}");
    }
    let bare = format!("{lists}{}", rule("r", "proc.name = a"));
    assert_eq!(errors(&[&bare]), [CONDITION]);
    // A later list still applies.
    assert!(matches(&format!(
        "{}{lists}",
        rule("r", "proc.name in (a)")
    )));
}

#[test]
fn lists_within_lists_expand_one_level() {
    let up = "- list: a\n  items: [curl]\n- list: b\n  items: [a]\n- list: c\n  items: [b]\n";
    let down = "- list: c\n  items: [b]\n- list: b\n  items: [a]\n- list: a\n  items: [curl]\n";
    for (lists, name, expected) in [(up, "b", true), (up, "c", false), (down, "c", true)] {
        let text = format!("{lists}{}", rule("r", &format!("proc.name in ({name})")));
        assert_eq!(matches(&text), expected, "{name}");
    }
}

#[test]
fn macros_are_one_unit_and_see_what_stands_before() {
    let either = "- macro: either\n  condition: proc.name = x or proc.name = curl\n";
    assert!(!matches(&format!(
        "{either}{}",
        rule("r", "either and fd.sport = 1")
    )));
    assert!(
        matches(&format!("{}{either}", rule("r", "either"))),
        "a rule sees later macros"
    );
    let forward = "- macro: a\n  condition: b\n- macro: b\n  condition: proc.name = curl\n";
    assert_eq!(errors(&[forward, &rule("r", "a")]), [VALIDATE]);
    let itself = "- macro: a\n  condition: not a\n";
    assert_eq!(errors(&[itself, &rule("r", "a")]), [VALIDATE]);
    let looped = "- macro: a\n  condition: evt.num = 1\n- macro: b\n  condition: a\n- macro: a\n  condition: b\n";
    assert_eq!(errors(&[looped, &rule("r", "a")]), [VALIDATE]);
    assert_eq!(errors(&[&rule("r", "nope")]), [VALIDATE]);
    assert_eq!(
        errors(&[&rule("r", "either"), either]),
        [VALIDATE],
        "of a later file"
    );
    assert_eq!(errors(&["- macro: m\n  condition: a b\n"]), [CONDITION]);
}

#[test]
fn unused_names_and_unknown_keys_are_warned_of() {
    let unused = "- macro: m\n  condition: evt.num = 1\n- list: l\n  items: []\n";
    let (one, other) = ("LOAD_UNUSED_MACRO", "LOAD_UNUSED_LIST");
    assert_eq!(warnings(&[unused]), [one, other]);
    let unknown = warnings(&["- list: l\n  items: []\n  priority: x\n"]);
    assert_eq!(unknown, [other, "LOAD_UNKNOWN_KEY"]);
    assert_eq!(warnings(&["- thing: x\n"]), ["LOAD_UNKNOWN_ITEM"]);
    assert_eq!(warnings(&[&rule("r", "fd.sport = 1")]), ["LOAD_NO_EVTTYPE"]);
    let quiet = format!("{}  warn_evttypes: false\n", rule("r", "fd.sport = 1"));
    assert_eq!(warnings(&[&quiet]), Vec::<&str>::new());
    for (condition, code) in [
        (
            "evt.type = connect and proc.name = proc.pname",
            "LOAD_COMPILE_CONDITION",
        ),
        (
            "evt.type = connect and proc.exe = \"tolower(proc.pname)\"",
            "LOAD_COMPILE_CONDITION",
        ),
        (
            "evt.type = connect and proc.name regex 'cu.*'",
            "LOAD_COMPILE_CONDITION",
        ),
        ("evt.type = connect and evt.dir = <", DEPRECATED),
        (
            "evt.type = connect and proc.name in (a, kube-controller-manager)",
            "RULE_NAME_TOO_LONG",
        ),
        ("evt.type = open", "RULE_INACTIVE"),
        ("evt.type = connect and k8s.ns.name = x", "RULE_INACTIVE"),
        (
            "evt.type in (connect, accept) and fd.l4proto = udp",
            "RULE_INACTIVE",
        ),
    ] {
        assert_eq!(warnings(&[&rule("r", condition)]), [code], "{condition}");
    }
}

#[test]
fn shapes_and_values_are_checked() {
    let with = |key: &str| format!("{}  {key}\n", rule("r", CURL));
    let broken = |from: &str, to: &str| rule("r", CURL).replace(from, to);
    for text in [
        "a: b\n".to_owned(),
        "text\n".to_owned(),
        "- text\n".to_owned(),
        "- rule:\n".to_owned(),
        "- list: l\n".to_owned(),
        "- list: l\n  items: a\n".to_owned(),
        "- list: l\n  items: [{a: b}]\n".to_owned(),
        "- list: l\n  items: [~]\n".to_owned(),
        "- macro: m\n  condition: ''\n".to_owned(),
        "- macro: m\n".to_owned(),
        with("enabled: 1"),
        with("enabled: maybe"),
        with("tags: foo"),
        with("capture_duration: -1"),
        with("warn_evttypes: 2"),
        with("skip-if-unknown-filter: x"),
        with("override: x"),
        broken("priority: INFO", "priority: 4"),
        broken("priority: INFO", "priority: ~"),
        broken("priority: INFO", "x: y"),
        broken("output: o", "output: ''"),
        broken("desc: d", "desc: [d]"),
        "- required_engine_version: abc\n".to_owned(),
        "- required_engine_version: 0.5\n".to_owned(),
        "- required_plugin_versions: x\n".to_owned(),
        "- required_plugin_versions: [{name: a}]\n".to_owned(),
    ] {
        assert_eq!(errors(&[&text]), [SHAPE], "{text}");
    }
    assert_eq!(errors(&[&with("override: [x]")]), [VALIDATE]);
    for text in [
        "- required_engine_version: 99\n",
        "- required_engine_version: 1.0.0\n",
        "- required_engine_version: 0.64.0\n",
        "- required_plugin_versions: [{name: a, version: x}]\n",
        "- required_plugin_versions: [{name: a, version: 1.0.0, alternatives: [{name: a, version: 1.0.0}]}]\n",
    ] {
        assert_eq!(errors(&[text]), [VALIDATE], "{text}");
    }
    for text in [
        "- required_engine_version: 10\n",
        "- required_engine_version: 0.63.0\n",
        "- required_plugin_versions: [{name: a, version: 1.0.0}]\n",
    ] {
        assert_eq!(errors(&[text]), Vec::<&str>::new(), "{text}");
    }
    assert_eq!(errors(&["- a: [\n"]), ["LOAD_ERR_YAML_PARSE"]);
    let other = rule("r", "anything at all").replace("priority", "source: k8s_audit\n  priority");
    assert_eq!(errors(&[&other]), Vec::<&str>::new());
    assert_eq!(warnings(&[&other]), ["LOAD_UNKNOWN_SOURCE"]);
}

#[test]
fn priorities_are_falcos() {
    for (text, expected) in [
        ("info", "Informational"),
        ("INFORMATIONAL", "Informational"),
        ("WaRnInG", "Warning"),
        ("Emergency", "Emergency"),
    ] {
        let yaml = rule("r", CURL).replace("INFO", text);
        assert_eq!(ruleset(&[&yaml]).rules()[0].priority.as_str(), expected);
    }
}

#[test]
fn unknown_filters_can_be_skipped() {
    for (condition, output, skipped) in [
        ("nope.field = 1", "o", true),
        ("evt.type = nosuch", "o", true),
        (CURL, "%nope.field", true),
        ("evt.arg.nosuch = 1", "o", false),
        ("fd.sport = nosuch", "o", false),
    ] {
        let text = format!("{}  skip-if-unknown-filter: true\n", rule("r", condition))
            .replace("output: o", &format!("output: \"{output}\""));
        let loaded = load(&[&text]);
        assert_eq!(loaded.ruleset.is_some(), skipped, "{condition} {output}");
        if skipped {
            assert!(loaded.ruleset.unwrap().rules().is_empty());
            assert_eq!(
                codes(&load(&[&text]), Severity::Warning),
                ["LOAD_UNKNOWN_FILTER"]
            );
        }
    }
}

#[test]
fn ports_are_derived_from_the_condition() {
    for (condition, connect, accept, listen) in [
        (
            "evt.type = connect and fd.sport = 10250",
            vec![10250],
            vec![],
            vec![],
        ),
        (
            "evt.type = connect and fd.rport in (1, 2)",
            vec![1, 2],
            vec![],
            vec![],
        ),
        (
            "evt.type in (accept, listen) and fd.lport = 5",
            vec![],
            vec![5],
            vec![5],
        ),
        ("evt.type = accept and fd.port = 5", vec![], vec![5], vec![]),
        (
            "evt.type = connect and fd.proto = 5",
            vec![5],
            vec![],
            vec![],
        ),
        (
            "evt.type = connect and (fd.sport = 1 or fd.sport = 2 and fd.sport = 2)",
            vec![1, 2],
            vec![],
            vec![],
        ),
        (
            "evt.type = connect and fd.sport > 65533",
            vec![65534, 65535],
            vec![],
            vec![],
        ),
        (
            "evt.type = connect and fd.sport in (1, 2, 3) and not fd.sport = 2",
            vec![1, 3],
            vec![],
            vec![],
        ),
        (
            "evt.type = connect and not (fd.sport != 7)",
            vec![7],
            vec![],
            vec![],
        ),
        ("fd.sport = 9 and fd.sport = 8", vec![], vec![], vec![]),
        ("evt.type = open", vec![], vec![], vec![]),
    ] {
        let rules = ruleset(&[&rule("r", condition)]);
        let watched = rules.watched_ports();
        let found = (
            watched.connect.ports(),
            watched.accept.ports(),
            watched.listen.ports(),
        );
        assert_eq!(found, (connect, accept, listen), "{condition}");
    }
    let all = ruleset(&[&rule("r", "evt.type = connect and fd.lport = 1")]);
    assert_eq!(all.watched_ports().connect.ports().len(), 65_536);
    let port = ruleset(&[&rule("r", "evt.type = connect and fd.port = 5002")]);
    assert_eq!(names(&port), ["r"], "judged exactly, whatever is watched");
}

#[test]
fn rules_are_judged_in_the_order_of_definition() {
    let texts: Vec<String> = (0..9)
        .map(|n| {
            let port = if n % 2 == 0 {
                "fd.sport = 10250"
            } else {
                "proc.name = curl"
            };
            rule(&format!("r{n}"), port)
        })
        .collect();
    let expected: Vec<String> = (0..9).map(|n| format!("r{n}")).collect();
    assert_eq!(fires(&[&texts.concat()]), expected);
}
