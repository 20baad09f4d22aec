//! What holds for every condition.

use detector::{
    event::Kind,
    rules::{Memory, SourceFile, load, parser},
};
use proptest::prelude::*;

use crate::{events::event, rule, ruleset};

fn constant() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9_./*-]{1,8}",
        "[ -~]{0,8}".prop_map(|text| format!("\"{}\"", text.replace(['"', '\\'], ""))),
    ]
}

fn operand() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("proc.name".to_owned()),
        Just("proc.aname[2]".to_owned()),
        Just("fd.sport".to_owned()),
        Just("tolower(proc.name)".to_owned()),
        Just("join(\",\", (proc.name, 5))".to_owned()),
        Just("getopt(proc.args, \"ab:\")[b]".to_owned()),
    ]
}

fn check() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("="),
        Just("!="),
        Just("contains"),
        Just("icontains"),
        Just("startswith"),
        Just("endswith"),
        Just("glob"),
        Just("regex"),
        Just("= oneof"),
        Just("!= allof"),
        Just("in"),
        Just("pmatch"),
        Just("intersects"),
    ];
    let values = prop::collection::vec(constant(), 1..4);
    prop_oneof![
        operand().prop_map(|field| format!("{field} exists")),
        (operand(), -99i32..99).prop_map(|(field, number)| format!("{field} >= {number}")),
        operand().prop_map(|field| format!(
            "proc.exe = val({})",
            field
                .split('(')
                .next()
                .filter(|name| name.contains('.'))
                .unwrap_or("proc.pname")
        )),
        (operand(), word, values).prop_map(|(field, word, values)| {
            let set = word.len() > 4 && word.contains("of")
                || matches!(word, "in" | "pmatch" | "intersects");
            if set {
                format!("{field} {word} ({})", values.join(", "))
            } else {
                format!("{field} {word} {}", values[0])
            }
        }),
        "[a-c]{1,3}_m",
    ]
}

fn condition() -> impl Strategy<Value = String> {
    check().prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|terms| format!("({})", terms.join(" and "))),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|terms| format!("({})", terms.join(" or "))),
            inner.prop_map(|term| format!("not {term}")),
        ]
    })
}

/// Conditions on what rules are found by.
fn pinning() -> impl Strategy<Value = String> {
    let check = prop_oneof![
        "proc\\.name = [ab]",
        "proc\\.name in \\([ab], c\\)",
        "proc\\.pname = [ab]",
        "proc\\.name startswith [ab]",
        "fd\\.sport = [12]",
        "fd\\.port in \\([12], 3\\)",
        "fd\\.rport > [12]",
        "fd\\.lport = [12]",
        "evt\\.type = (connect|accept|listen)",
        "evt\\.type != (connect|accept|listen)",
        "fd\\.cport = 5002",
        "evt\\.rawres >= 0",
    ];
    check.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|terms| format!("({})", terms.join(" and "))),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|terms| format!("({})", terms.join(" or "))),
            inner.prop_map(|term| format!("not {term}")),
        ]
    })
}

proptest! {
    /// With `or evt.num = 999` nothing is pinned, and the rule meets every event.
    #[test]
    fn a_rule_found_by_its_pins_gives_the_verdict_of_one_that_meets_all(
        conditions in prop::collection::vec(pinning(), 1..6),
        kind in 0usize..4,
        name in "[abc]",
        port in 1u16..4,
    ) {
        let kinds = [Kind::ConnectAttempt, Kind::ConnectOutcome, Kind::Accept, Kind::Listen];
        let mut event = event(kinds[kind]);
        event.thread.comm = name;
        event.socket.server.port = port;
        let found = |suffix: &str| -> Vec<String> {
            let rules = conditions.iter().enumerate();
            let text: String = rules
                .map(|(n, condition)| rule(&format!("r{n}"), &format!("({condition}){suffix}")))
                .collect();
            let rules = ruleset(&[&text]);
            rules.evaluate(&event).map(|rule| rule.name.clone()).collect()
        };
        prop_assert_eq!(found(""), found(" or evt.num = 999"));
    }

    /// A connect that the probes only count is one that no rule matches.
    #[test]
    fn who_is_let_off_is_matched_by_no_rule(
        conditions in prop::collection::vec(pinning(), 1..4),
        name in "[abc]",
        port in 1u16..4,
        is_outcome in any::<bool>(),
    ) {
        let rules = conditions.iter().enumerate();
        let text: String = rules
            .map(|(n, condition)| rule(&format!("r{n}"), condition))
            .collect();
        let rules = ruleset(&[&text]);
        let let_off = rules.let_off();
        let found = let_off.iter().find(|one| one.name == name);
        let mut event = event(if is_outcome { Kind::ConnectOutcome } else { Kind::ConnectAttempt });
        event.thread.comm = name;
        event.socket.server.port = port;
        if found.is_some_and(|one| one.ports.contains(port)) {
            prop_assert_eq!(rules.evaluate(&event).count(), 0);
        }
    }

    #[test]
    fn printing_and_parsing_give_the_same_tree(text in condition()) {
        let printed = parser::parse(&text).unwrap().to_string();
        let again = parser::parse(&printed).unwrap().to_string();
        prop_assert_eq!(printed, again);
    }

    #[test]
    fn no_text_panics(text in "[ -~\\n\\t€]{0,80}") {
        let _parsed = parser::parse(&text).is_ok();
        let _loaded = load(&[SourceFile { name: "x".to_owned(), text }]).diagnostics;
    }

    #[test]
    fn no_mutated_rule_panics(text in condition(), at in 0usize..200, with in "[ -~€]{0,3}") {
        let mut rule = rule("r", &text);
        let at = at.min(rule.len());
        if rule.is_char_boundary(at) {
            rule.insert_str(at, &with);
        }
        let loaded = load(&[SourceFile { name: "x".to_owned(), text: rule.clone() }]);
        for one in loaded.diagnostics {
            prop_assert!(one.span.end <= rule.len() && one.span.start <= one.span.end);
            prop_assert!(!one.full(&rule).is_empty());
        }
    }
}

/// Of texts that no event holds, too: they are compared on the stack.
#[test]
fn an_event_without_an_alert_allocates_nothing() {
    let conditions = [
        "fd.name = x",
        "fd.name contains 10.9.9.9",
        "fd.name startswith 10.9",
        "fd.name in (a, b, c, d, e, f, g, h, i, j)",
        "fd.name glob *:1",
        "fd.sproto = 1 or fd.cproto = 1 or fd.lproto = 1 or fd.rproto = 1",
    ];
    for condition in conditions {
        let rules = ruleset(&[&rule("r", condition)]);
        let mut memory = Memory::default();
        for kind in [Kind::ConnectAttempt, Kind::Accept, Kind::Listen] {
            let event = event(kind);
            assert_eq!(rules.evaluate_with(&mut memory, &event).count(), 0);
            let allocated = allocation_counter::measure(|| {
                assert_eq!(rules.evaluate_with(&mut memory, &event).count(), 0);
            });
            assert_eq!(allocated.count_total, 0, "{condition}");
        }
    }
}
