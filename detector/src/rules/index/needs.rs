//! What an event must have, field by field, for a condition to be true. Never more than the
//! condition asks: an index by needs may leave in what does not match, and leaves out only that.

use std::collections::BTreeSet;

use super::super::{
    ast::{Modifier, Operator},
    compiler::{Condition, Test},
    fields::{Argument, Field, Get, Type},
    operand::Operand,
    predicate::{Constant, Predicate, Set},
    spans::Spans,
};

/// Values of one field that one rule names; with more it counts as one that names none.
const MAX_VALUES: usize = 1 << 16;

/// Texts that are read without copying.
const TEXTS: &[&str] = &[
    "proc.name",
    "proc.exepath",
    "proc.exe",
    "proc.pname",
    "proc.pexe_name",
    "proc.sname",
    "proc.aname",
    "proc.aexe_name",
    "user.name",
    "user.loginname",
    "group.name",
    "container.id",
    "container.full_id",
    "thread.cgroups",
    "fd.type",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) argument: Argument,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pattern {
    Is(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    /// A path within this one, both without slashes at their ends.
    Within(String),
}

/// A text is accepted if it fits any of the patterns, or if it fits none.
#[derive(Debug, Clone)]
pub(super) struct Texts {
    pub(super) refused: bool,
    pub(super) patterns: BTreeSet<Pattern>,
}

#[derive(Debug, Clone)]
pub(super) enum Accepts {
    Texts(Texts),
    Spans(Spans),
}

#[derive(Debug)]
pub(super) struct Need {
    pub(super) key: Key,
    pub(super) field: &'static Field,
    pub(super) accepts: Accepts,
    /// An event without the field is accepted.
    pub(super) missing: bool,
}

/// Of each field at most one need.
#[derive(Debug)]
pub(super) struct Needs {
    pub(super) all: Vec<Need>,
    /// An event with all of them makes the condition true.
    pub(super) enough: bool,
}

pub(super) fn needs(condition: &Condition) -> Needs {
    let mut needs = of(condition, false);
    let count = needs.all.len();
    needs.all.retain(|need| need.accepts.len() <= MAX_VALUES);
    needs.enough &= needs.all.len() == count;
    needs
}

/// Of the condition, or of its negation.
fn of(condition: &Condition, negated: bool) -> Needs {
    let term = |term| of(term, negated);
    match (condition, negated) {
        (Condition::Constant(value), _) => Needs {
            all: Vec::new(),
            enough: *value != negated,
        },
        (Condition::Not(inner), _) => of(inner, !negated),
        (Condition::Test(test), _) => {
            let need = of_test(test, negated);
            Needs {
                enough: need.is_some(),
                all: need.into_iter().collect(),
            }
        }
        (Condition::And(terms), false) | (Condition::Or(terms), true) => {
            let none = Needs {
                all: Vec::new(),
                enough: true,
            };
            terms.iter().map(term).fold(none, Needs::and)
        }
        (Condition::Or(terms), false) | (Condition::And(terms), true) => {
            let any = terms.iter().map(term).reduce(Needs::or);
            any.unwrap_or(Needs {
                all: Vec::new(),
                enough: false,
            })
        }
    }
}

impl Needs {
    fn and(mut self, other: Self) -> Self {
        self.enough &= other.enough;
        for need in other.all {
            match self.all.iter_mut().find(|one| one.key == need.key) {
                Some(one) => {
                    let (accepts, exact) = one.accepts.both(&need.accepts, need.is_many());
                    one.missing &= need.missing;
                    one.accepts = accepts;
                    self.enough &= exact;
                }
                None => self.all.push(need),
            }
        }
        self
    }

    /// Only what both ask can be asked.
    fn or(self, other: Self) -> Self {
        let alike = |need: &Need| other.all.iter().find(|other| other.key == need.key);
        let alone = self.all.len() == 1 && other.all.len() == 1;
        let joined = |need: Need| {
            let other = alike(&need)?;
            Some(Need {
                accepts: need.accepts.either(&other.accepts)?,
                missing: need.missing || other.missing,
                ..need
            })
        };
        let all: Vec<Need> = self.all.into_iter().filter_map(joined).collect();
        Self {
            enough: self.enough && other.enough && alone && all.len() == 1,
            all,
        }
    }
}

impl Need {
    /// Of several values one must be accepted.
    pub(super) fn is_many(&self) -> bool {
        is_many(self.field, &self.key.argument)
    }
}

fn is_many(field: &Field, argument: &Argument) -> bool {
    match field.get {
        Get::Ends(_) => true,
        Get::Ancestors(_) => *argument == Argument::None,
        _ => false,
    }
}

impl Accepts {
    fn len(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.patterns.len(),
            Self::Spans(spans) => spans.len(),
        }
    }

    /// What both accept, or more than that: whether it is just that is told too. Of several values
    /// one may be accepted by this and another by the other.
    fn both(&self, other: &Self, many: bool) -> (Self, bool) {
        match (self, other) {
            (Self::Spans(one), Self::Spans(other)) if !many => {
                (Self::Spans(one.intersection(other)), true)
            }
            (Self::Texts(one), Self::Texts(other)) if !many && one.refused && other.refused => {
                let patterns = one.patterns.union(&other.patterns).cloned().collect();
                let refused = true;
                (Self::Texts(Texts { refused, patterns }), true)
            }
            // Either is enough: that which tells more apart.
            (Self::Texts(one), _) if one.refused => (other.clone(), false),
            (_, Self::Texts(other)) if other.refused => (self.clone(), false),
            _ if other.len() < self.len() => (other.clone(), false),
            _ => (self.clone(), false),
        }
    }

    fn either(&self, other: &Self) -> Option<Self> {
        let (one, other) = match (self, other) {
            (Self::Spans(one), Self::Spans(other)) => return Some(Self::Spans(one.union(other))),
            (Self::Texts(one), Self::Texts(other)) => (one, other),
            _ => return None,
        };
        let words = |texts: &Texts| {
            texts
                .patterns
                .iter()
                .all(|one| matches!(one, Pattern::Is(_)))
        };
        let joined = |refused, patterns| Some(Self::Texts(Texts { refused, patterns }));
        match (one.refused, other.refused) {
            (false, false) => joined(
                false,
                one.patterns.union(&other.patterns).cloned().collect(),
            ),
            // Only words exclude each other.
            _ if !words(one) || !words(other) => None,
            (true, true) => joined(
                true,
                one.patterns
                    .intersection(&other.patterns)
                    .cloned()
                    .collect(),
            ),
            (true, false) => joined(true, &one.patterns - &other.patterns),
            (false, true) => joined(true, &other.patterns - &one.patterns),
        }
    }
}

