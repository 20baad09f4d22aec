//! Rules by kind of event and serving port: an event meets only those that it can match.

use std::collections::BTreeMap;

use super::{
    Rule,
    compiler::Condition,
    ports::{Pin, pinned},
};
use crate::event::Kind;

/// A rule that pins more ports counts as one that pins none.
const MAX_PORTS: usize = 64;
const KINDS: [Kind; 4] = [
    Kind::ConnectAttempt,
    Kind::ConnectOutcome,
    Kind::Accept,
    Kind::Listen,
];

/// Rules by their number, ascending.
#[derive(Debug, Default)]
struct OfKind {
    any_port: Vec<usize>,
    by_port: BTreeMap<u16, Vec<usize>>,
}

#[derive(Debug)]
pub(super) struct Index([OfKind; 4]);

impl Index {
    pub(super) fn new(rules: &[Rule]) -> Self {
        Self(KINDS.map(|kind| {
            let mut of_kind = OfKind::default();
            for (number, rule) in rules.iter().enumerate() {
                if rule.enabled && in_phase(rule, kind) {
                    of_kind.add(number, rule.kinds.of(kind), kind);
                }
            }
            of_kind
        }))
    }

    pub(super) fn candidates(&self, kind: Kind, port: u16) -> impl Iterator<Item = usize> {
        let [attempt, outcome, accept, listen] = &self.0;
        let of_kind = match kind {
            Kind::ConnectAttempt => attempt,
            Kind::ConnectOutcome => outcome,
            Kind::Accept => accept,
            Kind::Listen => listen,
        };
        let pinned = of_kind.by_port.get(&port).map_or(&[][..], Vec::as_slice);
        let mut pinned = pinned.iter().copied().peekable();
        let mut any = of_kind.any_port.iter().copied().peekable();
        std::iter::from_fn(move || match (pinned.peek(), any.peek()) {
            (Some(one), Some(other)) if other < one => any.next(),
            (Some(_), _) => pinned.next(),
            (None, _) => any.next(),
        })
    }
}

fn in_phase(rule: &Rule, kind: Kind) -> bool {
    match kind {
        Kind::ConnectAttempt => !rule.asks_result,
        Kind::ConnectOutcome => rule.asks_result,
        Kind::Accept | Kind::Listen => true,
    }
}

impl OfKind {
    fn add(&mut self, number: usize, condition: &Condition, kind: Kind) {
        match pinned(condition, kind, Pin::Exact) {
            Some(ports) if ports.len() <= MAX_PORTS => {
                for port in ports.ports() {
                    self.by_port.entry(port).or_default().push(number);
                }
            }
            _ => self.any_port.push(number),
        }
    }
}
