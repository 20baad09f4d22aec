//! The serving ports that an event must have for a condition to be true: what the probes watch.

use super::{
    compiler::{Condition, Test},
    fields::Value,
    operand::Operand,
    spans::Spans,
};
use crate::event::Kind;

/// 65,536 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSet(Box<[u64; 1024]>);

impl Default for PortSet {
    fn default() -> Self {
        Self(Box::new([0; 1024]))
    }
}

impl PortSet {
    pub fn contains(&self, port: u16) -> bool {
        self.0
            .get(usize::from(port >> 6))
            .is_some_and(|word| (word >> (port & 63)) & 1 == 1)
    }

    fn insert(&mut self, (first, last): (u128, u128)) {
        let port = |number| u16::try_from(number).unwrap_or(u16::MAX);
        if first > u128::from(u16::MAX) {
            return;
        }
        for port in port(first)..=port(last) {
            if let Some(word) = self.0.get_mut(usize::from(port >> 6)) {
                *word |= 1 << (port & 63);
            }
        }
    }

    /// Those of these ports that are not among the others.
    pub fn without(&self, others: &Self) -> Self {
        self.joined(others, |word, other| word & !other)
    }

    /// Those of these ports that are among the others too.
    pub fn within(&self, others: &Self) -> Self {
        self.joined(others, |word, other| word & other)
    }

    fn joined(&self, others: &Self, join: fn(u64, u64) -> u64) -> Self {
        let mut joined = self.clone();
        for (word, other) in joined.0.iter_mut().zip(others.0.iter()) {
            *word = join(*word, *other);
        }
        joined
    }

    /// The ports at which the condition can be true are added.
    pub(super) fn add(&mut self, condition: &Condition, known: Known<'_>) {
        match ports(condition, known, false) {
            Some(ports) => ports.iter().for_each(|span| self.insert(span)),
            None => self.insert((0, u128::MAX)),
        }
    }

    pub fn words(&self) -> &[u64; 1024] {
        &self.0
    }

    pub fn ports(&self) -> Vec<u16> {
        let mut ports = Vec::new();
        for (high, word) in (0u16..).zip(self.0.iter()).filter(|(_, word)| **word != 0) {
            ports.extend(
                (0..64)
                    .filter(|bit| word >> bit & 1 == 1)
                    .map(|bit| high << 6 | bit),
            );
        }
        ports
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }
}

/// What is known of the events that ports are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub kind: Kind,
    /// The thread's.
    pub name: Option<&'a str>,
}

/// The serving ports with which the condition, or its negation, can be true; `None` for any.
/// `fd.port` counts as the serving port, although a client's port matches it too; `fd.proto` is it.
fn ports(condition: &Condition, known: Known<'_>, negated: bool) -> Option<Spans> {
    let of = |term| ports(term, known, negated);
    match (condition, negated) {
        (Condition::Constant(value), _) => (*value == negated).then(Spans::none),
        (Condition::And(terms), false) | (Condition::Or(terms), true) => {
            let pinned: Vec<Spans> = terms.iter().filter_map(of).collect();
            (!pinned.is_empty()).then(|| Spans::intersection(&pinned))
        }
        (Condition::Or(terms), false) | (Condition::And(terms), true) => {
            let all: Option<Vec<Spans>> = terms.iter().map(of).collect();
            Some(Spans::union(&all?))
        }
        (Condition::Not(inner), _) => ports(inner, known, !negated),
        (Condition::Test(test), _) => {
            if let Some(holds) = known.name.and_then(|name| named(test, name)) {
                return (holds == negated).then(Spans::none);
            }
            let accepted = of_test(test, known.kind)?;
            Some(if negated {
                accepted.complement()
            } else {
                accepted
            })
        }
    }
}

/// Whether the test is true of a thread of this name; `None` if it is about something else too.
fn named(test: &Test, name: &str) -> Option<bool> {
    is_about_name(test).then_some(())?;
    test.predicate.decided(&Value::Text(name.into()))
}

pub(super) fn is_about_name(test: &Test) -> bool {
    let Operand::Field { field, .. } = &test.left else {
        return false;
    };
    field.name == "proc.name"
}

fn is_serving(name: &str, kind: Kind) -> bool {
    let connects = matches!(kind, Kind::ConnectAttempt | Kind::ConnectOutcome);
    match name {
        "fd.sport" | "fd.port" | "fd.proto" => true,
        "fd.rport" => connects,
        "fd.lport" => !connects,
        _ => false,
    }
}

/// The ports for which a test of the serving port is true.
fn of_test(test: &Test, kind: Kind) -> Option<Spans> {
    let Operand::Field { field, .. } = &test.left else {
        return None;
    };
    if !is_serving(field.name, kind) {
        return None;
    }
    let spans = Spans::of_predicate(&test.predicate)?;
    Some(if test.predicate.differs() {
        spans.complement()
    } else {
        spans
    })
}

/// The serving ports that any enabled rule can match, for each kind of event.
#[derive(Debug, Clone, Default)]
pub struct WatchedPorts {
    pub connect: PortSet,
    pub accept: PortSet,
    pub listen: PortSet,
}

impl WatchedPorts {
    /// Those of these ports that are not among the others.
    pub fn without(&self, others: &Self) -> Self {
        Self {
            connect: self.connect.without(&others.connect),
            accept: self.accept.without(&others.accept),
            listen: self.listen.without(&others.listen),
        }
    }

    pub fn is_empty(&self) -> bool {
        [&self.connect, &self.accept, &self.listen]
            .iter()
            .all(|ports| ports.is_empty())
    }

    pub fn add(&mut self, condition: &Condition, kind: Kind) {
        let watched = match kind {
            Kind::ConnectAttempt | Kind::ConnectOutcome => &mut self.connect,
            Kind::Accept => &mut self.accept,
            Kind::Listen => &mut self.listen,
        };
        watched.add(condition, Known { kind, name: None });
    }
}
