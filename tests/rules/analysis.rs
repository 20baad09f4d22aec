//! What a valid rule is probably not meant to be.

use detector::rules::diagnostic::Severity;

use crate::{load, rule};

fn told(texts: &[&str], code: &str) -> Option<String> {
    let loaded = load(texts);
    let found = loaded.diagnostics.iter().find(|one| one.code == code);
    found.map(|one| one.message.clone())
}

#[test]
fn contradictions_are_told_and_nothing_else_is() {
    for (condition, never) in [
        ("proc.name = a and proc.name = b", true),
        ("proc.name = a and proc.name in (a, b)", false),
        ("proc.name in (c, d) and proc.name in (a, b)", true),
        ("proc.name in (a, b) and not proc.name in (b, a, c)", true),
        ("proc.name in (a, b) and not proc.name = a", false),
        ("proc.name in ()", true),
        ("proc.name = a and not proc.name = a", true),
        ("proc.name = a or not proc.name = a", false),
        ("fd.sport = 1 and fd.sport = 2", true),
        ("fd.sport = 1 and fd.cport = 2", false),
        ("fd.sport = 1 and fd.sport > 5", true),
        ("fd.sport = 9 and fd.sport > 5", false),
        // Either end may have the port, any ancestor the name.
        ("fd.port = 1 and fd.port = 2", false),
        ("proc.aname = a and proc.aname = b", false),
        ("proc.aname[1] = a and proc.aname[1] = b", true),
        ("proc.aname[1] = a and proc.aname[2] = b", false),
        ("proc.name startswith a and proc.name = b", true),
        ("fd.sip = 10.0.0.1 and fd.sip != 10.0.0.1", true),
        ("fd.sport exists and not fd.sport exists", true),
        ("not (proc.name = a or fd.sport = 1) and fd.sport = 1", true),
        (
            "not (proc.name = a and fd.sport = 1) and fd.sport = 1",
            false,
        ),
    ] {
        let found = told(&[&rule("r", condition)], "RULE_NEVER_MATCHES");
        assert_eq!(found.is_some(), never, "{condition}: {found:?}");
    }
}

#[test]
fn an_exception_that_leaves_nothing_is_told() {
    let with = |values: &str| {
        let text = rule("r", "evt.type = connect and fd.sport = 10250");
        format!(
            "{text}  exceptions:\n  - name: e\n    fields: [fd.sport]\n    values: [[{values}]]\n"
        )
    };
    let found = told(&[&with("10250")], "RULE_NEVER_MATCHES").unwrap();
    assert!(found.contains("fd.sport"), "{found}");
    assert_eq!(told(&[&with("443")], "RULE_NEVER_MATCHES"), None);
}

#[test]
fn a_rule_in_the_shadow_of_an_earlier_one_is_told() {
    for (first, second, shadowed) in [
        ("fd.sport = 1", "fd.sport = 1 and proc.name = a", true),
        ("fd.sport = 1 and proc.name = a", "fd.sport = 1", false),
        ("fd.sport = 1", "fd.sport = 1", true),
        ("fd.sport = 1", "fd.sport = 2", false),
        (
            "not proc.name = a",
            "fd.sport = 1 and not (proc.name = a or proc.name = b)",
            true,
        ),
        ("fd.sport = 1", "fd.sport = 1 and evt.failed = true", false),
    ] {
        let text = [rule("one", first), rule("two", second)].concat();
        let found = told(&[&text], "RULE_SHADOWED");
        assert_eq!(found.is_some(), shadowed, "{first} / {second}: {found:?}");
    }
    // The earlier rule is judged for no event: its field is not known here.
    let text = [
        rule("one", "evt.type = connect and not k8s.ns.name = a"),
        rule(
            "two",
            "evt.type = connect and not k8s.ns.name = a and fd.sport = 1",
        ),
    ];
    assert_eq!(told(&[&text.concat()], "RULE_SHADOWED"), None);
    let disabled = format!("{}  enabled: false\n", rule("one", "fd.sport = 1"));
    let text = [disabled, rule("two", "fd.sport = 1")].concat();
    assert_eq!(told(&[&text], "RULE_SHADOWED"), None);
}

#[test]
fn trust_in_a_name_alone_is_advice() {
    for (condition, told) in [
        ("evt.type = connect and not proc.name in (kubelet)", true),
        ("evt.type = connect and proc.name != kubelet", true),
        ("evt.type = connect and not proc.name = kubelet", true),
        ("user.uid = 0 and not proc.name = kubelet", true),
        (
            "evt.type = connect and not (proc.name = kubelet and proc.exepath = /k)",
            false,
        ),
        ("evt.type = connect and proc.name = curl", false),
    ] {
        let loaded = load(&[&rule("r", condition)]);
        let advice = loaded
            .diagnostics
            .iter()
            .any(|one| one.code == "RULE_TRUSTS_NAME" && one.severity == Severity::Advice);
        assert_eq!(advice, told, "{condition}");
    }
}
