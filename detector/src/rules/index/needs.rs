//! What an event must have, field by field, for a condition to be true. Never more than the
//! condition asks: an index by needs may leave in what does not match, and leaves out only that.

use std::collections::{BTreeMap, BTreeSet};

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

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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
    pub(super) field: &'static Field,
    pub(super) accepts: Accepts,
    /// An event without the field is accepted.
    pub(super) missing: bool,
}

#[derive(Debug)]
pub(super) struct Needs {
    pub(super) all: BTreeMap<Key, Need>,
    /// An event with all of them makes the condition true.
    pub(super) enough: bool,
}

pub(super) fn needs(condition: &Condition) -> Needs {
    let mut needs = of(condition, false);
    let count = needs.all.len();
    needs.all.retain(|_, need| need.accepts.len() <= MAX_VALUES);
    needs.enough &= needs.all.len() == count;
    needs
}

/// Of the condition, or of its negation.
fn of(condition: &Condition, negated: bool) -> Needs {
    let each = |terms: &[Condition]| terms.iter().map(|term| of(term, negated)).collect();
    match (condition, negated) {
        (Condition::Constant(value), _) => Needs {
            all: BTreeMap::new(),
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
        (Condition::And(terms), false) | (Condition::Or(terms), true) => Needs::and(each(terms)),
        (Condition::Or(terms), false) | (Condition::And(terms), true) => Needs::or(each(terms)),
    }
}

impl Needs {
    fn and(terms: Vec<Self>) -> Self {
        let mut enough = terms.iter().all(|term| term.enough);
        let both = |(key, asked): (Key, Asked)| {
            let (need, exact) = asked.both(&key)?;
            enough &= exact;
            Some((key, need))
        };
        Self {
            all: Asked::by_field(terms).filter_map(both).collect(),
            enough,
        }
    }

    /// Only what all ask can be asked.
    fn or(terms: Vec<Self>) -> Self {
        let count = terms.len();
        let alone = terms.iter().all(|term| term.enough && term.all.len() == 1);
        let by_all = Asked::by_field(terms).filter(|(_, asked)| asked.missing.len() == count);
        let either = by_all.filter_map(|(key, asked)| Some((key, asked.either()?)));
        let all: BTreeMap<Key, Need> = either.collect();
        Self {
            enough: alone && all.len() == 1,
            all,
        }
    }
}

/// What several terms ask of one field: all texts, or all points.
struct Asked {
    field: &'static Field,
    texts: Vec<Texts>,
    spans: Vec<Spans>,
    missing: Vec<bool>,
}

impl Asked {
    fn by_field(terms: Vec<Needs>) -> impl Iterator<Item = (Key, Self)> {
        let mut fields: BTreeMap<Key, Self> = BTreeMap::new();
        for (key, need) in terms.into_iter().flat_map(|term| term.all) {
            let asked = fields.entry(key).or_insert_with(|| Self {
                field: need.field,
                texts: Vec::new(),
                spans: Vec::new(),
                missing: Vec::new(),
            });
            asked.missing.push(need.missing);
            match need.accepts {
                Accepts::Texts(texts) => asked.texts.push(texts),
                Accepts::Spans(spans) => asked.spans.push(spans),
            }
        }
        fields.into_iter()
    }

    /// What all ask, or less: whether it is just that is told too. Of several values one may be
    /// accepted by this and another by the other.
    fn both(self, key: &Key) -> Option<(Need, bool)> {
        let many = is_many(self.field, &key.argument);
        let one = self.missing.len() == 1;
        let (accepts, exact) = if self.spans.is_empty() {
            let refused = self.texts.iter().all(|one| one.refused);
            let (texts, exact) = if refused && !many {
                (Texts::refusing_all(self.texts), true)
            } else {
                (Texts::narrowest(self.texts)?, one)
            };
            (Accepts::Texts(texts), exact)
        } else if many {
            let narrowest = self.spans.into_iter().min_by_key(Spans::len)?;
            (Accepts::Spans(narrowest), one)
        } else {
            (Accepts::Spans(Spans::intersection(&self.spans)), true)
        };
        let need = Need {
            field: self.field,
            accepts,
            missing: self.missing.iter().all(|missing| *missing),
        };
        Some((need, exact))
    }

    fn either(self) -> Option<Need> {
        Some(Need {
            field: self.field,
            accepts: if self.spans.is_empty() {
                Accepts::Texts(Texts::either(self.texts)?)
            } else {
                Accepts::Spans(Spans::union(&self.spans))
            },
            missing: self.missing.contains(&true),
        })
    }
}

impl Texts {
    /// Accepts what none of them refuses.
    fn refusing_all(all: Vec<Self>) -> Self {
        Self {
            refused: true,
            patterns: all.into_iter().flat_map(|one| one.patterns).collect(),
        }
    }

    /// That which tells more texts apart.
    fn narrowest(all: Vec<Self>) -> Option<Self> {
        let width = |one: &Self| (one.refused, one.patterns.len());
        all.into_iter().min_by_key(width)
    }

    fn either(all: Vec<Self>) -> Option<Self> {
        let is_word = |pattern: &Pattern| matches!(pattern, Pattern::Is(_));
        let words = all.iter().flat_map(|one| &one.patterns).all(is_word);
        let (refusing, accepting): (Vec<Self>, Vec<Self>) =
            all.into_iter().partition(|one| one.refused);
        let accepted: BTreeSet<Pattern> =
            accepting.into_iter().flat_map(|one| one.patterns).collect();
        let refused = refusing.into_iter().map(|one| one.patterns);
        Some(match refused.reduce(|one, other| &one & &other) {
            None => Self {
                refused: false,
                patterns: accepted,
            },
            // Only words exclude each other.
            Some(_) if !words => return None,
            Some(refused) => Self {
                refused: true,
                patterns: &refused - &accepted,
            },
        })
    }
}

/// Of several values one must be accepted.
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
}

fn of_test(test: &Test, negated: bool) -> Option<(Key, Need)> {
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
    let key = Key {
        name: field.name,
        argument: argument.clone(),
    };
    let need = Need {
        field,
        accepts,
        missing: negated,
    };
    Some((key, need))
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
