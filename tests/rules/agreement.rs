//! Compiled rules give the verdicts of the plain reading of their conditions.

use std::sync::Arc;

use detector::{
    event::{Ancestor, Attribution, Endpoint, Event, Kind},
    host::Host,
    rules::{Memory, ast::Expression, fields::Context, parser},
};
use proptest::{
    prelude::*,
    sample::{Index, select},
};

use crate::{events, reference, rule, ruleset};

const RULES: usize = 10;
const EVENTS: usize = 50;
/// With these, a million pairs; without optimisation it takes too long for every run.
const CASES: u32 = if cfg!(debug_assertions) { 100 } else { 2000 };

const WORDS: &[&str] = &["a", "b", "ab", "abc", "A", "b/c", "\"\""];
const PATHS: &[&str] = &[
    "/a", "/a/b", "/a/bc", "a/b/c", "//a//b/", "/", "/ab/c", "\"\"",
];
const GLOBS: &[&str] = &["a*", "*b", "/?/b", "*", "/a/*c", "?", "[x", "\"\""];
const NUMBERS: &[&str] = &["0", "1", "2", "3", "80", "10250", "65535"];
const IPS: &[&str] = &[
    "10.0.0.1", "10.0.0.2", "10.1.0.1", "::1", "fd00::2", "0.0.0.0",
];
const NETS: &[&str] = &[
    "10.0.0.0/8",
    "10.0.0.0/31",
    "10.0.0.1/32",
    "0.0.0.0/0",
    "::/1",
    "fd00::/8",
    "::1/128",
];

fn set(values: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(select(values), 0..7).prop_map(|all| format!("({})", all.join(", ")))
}

/// A field, a word from a list of operators, and what that operator takes.
fn of(
    fields: &'static [&'static str],
    single: &'static [&'static str],
    sets: &'static [&'static str],
    values: &'static [&'static str],
) -> impl Strategy<Value = String> {
    let one = (select(fields), select(single), select(values))
        .prop_map(|(field, operator, value)| format!("{field} {operator} {value}"));
    let many = (select(fields), select(sets), set(values))
        .prop_map(|(field, operator, set)| format!("{field} {operator} {set}"));
    let exists = select(fields).prop_map(|field| format!("{field} exists"));
    prop_oneof![4 => one, 4 => many, 1 => exists]
}

fn texts() -> impl Strategy<Value = String> {
    const NAMES: &[&str] = &[
        "proc.name",
        "proc.pname",
        "proc.exe",
        "user.name",
        "proc.aname",
        "proc.aname[1]",
        "container.id",
        "proc.cmdline",
        "tolower(proc.name)",
        "concat(proc.name, proc.pname)",
        "join(\"-\", (proc.name, fd.sport))",
    ];
    const FILES: &[&str] = &[
        "proc.exepath",
        "proc.cwd",
        "proc.exe",
        "basename(proc.exepath)",
    ];
    const SINGLE: &[&str] = &[
        "=",
        "==",
        "!=",
        "contains",
        "icontains",
        "startswith",
        "endswith",
    ];
    const SETS: &[&str] = &[
        "in",
        "intersects",
        "= anyof",
        "!= allof",
        "!= anyof",
        "= oneof",
        "contains anyof",
        "contains allof",
        "icontains anyof",
        "startswith anyof",
        "endswith anyof",
        "startswith oneof",
    ];
    prop_oneof![
        of(NAMES, SINGLE, SETS, WORDS),
        of(FILES, SINGLE, SETS, PATHS),
        of(
            FILES,
            &["glob", "iglob"],
            &["pmatch", "glob anyof", "iglob anyof", "glob allof"],
            GLOBS
        ),
        of(
            &["proc.name", "proc.exepath"],
            &["glob"],
            &["pmatch"],
            PATHS
        ),
        of(
            &["evt.type"],
            &["=", "!="],
            &["in", "= anyof"],
            &["connect", "accept", "listen", "open"]
        ),
    ]
}

