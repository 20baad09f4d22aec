//! A condition, kind by kind: what each kind of event is judged with, and whether anything that is
//! observed here can match at all.

use super::{
    ast::Operator,
    compiler::{Condition, Test},
    fields::Get,
    loader::Options,
    operand::Operand,
    predicate::{Constant, Predicate, Set},
    told,
};
use crate::event::Kind;

/// The condition that is left for each kind.
#[derive(Debug)]
pub(super) struct Kinds {
    /// Of the attempt and of the outcome.
    pub connect: Condition,
    pub accept: Condition,
    pub listen: Condition,
    /// Why no event that is observed here can match.
    pub inactive: Option<String>,
    /// Why some events are not judged.
    pub partly: Vec<String>,
}

impl Kinds {
    pub(super) fn new(condition: &Condition, options: Options) -> Self {
        let mut missing = Vec::new();
        let mut untold = Vec::new();
        let mut of = |kind: Kind| {
            let left = condition.for_kind(kind);
            match left.unavailable(kind, options) {
                None => {
                    let (left, in_containers) = told::judged(left);
                    untold.extend(in_containers);
                    left
                }
                Some((field, reason)) => {
                    missing.push((kind.name(), field, reason));
                    Condition::Constant(false)
                }
            }
        };
        let connect = of(Kind::ConnectAttempt);
        let accept = of(Kind::Accept);
        let listen = of(Kind::Listen);
        let never = |one: &Condition| matches!(one, Condition::Constant(false));
        let dead = [&connect, &accept, &listen].into_iter().all(never);
        let (inactive, partly) = match (dead, missing.first()) {
            (false, _) => {
                let reason = |(kind, field, reason): &(&str, &str, &str)| {
                    format!("`{field}` of {kind} is not known: {reason}")
                };
                let missing = missing.iter().map(reason);
                untold.dedup();
                (None, missing.chain(untold).collect())
            }
            (true, Some((_, field, reason))) => (
                Some(format!("`{field}` is not known: {reason}")),
                Vec::new(),
            ),
            (true, None) => {
                let reason = untold.pop().unwrap_or_else(|| without_kind(condition));
                (Some(reason), Vec::new())
            }
        };
        Self {
            connect,
            accept,
            listen,
            inactive,
            partly,
        }
    }

    pub(super) fn of(&self, kind: Kind) -> &Condition {
        match kind {
            Kind::ConnectAttempt | Kind::ConnectOutcome => &self.connect,
            Kind::Accept => &self.accept,
            Kind::Listen => &self.listen,
        }
    }
}

/// Why: the event types that a condition asks for, or what such an event always or never has.
fn without_kind(condition: &Condition) -> String {
    let (mut types, mut fixed) = (Vec::new(), Vec::new());
    condition.tests(&mut |test| {
        if is_type(test) {
            match &test.predicate {
                Predicate::Compare(Operator::Equal, one) => types.extend(text(one)),
                Predicate::In(Set::FewTexts { texts, .. }) => types.extend(texts.iter().cloned()),
                Predicate::In(Set::Texts { texts, .. }) => types.extend(texts.iter().cloned()),
                _ => {}
            }
        } else if test.decided(Kind::ConnectAttempt) == Some(false)
            && let Operand::Field { field, .. } = &test.left
        {
            let name = field.name;
            fixed.push(match field.get {
                Get::Kind(get) => {
                    let value = get(Kind::ConnectAttempt).unwrap_or_default();
                    format!("`{name}` is always {value}")
                }
                _ => format!("they have no `{name}`"),
            });
        }
    });
    let observed = |name: &String| matches!(name.as_str(), "connect" | "accept" | "listen");
    if types.is_empty() || types.iter().any(observed) {
        let never = "no connect, accept or listen of TCP can match";
        return match fixed.first() {
            Some(reason) => format!("{never}: {reason}"),
            None => never.to_owned(),
        };
    }
    types.sort();
    types.dedup();
    let more = if types.len() > 3 { ", ..." } else { "" };
    types.truncate(3);
    let names = types.join(", ");
    format!("only connect, accept and listen are observed, not {names}{more}")
}

fn text(constant: &Constant) -> Option<String> {
    match constant {
        Constant::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn is_type(test: &Test) -> bool {
    matches!(&test.left, Operand::Field { field, .. } if field.name == "evt.type")
}

/// Whether event types that the condition does not name can match: Falco warns of such rules.
pub(super) fn admits_others(condition: &Condition) -> bool {
    others(condition, false) != Some(false)
}

/// What is known of the condition, or of its negation, for an event of a type that it does not
/// name. Other fields say nothing.
fn others(condition: &Condition, negated: bool) -> Option<bool> {
    match condition {
        Condition::Constant(value) => Some(*value != negated),
        Condition::Not(inner) => others(inner, !negated),
        Condition::And(terms) | Condition::Or(terms) => {
            let all = matches!(condition, Condition::And(_)) != negated;
            let known: Vec<Option<bool>> = terms.iter().map(|term| others(term, negated)).collect();
            if known.contains(&Some(!all)) {
                return Some(!all);
            }
            known.iter().all(|one| *one == Some(all)).then_some(all)
        }
        Condition::Test(test) => {
            let Operand::Field { field, .. } = &test.left else {
                return None;
            };
            let holds = match field.name {
                "evt.num" => of_numbered(&test.predicate)?,
                "evt.type" | "syscall.type" => of_unnamed(&test.predicate)?,
                _ => return None,
            };
            Some(holds != negated)
        }
    }
}

/// A check of the type of an event that no condition names; other operators than these tell Falco
/// nothing of it.
fn of_unnamed(predicate: &Predicate) -> Option<bool> {
    match predicate {
        Predicate::Compare(Operator::NotEqual, _) | Predicate::Exists => Some(true),
        Predicate::Compare(Operator::Equal, _) | Predicate::In(_) => Some(false),
        _ => None,
    }
}

/// A check of `evt.num`, which is 1 at least.
fn of_numbered(predicate: &Predicate) -> Option<bool> {
    let (operator, number) = match predicate {
        Predicate::Compare(operator, Constant::Unsigned(number)) => (*operator, *number),
        Predicate::In(Set::Few(numbers)) => {
            let zero = |one: &Constant| matches!(one, Constant::Unsigned(0));
            return numbers.iter().all(zero).then_some(false);
        }
        Predicate::In(Set::Unsigned(numbers)) => {
            return numbers.iter().all(|one| *one == 0).then_some(false);
        }
        _ => return None,
    };
    match (operator, number) {
        (Operator::Equal, 0) | (Operator::Less, 0 | 1) | (Operator::LessEqual, 0) => Some(false),
        (Operator::NotEqual, 0) | (Operator::Greater, 0) | (Operator::GreaterEqual, 0 | 1) => {
            Some(true)
        }
        _ => None,
    }
}