fn of_test(test: &Test, negated: bool) -> Option<Need> {
    let Operand::Field { field, argument } = &test.left else {
        return None;
    };
    let text = field.kind == Type::Text;
    let readable = match field.get {
        Get::One(_) | Get::Ends(_) | Get::Ancestors(_) => !text || TEXTS.contains(&field.name),
        _ => false,
    };
    if !readable || matches!(field.kind, Type::List | Type::Bytes) {
        return None;
    }
    let differs = test.predicate.differs();
    // "Any of them" turned round is "none of them": nothing that one value could show.
    if is_many(field, argument) && (negated || differs) {
        return None;
    }
    let accepts = if text {
        let patterns = patterns(&test.predicate)?;
        let refused = negated != differs;
        Accepts::Texts(Texts { refused, patterns })
    } else {
        let spans = Spans::of_predicate(&test.predicate)?;
        Accepts::Spans(if negated != differs {
            spans.complement()
        } else {
            spans
        })
    };
    Some(Need {
        key: Key {
            name: field.name,
            argument: argument.clone(),
        },
        field,
        accepts,
        missing: negated,
    })
}

/// What fits; of a check that `differs` what does not.
fn patterns(predicate: &Predicate) -> Option<BTreeSet<Pattern>> {
    let is = |texts: &mut dyn Iterator<Item = &String>| texts.cloned().map(Pattern::Is).collect();
    Some(match predicate {
        Predicate::Exists => BTreeSet::new(),
        Predicate::Compare(operator, constant) => [pattern(*operator, constant)?].into(),
        Predicate::In(set) | Predicate::Intersects(set) => match set {
            Set::FewTexts { texts, .. } => is(&mut texts.iter()),
            Set::Texts { texts, .. } => is(&mut texts.iter()),
            Set::Few(none) if none.is_empty() => BTreeSet::new(),
            _ => return None,
        },
        Predicate::Paths(prefixes) => prefixes
            .plain()?
            .map(|path| Pattern::Within(path.to_owned()))
            .collect(),
        Predicate::Many(many) => {
            let told = match (many.modifier, many.operator) {
                (Modifier::AllOf, Operator::NotEqual) => !many.constants.is_empty(),
                (modifier, operator) => {
                    modifier == Modifier::AnyOf && operator != Operator::NotEqual
                }
            };
            if !told {
                return None;
            }
            let each = many.constants.iter();
            let each = each.map(|one| pattern(many.operator, one));
            each.collect::<Option<_>>()?
        }
        _ => return None,
    })
}

fn pattern(operator: Operator, constant: &Constant) -> Option<Pattern> {
    let Constant::Text(text) = constant else {
        return None;
    };
    let text = text.clone();
    Some(match operator {
        Operator::Equal | Operator::NotEqual => Pattern::Is(text),
        Operator::StartsWith => Pattern::StartsWith(text),
        Operator::EndsWith => Pattern::EndsWith(text),
        Operator::Contains => Pattern::Contains(text),
        _ => return None,
    })
}