fn others() -> impl Strategy<Value = String> {
    const PORTS: &[&str] = &[
        "fd.sport",
        "fd.cport",
        "fd.lport",
        "fd.rport",
        "fd.port",
        "user.uid",
        "proc.apid",
        "proc.apid[1]",
        "proc.pid",
        "evt.num",
        "len(proc.name)",
    ];
    const ADDRESSES: &[&str] = &["fd.sip", "fd.cip", "fd.lip", "fd.rip", "fd.ip"];
    const NETWORKS: &[&str] = &["fd.snet", "fd.cnet", "fd.lnet", "fd.rnet", "fd.net"];
    const SETS: &[&str] = &["in", "intersects", "= anyof", "!= allof", "= oneof"];
    prop_oneof![
        of(PORTS, &["=", "!=", "<", "<=", ">", ">="], SETS, NUMBERS),
        of(ADDRESSES, &["=", "!="], SETS, IPS),
        of(NETWORKS, &["=", "!="], SETS, NETS),
        of(
            &["thread.ismain", "proc.is_exe_upper_layer"],
            &["=", "!="],
            &["in"],
            &["true", "false"]
        ),
        select(
            &[
                "proc.name = val(proc.pname)",
                "proc.exepath startswith val(proc.cwd)",
                "fd.sport < val(fd.cport)",
                "proc.name in val(user.name)",
                "proc.exe != tolower(proc.name)",
                "fd.sip = val(fd.cip)",
                "evt.rawres >= 0",
            ][..]
        )
        .prop_map(str::to_owned),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    prop_oneof![texts(), others()].prop_recursive(3, 10, 3, |inner| {
        let joined = |word: &'static str, inner: BoxedStrategy<String>| {
            prop::collection::vec(inner, 2..4)
                .prop_map(move |terms| format!("({})", terms.join(word)))
        };
        prop_oneof![
            3 => joined(" and ", inner.clone().boxed()),
            2 => joined(" or ", inner.clone().boxed()),
            2 => inner.prop_map(|term| format!("not {term}")),
        ]
    })
}

fn event(pick: &[Index]) -> Event {
    let mut picks = pick.iter();
    let mut pick = |values: &[&'static str]| -> String {
        let value = picks.next().unwrap().get(values);
        value.trim_matches('"').to_owned()
    };
    let kinds = [
        Kind::ConnectAttempt,
        Kind::ConnectOutcome,
        Kind::Accept,
        Kind::Listen,
    ];
    let kind = kinds[pick(&["0", "1", "2", "3"]).parse::<usize>().unwrap()];
    let mut event = events::event(kind);
    let mut process = events::process();
    event.number = pick(NUMBERS).parse().unwrap();
    if pick(&["known", "known", "known", "unknown"]) == "unknown" {
        event.attribution = Attribution::Unknown;
    }
    event.thread.comm = pick(WORDS);
    process.exe.path = pick(PATHS);
    process.exe.upper_layer = pick(&["true", "false"]) == "true";
    process.cwd = pick(PATHS);
    process.args = vec![pick(PATHS), pick(WORDS)];
    process.uid = pick(NUMBERS).parse().unwrap();
    process.pid = pick(NUMBERS).parse().unwrap();
    process.user_name = Some(pick(WORDS)).filter(|name| name != "A");
    process.container_id = Some(pick(WORDS)).filter(|name| name != "A");
    let ancestors = pick(&["0", "1", "3"]).parse().unwrap();
    process.ancestors = (0..ancestors)
        .map(|_| Ancestor {
            pid: pick(NUMBERS).parse().unwrap(),
            comm: pick(WORDS),
            ..Ancestor::default()
        })
        .collect();
    let mut end = || Endpoint {
        ip: pick(IPS).parse().unwrap(),
        port: pick(NUMBERS).parse().unwrap(),
    };
    event.socket.server = end();
    event.socket.client = event.socket.client.map(|_| end());
    event.process = Arc::new(process);
    event
}

#[test]
#[expect(clippy::print_stdout, reason = "tells how much was compared")]
fn compiled_rules_agree_with_the_plain_reading() {
    let pairs = std::cell::Cell::new((0_u64, 0_u64));
    let config = ProptestConfig {
        cases: CASES,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let conditions = prop::collection::vec(condition(), RULES);
    let picks = prop::collection::vec(prop::collection::vec(any::<Index>(), 24), EVENTS);
    proptest!(config, |(conditions in conditions, picks in picks)| {
        let text: String = conditions
            .iter()
            .enumerate()
            .map(|(number, condition)| rule(&number.to_string(), condition))
            .collect();
        let rules = ruleset(&[&text]);
        let trees: Vec<Expression> = conditions
            .iter()
            .map(|condition| parser::parse(condition).unwrap())
            .collect();
        let mut memory = Memory::default();
        let host = Host::default();
        for pick in &picks {
            let event = event(pick);
            let context = Context { event: &event, host: &host };
            let compiled: Vec<&str> = rules
                .evaluate_with(&mut memory, &event)
                .map(|rule| rule.name.as_str())
                .collect();
            let plain: Vec<&str> = rules
                .rules()
                .iter()
                .zip(&trees)
                .filter(|(rule, tree)| {
                    let judged = match event.kind {
                        Kind::ConnectAttempt => !rule.asks_result,
                        Kind::ConnectOutcome => rule.asks_result,
                        Kind::Accept | Kind::Listen => true,
                    };
                    judged && reference::holds(tree, context)
                })
                .map(|(rule, _)| rule.name.as_str())
                .collect();
            let (judged, matched) = pairs.get();
            pairs.set((judged + RULES as u64, matched + plain.len() as u64));
            prop_assert_eq!(compiled, plain, "{:?} {:?}", conditions, event);
        }
    });
    let (judged, matched) = pairs.get();
    println!("agreement: {judged} pairs of condition and event, {matched} of them match");
    assert!(
        matched * 20 > judged && matched * 2 < judged,
        "too one-sided"
    );
}
