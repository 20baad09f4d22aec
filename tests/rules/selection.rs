//! Which rules are in force.

use detector::{
    alert::Priority,
    event::Kind,
    rules::select::{Matching, Selection, Switch, Which},
};

use crate::{events::event, rule, ruleset};

/// One rule a name, all of which match a connect attempt; `b` is disabled in its file.
fn three() -> String {
    let of = |name: &str, more: &str| {
        let text = rule(name, "evt.type = connect");
        format!("{text}{more}")
    };
    [
        of("a one", "  tags: [net, x]\n"),
        of("b two", "  enabled: false\n  tags: [net]\n"),
        of("a three", "").replace("INFO", "ERROR"),
    ]
    .concat()
}

fn rule_named(name: &str) -> Which {
    Which::Rule(name.to_owned())
}

fn fired(selection: &Selection) -> Vec<String> {
    let (rules, _idle) = ruleset(&[&three()]).select(selection);
    let event = event(Kind::ConnectAttempt);
    rules.evaluate(&event).map(|one| one.name.clone()).collect()
}

#[test]
fn switches_go_in_order_and_stand_above_the_file() {
    let tag = || Which::Tag("net".to_owned());
    for (switches, expected) in [
        (vec![], &["a one", "a three"][..]),
        (vec![Switch::Disable(rule_named("a*"))], &[]),
        (
            vec![Switch::Disable(rule_named("a"))],
            &["a one", "a three"],
        ),
        (vec![Switch::Enable(tag())], &["a one", "b two", "a three"]),
        (
            vec![Switch::Disable(rule_named("*")), Switch::Enable(tag())],
            &["a one", "b two"],
        ),
        (
            vec![Switch::Enable(tag()), Switch::Disable(rule_named("*"))],
            &[],
        ),
    ] {
        let selection = Selection {
            switches,
            matching: Matching::All,
            ..Selection::default()
        };
        assert_eq!(fired(&selection), expected, "{selection:?}");
    }
}

#[test]
fn the_first_match_ends_the_search_and_priority_leaves_rules_out() {
    let first = Selection::default();
    let urgent = Selection {
        least: Priority::Error,
        ..Selection::default()
    };
    for (selection, expected) in [(first, "a one"), (urgent, "a three")] {
        assert_eq!(fired(&selection), [expected], "{selection:?}");
    }
}

#[test]
fn a_switch_that_names_no_rule_is_told() {
    let selection = Selection {
        switches: vec![
            Switch::Disable(rule_named("nosuch")),
            Switch::Disable(rule_named("a one")),
        ],
        ..Selection::default()
    };
    let (_rules, idle) = ruleset(&[&three()]).select(&selection);
    assert_eq!(idle, [&rule_named("nosuch")]);
}

#[test]
fn a_disabled_rule_opens_no_port() {
    let text = [rule("a", "fd.sport = 1"), rule("b", "fd.sport = 2")].concat();
    let selection = Selection {
        switches: vec![Switch::Disable(rule_named("a"))],
        ..Selection::default()
    };
    let (rules, _idle) = ruleset(&[&text]).select(&selection);
    assert_eq!(rules.watched_ports().connect.ports(), [2]);
}

#[test]
fn what_is_switched_is_written_as_it_is_told() {
    for (text, which, told) in [
        ("tag:net", Which::Tag("net".to_owned()), "tag `net`"),
        ("a *", rule_named("a *"), "rule `a *`"),
        ("Tag:net", rule_named("Tag:net"), "rule `Tag:net`"),
    ] {
        assert_eq!(Which::parse(text), which);
        assert_eq!(which.to_string(), told);
    }
}

/// `*` alone is special in a pattern.
#[test]
fn patterns_are_of_the_whole_name() {
    let rules = ruleset(&[&rule("a [1]? x", "evt.type = connect")]);
    for (pattern, fits) in [
        ("a [1]? x", true),
        ("*", true),
        ("a*x", true),
        ("*?*", true),
        ("a [12]? x", false),
        ("a ?1]? x", false),
        ("a", false),
        ("", false),
    ] {
        let which = rule_named(pattern);
        assert_eq!(which.is_of(&rules.rules()[0]), fits, "{pattern}");
    }
}
