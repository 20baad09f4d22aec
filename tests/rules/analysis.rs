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
fn numbers_texts_and_networks_exclude_each_other() {
    for (condition, never) in [
        ("fd.sport > 10 and fd.sport < 5", true),
        ("fd.sport > 5 and fd.sport < 6", true),
        ("fd.sport >= 5 and fd.sport <= 5", false),
        ("fd.sport > 10 and fd.cport < 5", false),
        ("fd.sport > 10 and not fd.sport > 5", true),
        ("not fd.sport > 10 and not fd.sport < 20", false),
        ("evt.rawres >= 0 and evt.rawres < 0", true),
        ("proc.name startswith ku and proc.name startswith cu", true),
        (
            "proc.name startswith ku and proc.name startswith kube",
            false,
        ),
        ("proc.name endswith let and proc.name endswith ctl", true),
        ("proc.name startswith ku and proc.name endswith ctl", false),
        (
            "proc.aname startswith ku and proc.aname startswith cu",
            false,
        ),
        ("fd.sip = 10.0.0.1 and fd.snet = 192.168.0.0/16", true),
        (
            "fd.sip = 10.0.0.1 and fd.snet in (192.168.0.0/16, 10.0.0.0/8)",
            false,
        ),
        ("fd.sip = 10.0.0.1 and fd.cnet = 192.168.0.0/16", false),
        ("evt.type = connect and evt.type in (accept, listen)", true),
        (
            "evt.type = connect and not evt.type in (connect, accept)",
            true,
        ),
        (
            "(proc.name = a or proc.name = b) and proc.name in (c, d)",
            true,
        ),
        (
            "(proc.name = a or proc.name = b) and proc.name in (b, d)",
            false,
        ),
        ("(proc.name = a or fd.sport = 1) and proc.name = b", false),
        ("proc.name = anyof (a, b) and proc.name = c", true),
        (
            "proc.name in (a, b) and proc.name != a and proc.name != b",
            true,
        ),
        (
            "proc.name in (a,b,c,d,e,f,g,h,i,j) and proc.name in (k,l)",
            true,
        ),
        ("fd.sport in (1,2,3,4,5,6,7,8,9) and fd.sport > 9", true),
        ("proc.pid in (1,2,3,4,5,6,7,8,9) and proc.pid < 1", true),
        ("fd.connected = true and fd.connected = false", true),
        (
            "proc.name exists and not (fd.sport = 1 or proc.name exists)",
            true,
        ),
        (
            "proc.name = a and not (proc.name = a and (fd.sport = 1 or proc.name in (a)))",
            true,
        ),
        ("tolower(proc.name) = a and tolower(proc.name) = b", false),
        ("proc.name glob a* and proc.name = b", true),
        ("proc.name pmatch (/a) and proc.name = b", false),
    ] {
        let found = told(&[&rule("r", condition)], "RULE_NEVER_MATCHES");
        assert_eq!(found.is_some(), never, "{condition}: {found:?}");
    }
}

fn excepting(condition: &str, exception: &str) -> String {
    let text = rule("r", condition);
    format!("{text}  exceptions:\n  - {{name: e, {exception}}}\n")
}

#[test]
fn an_exception_that_leaves_nothing_is_told() {
    let rule = "evt.type = connect and fd.sport = 10250";
    for (exception, widens) in [
        ("fields: [fd.sport], values: [[10250]]", true),
        ("fields: [fd.sport], values: [[443]]", false),
        ("fields: fd.sport, values: [443, 10250]", true),
        (
            "fields: [evt.type, fd.sport], values: [[connect, 10250]]",
            true,
        ),
        (
            "fields: [evt.type, fd.sport], values: [[connect, 443]]",
            false,
        ),
        (
            "fields: [fd.sport], comps: [in], values: [[[1, 10250]]]",
            true,
        ),
    ] {
        let text = excepting(rule, exception);
        let found = told(&[&text], "RULE_EXCEPTION_WIDENS");
        assert_eq!(found.is_some(), widens, "{exception}: {found:?}");
        assert_eq!(told(&[&text], "RULE_NEVER_MATCHES"), None, "{exception}");
    }
    // Without the exception it matches nothing either.
    let text = excepting(
        "fd.sport = 1 and fd.sport = 2",
        "fields: [fd.sport], values: [[1]]",
    );
    assert_eq!(told(&[&text], "RULE_EXCEPTION_WIDENS"), None);
    assert!(told(&[&text], "RULE_NEVER_MATCHES").is_some());
}

