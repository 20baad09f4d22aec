//! The serving ports that an event must have for a condition to be true: what the probes watch.

use super::{
    ast::Operator,
    compiler::{Condition, Test},
    fields::Value,
    operand::Operand,
    predicate::{self, Constant, Predicate, Set},
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
    fn all() -> Self {
        Self(Box::new([u64::MAX; 1024]))
    }

    pub fn contains(&self, port: u16) -> bool {
        self.0
            .get(usize::from(port >> 6))
            .is_some_and(|word| (word >> (port & 63)) & 1 == 1)
    }

    fn insert(&mut self, port: u16) {
        if let Some(word) = self.0.get_mut(usize::from(port >> 6)) {
            *word |= 1 << (port & 63);
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

    fn combine(mut self, other: &Self, join: fn(u64, u64) -> u64) -> Self {
        for (word, other) in self.0.iter_mut().zip(other.0.iter()) {
            *word = join(*word, *other);
        }
        self
    }

    fn complement(mut self) -> Self {
        self.0.iter_mut().for_each(|word| *word = !*word);
        self
    }
}

/// The serving ports with which the condition can be true; `None` for any. `fd.port` counts as the
/// serving port, although a client's port matches it too.
fn pinned(condition: &Condition, kind: Kind) -> Option<PortSet> {
    ports(condition, kind, false)
}

/// Of the condition, or of its negation.
fn ports(condition: &Condition, kind: Kind, negated: bool) -> Option<PortSet> {
    let all = |terms: &[Condition]| {
        terms
            .iter()
            .filter_map(|term| ports(term, kind, negated))
            .reduce(|one, other| one.combine(&other, |a, b| a & b))
    };
    let any = |terms: &[Condition]| {
        terms.iter().try_fold(PortSet::default(), |one, term| {
            Some(one.combine(&ports(term, kind, negated)?, |a, b| a | b))
        })
    };
    match (condition, negated) {
        (Condition::Constant(value), _) => (*value == negated).then(PortSet::default),
        (Condition::And(terms), false) | (Condition::Or(terms), true) => all(terms),
        (Condition::Or(terms), false) | (Condition::And(terms), true) => any(terms),
        (Condition::Not(inner), _) => ports(inner, kind, !negated),
        (Condition::Test(test), _) => {
            let exact = of_test(test, kind)?;
            Some(if negated { exact.complement() } else { exact })
        }
    }
}

fn is_serving(name: &str, kind: Kind) -> bool {
    let connects = matches!(kind, Kind::ConnectAttempt | Kind::ConnectOutcome);
    match name {
        "fd.sport" | "fd.port" => true,
        "fd.rport" => connects,
        "fd.lport" => !connects,
        _ => false,
    }
}

/// Exactly the ports for which a test of the serving port is true.
fn of_test(test: &Test, kind: Kind) -> Option<PortSet> {
    let Operand::Field { field, .. } = &test.left else {
        return None;
    };
    if !is_serving(field.name, kind) {
        return None;
    }
    let mut ports = PortSet::default();
    let mut add = |constant: &Constant| {
        if let Constant::Unsigned(port) = constant
            && let Ok(port) = u16::try_from(*port)
        {
            ports.insert(port);
        }
    };
    match &test.predicate {
        Predicate::Exists => return Some(PortSet::all()),
        Predicate::Compare(Operator::Equal, constant) => add(constant),
        Predicate::In(Set::Few(constants)) | Predicate::Intersects(Set::Few(constants)) => {
            constants.iter().for_each(add);
        }
        Predicate::In(Set::Unsigned(numbers)) | Predicate::Intersects(Set::Unsigned(numbers)) => {
            numbers
                .iter()
                .for_each(|port| add(&Constant::Unsigned(*port)));
        }
        Predicate::Compare(operator, constant) => {
            let matches = |port: &u16| {
                predicate::compare(&Value::Unsigned((*port).into()), *operator, constant)
            };
            (0..=u16::MAX)
                .filter(matches)
                .for_each(|port| ports.insert(port));
        }
        _ => return None,
    }
    Some(ports)
}

/// The serving ports that any enabled rule can match, for each kind of event.
#[derive(Debug, Clone, Default)]
pub struct WatchedPorts {
    pub connect: PortSet,
    pub accept: PortSet,
    pub listen: PortSet,
}

impl WatchedPorts {
    pub fn add(&mut self, condition: &Condition, kind: Kind) {
        let ports = pinned(condition, kind).unwrap_or_else(PortSet::all);
        let watched = match kind {
            Kind::ConnectAttempt | Kind::ConnectOutcome => &mut self.connect,
            Kind::Accept => &mut self.accept,
            Kind::Listen => &mut self.listen,
        };
        *watched = std::mem::take(watched).combine(&ports, |a, b| a | b);
    }
}
