//! A checked condition, and the form of it that each kind of event is judged with: what the kind
//! decides (its type, its protocol, what it never has) is decided once. Evaluates without
//! allocating where fields are borrowed, or written on the stack.

use std::sync::Arc;

use super::{
    ast::Operator,
    fields::{Argument, Context, Field, Get, Short, State, Type, Value, Write},
    loader::Options,
    operand::Operand,
    predicate::Predicate,
};
use crate::event::Kind;

const NAMES_ARE_OFF: &str = "names are not resolved: set `resolve_names` to true";

#[derive(Debug, Clone)]
pub enum Condition {
    Constant(bool),
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Test(Arc<Test>),
}

#[derive(Debug)]
pub struct Test {
    pub left: Operand,
    pub predicate: Predicate,
    /// The check as it can be written.
    pub written: String,
}

impl Test {
    /// A comparison with a missing value is false, `!=` too; only `not` turns that round.
    pub fn matches(&self, context: Context<'_>) -> bool {
        if let Operand::Field { field, argument } = &self.left {
            match (field.get, argument) {
                (Get::Written(get), _) => return self.holds_of_written(get, context),
                (Get::Ends(get), _) => {
                    return self.predicate.holds_at_ends(&get(context), context);
                }
                (Get::Ancestors(get), Argument::None) => {
                    return (1..=context.event.process.ancestors.len())
                        .filter_map(|index| get(context, index))
                        .any(|value| self.predicate.holds(&value, context));
                }
                (Get::Names(get), _) => {
                    return self.predicate.holds_of_names(get(context), context);
                }
                _ => {}
            }
        }
        self.left
            .value(context)
            .is_some_and(|value| self.predicate.holds(&value, context))
    }

    /// Apart, for the buffer is not to be on the stack of every term within a term.
    #[inline(never)]
    fn holds_of_written(&self, get: Write, context: Context<'_>) -> bool {
        let mut text = Short::default();
        get(context, &mut text).is_some_and(|()| {
            let value = Value::Text(text.as_str().into());
            self.predicate.holds(&value, context)
        })
    }

    /// Every field that is read.
    pub fn fields(&self, each: &mut impl FnMut(&'static Field, &Argument)) {
        self.left.fields(each);
        if let Predicate::Operand(_, right) = &self.predicate {
            right.fields(each);
        }
    }

    /// Names of hosts that addresses are compared with.
    pub fn names(&self) -> Vec<String> {
        match &self.left {
            Operand::Field { field, .. } if matches!(field.get, Get::Names(_)) => {
                self.predicate.texts()
            }
            _ => Vec::new(),
        }
    }

    /// What the kind of the event alone decides.
    pub fn decided(&self, kind: Kind) -> Option<bool> {
        let mut absent = false;
        self.fields(&mut |field, argument| {
            absent |= field.state(kind, argument) == State::Absent;
        });
        if absent {
            return Some(false);
        }
        let Operand::Field { field, .. } = &self.left else {
            return None;
        };
        let Get::Kind(get) = field.get else {
            return None;
        };
        let Some(text) = get(kind) else {
            return Some(false);
        };
        self.predicate.decided(&Value::Text(text.into()))
    }
}

impl Condition {
    pub fn matches(&self, context: Context<'_>) -> bool {
        match self {
            Self::Constant(value) => *value,
            Self::And(terms) => terms.iter().all(|term| term.matches(context)),
            Self::Or(terms) => terms.iter().any(|term| term.matches(context)),
            Self::Not(inner) => !inner.matches(context),
            Self::Test(test) => test.matches(context),
        }
    }

    /// What is left to ask of an event of this kind.
    pub fn for_kind(&self, kind: Kind) -> Self {
        match self {
            Self::Constant(value) => Self::Constant(*value),
            Self::And(terms) => joined(terms, kind, false, Self::And),
            Self::Or(terms) => joined(terms, kind, true, Self::Or),
            Self::Not(inner) => match inner.for_kind(kind) {
                Self::Constant(value) => Self::Constant(!value),
                Self::Not(inner) => *inner,
                inner => Self::Not(Box::new(inner)),
            },
            Self::Test(test) => test
                .decided(kind)
                .map_or_else(|| self.clone(), Self::Constant),
        }
    }

    pub fn tests(&self, each: &mut impl FnMut(&Test)) {
        match self {
            Self::Constant(_) => {}
            Self::And(terms) | Self::Or(terms) => terms.iter().for_each(|term| term.tests(each)),
            Self::Not(inner) => inner.tests(each),
            Self::Test(test) => each(test),
        }
    }

    /// Whether the rule must wait for the outcome of a connect.
    pub fn asks_result(&self) -> bool {
        let mut asks = false;
        self.fields(&mut |field, _| asks |= field.of_result);
        asks
    }

    pub fn fields(&self, each: &mut impl FnMut(&'static Field, &Argument)) {
        self.tests(&mut |test| test.fields(each));
    }

    /// A field that Falco would have a value of, and what is missing here, for a kind of event.
    pub fn unavailable(
        &self,
        kind: Kind,
        options: Options,
    ) -> Option<(&'static str, &'static str)> {
        let mut found = None;
        self.fields(&mut |field, argument| match field.state(kind, argument) {
            State::Unavailable(missing) => {
                found.get_or_insert((field.name, missing));
            }
            _ if matches!(field.get, Get::Names(_)) && !options.resolve_names => {
                found.get_or_insert((field.name, NAMES_ARE_OFF));
            }
            _ => {}
        });
        found
    }
}

/// Cheap terms first: no term has an effect, so that their order changes the time and no verdict.
fn cost(condition: &Condition) -> u32 {
    match condition {
        Condition::Constant(_) => 0,
        Condition::Not(inner) => cost(inner),
        Condition::And(terms) | Condition::Or(terms) => terms.iter().map(cost).sum(),
        Condition::Test(test) => {
            let left = match &test.left {
                Operand::Field { field, .. } if field.kind == Type::Text => 2,
                Operand::Field { .. } => 1,
                _ => 8,
            };
            let right = match &test.predicate {
                Predicate::Exists | Predicate::Compare(Operator::Equal | Operator::NotEqual, _) => {
                    0
                }
                Predicate::In(_) => 1,
                Predicate::Paths(_) | Predicate::Operand(..) => 8,
                _ => 4,
            };
            left + right
        }
    }
}

/// `absorbing` decides the whole; the other constant has no effect.
fn joined(
    terms: &[Condition],
    kind: Kind,
    absorbing: bool,
    join: fn(Vec<Condition>) -> Condition,
) -> Condition {
    let mut left = Vec::new();
    for term in terms {
        match term.for_kind(kind) {
            Condition::Constant(value) if value == absorbing => {
                return Condition::Constant(absorbing);
            }
            Condition::Constant(_) => {}
            term => left.push(term),
        }
    }
    left.sort_by_cached_key(cost);
    match left.pop() {
        None => Condition::Constant(!absorbing),
        Some(only) if left.is_empty() => only,
        Some(last) => {
            left.push(last);
            join(left)
        }
    }
}