#[test]
fn an_exception_that_excepts_more_than_it_says_is_told_at_its_value() {
    for (exception, underlined) in [
        (
            "fields: [proc.name], comps: [startswith], values: [[ku], ['\"\"']]",
            Some("['\"\"']"),
        ),
        (
            "fields: [proc.name], comps: [contains], values: [['\"\"']]",
            Some("['\"\"']"),
        ),
        (
            "fields: [proc.name], comps: [endswith], values: [[let]]",
            None,
        ),
        (
            "fields: proc.name, comps: glob anyof, values: ['ku*', '*']",
            Some("*"),
        ),
        (
            "fields: proc.name, comps: glob anyof, values: ['ku*', '?*']",
            None,
        ),
        (
            "fields: proc.name, comps: regex anyof, values: ['.*']",
            Some(".*"),
        ),
        (
            "fields: proc.exepath, comps: pmatch, values: [/usr, /]",
            Some("/"),
        ),
        ("fields: proc.exepath, comps: pmatch, values: [/usr]", None),
        (
            "fields: fd.cnet, values: [10.0.0.0/8, 0.0.0.0/0]",
            Some("0.0.0.0/0"),
        ),
        ("fields: fd.cnet, values: [10.0.0.0/8]", None),
        (
            "fields: [fd.cport], comps: ['>='], values: [[0]]",
            Some("[0]"),
        ),
        ("fields: [fd.cport], comps: ['>='], values: [[1024]]", None),
        ("fields: [proc.pid], comps: ['>'], values: [[0]]", None),
        (
            "fields: [fd.cport], comps: ['<='], values: [[65535]]",
            Some("[65535]"),
        ),
        // A part of a tuple that tells nothing apart.
        (
            "fields: [proc.name, proc.exepath], comps: [=, startswith], values: [[a, '\"\"']]",
            Some("[a, '\"\"']"),
        ),
        (
            "fields: [proc.name, proc.exepath], comps: [=, startswith], values: [[a, /]]",
            None,
        ),
        // All but.
        (
            "fields: [proc.name], comps: ['!='], values: [[curl]]",
            Some("[curl]"),
        ),
        (
            "fields: proc.name, comps: '!= anyof', values: [curl]",
            Some("curl"),
        ),
        (
            "fields: [proc.name, fd.cip], comps: ['!=', =], values: [[curl, 10.0.0.1]]",
            None,
        ),
        (
            "fields: [proc.name, fd.cip], comps: ['!=', '!='], values: [[curl, 10.0.0.1]]",
            Some("[curl, 10.0.0.1]"),
        ),
        ("fields: [proc.name], values: [[curl]]", None),
        (
            "fields: [fd.connected], comps: [in], values: [[[true, false]]]",
            Some("[[true, false]]"),
        ),
    ] {
        let text = excepting("evt.type = connect and fd.sport = 10250", exception);
        let loaded = load(&[&text]);
        assert!(
            loaded.ruleset.is_some(),
            "{exception}: {:?}",
            loaded.diagnostics
        );
        let found: Vec<&str> = loaded
            .diagnostics
            .iter()
            .filter(|one| one.code == "RULE_EXCEPTION_WIDENS")
            .map(|one| text.get(one.span.clone()).unwrap())
            .collect();
        assert_eq!(
            found,
            underlined.into_iter().collect::<Vec<_>>(),
            "{exception}"
        );
    }
}

#[test]
fn names_that_the_kernel_cuts_are_told() {
    let long = "kube-controller-manager";
    for (condition, told) in [
        (format!("proc.name = {long}"), true),
        (format!("proc.name != {long}"), true),
        (format!("proc.name in (a, {long})"), true),
        (format!("proc.pname startswith {long}"), true),
        (format!("proc.aname[2] = {long}"), true),
        (format!("proc.name glob {long}*"), false),
        (format!("proc.exe = {long}"), false),
        ("proc.name = kube-controller".to_owned(), false),
    ] {
        let found = self::told(&[&rule("r", &condition)], "RULE_NAME_TOO_LONG");
        assert_eq!(found.is_some(), told, "{condition}: {found:?}");
    }
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
        (
            "evt.type = connect and not proc.pname startswith kube",
            true,
        ),
        ("evt.type = connect and not proc.aname in (sshd)", true),
        ("evt.type = connect and proc.aname != sshd", false),
        (
            "evt.type = connect and not proc.cmdline contains probe",
            true,
        ),
        ("evt.type = connect and not proc.name exists", false),
        (
            "evt.type = connect and not proc.name = val(proc.pname)",
            false,
        ),
    ] {
        let loaded = load(&[&rule("r", condition)]);
        let advice = loaded
            .diagnostics
            .iter()
            .any(|one| one.code == "RULE_TRUSTS_NAME" && one.severity == Severity::Advice);
        assert_eq!(advice, told, "{condition}");
    }
}
