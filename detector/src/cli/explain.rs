//! `rules explain`: the tree of a condition for one event of a trace.

use std::path::Path;

use anyhow::{Result, bail};

use super::{Invalid, print, rules::load};
use crate::{
    config::Config,
    event::{Counter, Event, Item, Kind},
    host::Host,
    rules::{Rule, select::Which},
    trace::Reader,
};

pub(super) fn run(trace: &Path, number: u64, pattern: &str, config: &Config) -> Result<()> {
    let ruleset = load(config)?;
    let mut reader = Reader::open(trace, |file| -> Box<dyn std::io::Read> { Box::new(file) })?;
    let mut counter = Counter::default();
    let event = loop {
        match reader.next_item()? {
            Some(Item::Event(mut event)) => {
                counter.number(&mut event);
                if event.number == number {
                    break event;
                }
            }
            Some(Item::Drop(_)) => {}
            None => bail!(Invalid(format!(
                "`{}` has {} events, none with the number {number}: name one with --event",
                trace.display(),
                counter.count()
            ))),
        }
    };
    let names = Which::Rule(pattern.to_owned());
    let named: Vec<&Rule> = ruleset
        .rules()
        .iter()
        .filter(|rule| names.is_of(rule))
        .collect();
    if named.is_empty() {
        bail!(Invalid(format!("no {names}: `rules list` shows the names")));
    }
    let of = |rule: &&Rule| described(rule, &event, &reader.host);
    print(&named.iter().map(of).collect::<Vec<String>>().join("\n"))
}

fn described(rule: &Rule, event: &Event, host: &Host) -> String {
    let tree = rule.explain(event, host);
    let attempt = event.kind == Kind::ConnectAttempt;
    let outcome = event.kind == Kind::ConnectOutcome;
    let verdict = match (rule.enabled, rule.inactive()) {
        (false, _) => "is disabled".to_owned(),
        (true, Some(reason)) => format!("is inactive: {reason}"),
        (true, None) if attempt && rule.asks_result => {
            "asks for the result: judged on the outcome of the connect".to_owned()
        }
        (true, None) if outcome && !rule.asks_result => {
            "does not ask for the result: judged on the attempt of the connect".to_owned()
        }
        (true, None) if tree.verdict => "matches".to_owned(),
        (true, None) => "does not match".to_owned(),
    };
    format!("{}: {verdict}\n{tree}", rule.name)
}
