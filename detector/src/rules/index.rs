//! Rules by kind of event and by what they pin (a text such as the program's name, or the serving
//! port): an event meets only the rules that it can match.

use std::{
    collections::{BTreeMap, HashMap, hash_map::DefaultHasher},
    hash::BuildHasherDefault,
};

use super::{
    Rule,
    ast::Operator,
    compiler::{Condition, Test},
    fields::{Argument, Context, Field, Get, Value},
    operand::Operand,
    ports::{Pin, pinned},
    predicate::{Constant, Predicate, Set},
};
use crate::event::Kind;

/// A rule that pins more ports, or more texts, counts as one that pins none.
const MAX_PINS: usize = 256;
const KINDS: [Kind; 4] = [
    Kind::ConnectAttempt,
    Kind::ConnectOutcome,
    Kind::Accept,
    Kind::Listen,
];
/// Texts that are looked up: cheap to read, and what rules tell programs and users apart by.
const TEXTS: [&str; 6] = [
    "proc.name",
    "proc.exepath",
    "proc.exe",
    "proc.pname",
    "user.name",
    "container.id",
];

type Texts = HashMap<String, Vec<usize>, BuildHasherDefault<DefaultHasher>>;

/// Rules by their number, ascending. Each is in one of the three, under each of its pins.
#[derive(Debug, Default)]
struct OfKind {
    others: Vec<usize>,
    by_port: BTreeMap<u16, Vec<usize>>,
    by_text: [Option<(&'static Field, Texts)>; TEXTS.len()],
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

    /// In the order of definition.
    pub(super) fn candidates(&self, context: Context<'_>) -> impl Iterator<Item = usize> {
        let [attempt, outcome, accept, listen] = &self.0;
        let of_kind = match context.event.kind {
            Kind::ConnectAttempt => attempt,
            Kind::ConnectOutcome => outcome,
            Kind::Accept => accept,
            Kind::Listen => listen,
        };
        let port = context.event.socket.server.port;
        let mut found = Merged::default();
        found.push(&of_kind.others);
        if let Some(pinned) = of_kind.by_port.get(&port) {
            found.push(pinned);
        }
        for (field, texts) in of_kind.by_text.iter().flatten() {
            if let Some(text) = text(field, context)
                && let Some(pinned) = texts.get(text.as_ref())
            {
                found.push(pinned);
            }
        }
        found
    }
}

fn text<'a>(field: &'static Field, context: Context<'a>) -> Option<std::borrow::Cow<'a, str>> {
    match field.get {
        Get::One(get) => match get(context)? {
            Value::Text(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Ascending numbers, from ascending slices that have none in common.
#[derive(Default)]
struct Merged<'a> {
    slices: [&'a [usize]; TEXTS.len() + 2],
    /// Of them in use.
    count: usize,
}

impl<'a> Merged<'a> {
    fn push(&mut self, slice: &'a [usize]) {
        if let Some(place) = self.slices.get_mut(self.count)
            && !slice.is_empty()
        {
            *place = slice;
            self.count += 1;
        }
    }
}

impl Iterator for Merged<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let least = self
            .slices
            .get_mut(..self.count)?
            .iter_mut()
            .filter(|slice| !slice.is_empty())
            .min_by_key(|slice| slice.first().copied())?;
        let (first, rest) = least.split_first()?;
        *least = rest;
        Some(*first)
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
        if matches!(condition, Condition::Constant(false)) {
            return;
        }
        if let Some((slot, field, texts)) = pinned_texts(condition)
            && texts.len() <= MAX_PINS
            && let Some(place) = self.by_text.get_mut(slot)
        {
            let (_, by_text) = place.get_or_insert_with(|| (field, Texts::default()));
            for text in texts {
                let numbers = by_text.entry(text).or_default();
                if numbers.last() != Some(&number) {
                    numbers.push(number);
                }
            }
            return;
        }
        match pinned(condition, kind, Pin::Exact) {
            Some(ports) if ports.len() <= MAX_PINS => {
                for port in ports.ports() {
                    self.by_port.entry(port).or_default().push(number);
                }
            }
            _ => self.others.push(number),
        }
    }
}

type Pinned = (usize, &'static Field, Vec<String>);

/// A text field without one of whose values the condition cannot be true, and those values.
fn pinned_texts(condition: &Condition) -> Option<Pinned> {
    match condition {
        Condition::And(terms) => terms
            .iter()
            .filter_map(pinned_texts)
            .min_by_key(|(_, _, texts)| texts.len()),
        Condition::Or(terms) => terms
            .iter()
            .map(pinned_texts)
            .reduce(|one, other| {
                let ((slot, field, mut texts), (same, _, more)) = (one?, other?);
                texts.extend(more);
                (slot == same).then_some((slot, field, texts))
            })
            .flatten(),
        Condition::Test(test) => of_test(test),
        Condition::Not(_) | Condition::Constant(_) => None,
    }
}

fn of_test(test: &Test) -> Option<Pinned> {
    let Operand::Field {
        field,
        argument: Argument::None,
    } = &test.left
    else {
        return None;
    };
    let slot = TEXTS.iter().position(|name| *name == field.name)?;
    let texts = match &test.predicate {
        Predicate::Compare(Operator::Equal, Constant::Text(text)) => vec![text.clone()],
        Predicate::In(Set::FewTexts { texts, .. }) => texts.clone(),
        Predicate::In(Set::Texts { texts, .. }) => texts.iter().cloned().collect(),
        _ => return None,
    };
    Some((slot, field, texts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_merged_in_order() {
        let mut merged = Merged::default();
        for slice in [&[1, 4][..], &[], &[0, 9], &[2], &[3]] {
            merged.push(slice);
        }
        let merged: Vec<usize> = merged.collect();
        assert_eq!(merged, [0, 1, 2, 3, 4, 9]);
    }
}
