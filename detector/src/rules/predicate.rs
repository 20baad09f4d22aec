//! What a value is held against: constants, sets, patterns, or another value.

use std::{
    borrow::Cow,
    collections::{HashSet, hash_map::DefaultHasher},
    hash::BuildHasherDefault,
    net::IpAddr,
};

use super::{
    ast::{Modifier, Operator},
    automaton::Automaton,
    fields::{Context, Value},
    net::{Net, Nets},
    operand::Operand,
    pattern::{Glob, Prefixes},
};

#[derive(Debug, Clone)]
pub enum Constant {
    Text(String),
    Signed(i64),
    Unsigned(u64),
    Double(f64),
    Bool(bool),
    Ip(IpAddr),
    Net(Net),
    Glob(Glob),
    Regex(Box<regex::Regex>),
}

/// Small sets are compared one by one: below this a hash costs more.
const HASHED: usize = 8;

#[derive(Debug)]
pub enum Set {
    Few(Vec<Constant>),
    /// Bit n of `lengths`: a text of n bytes is among them (63: or longer).
    FewTexts {
        lengths: u64,
        texts: Vec<String>,
    },
    Texts {
        lengths: u64,
        texts: HashSet<String, BuildHasherDefault<DefaultHasher>>,
    },
    Signed(Vec<i64>),
    Unsigned(Vec<u64>),
    Ips(Vec<IpAddr>),
    Nets(Nets),
}

fn length_bit(text: &str) -> u64 {
    1 << text.len().min(63)
}

fn sorted<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    values
}

impl Set {
    /// All constants are of one type: the checker made them for one field.
    pub fn new(constants: Vec<Constant>) -> Self {
        let all = || constants.iter();
        match constants.first() {
            Some(Constant::Net(_)) => Self::Nets(Nets::new(all().filter_map(|one| match one {
                Constant::Net(net) => Some(*net),
                _ => None,
            }))),
            Some(Constant::Text(_)) => {
                let texts = all().filter_map(|one| match one {
                    Constant::Text(text) => Some(text.clone()),
                    _ => None,
                });
                let lengths = texts.clone().fold(0, |bits, text| bits | length_bit(&text));
                if constants.len() <= HASHED {
                    let texts = texts.collect();
                    return Self::FewTexts { lengths, texts };
                }
                let texts = texts.collect();
                Self::Texts { lengths, texts }
            }
            _ if constants.len() <= HASHED => Self::Few(constants),
            Some(Constant::Signed(_)) => Self::Signed(sorted(all().filter_map(|one| match one {
                Constant::Signed(number) => Some(*number),
                _ => None,
            }))),
            Some(Constant::Unsigned(_)) => {
                Self::Unsigned(sorted(all().filter_map(|one| match one {
                    Constant::Unsigned(number) => Some(*number),
                    _ => None,
                })))
            }
            Some(Constant::Ip(_)) => Self::Ips(sorted(all().filter_map(|one| match one {
                Constant::Ip(ip) => Some(*ip),
                _ => None,
            }))),
            _ => Self::Few(constants),
        }
    }

    pub fn contains(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Few(constants), _) => constants
                .iter()
                .any(|constant| compare(value, Operator::Equal, constant)),
            (Self::FewTexts { lengths, texts }, Value::Text(text)) => {
                lengths & length_bit(text) != 0 && texts.iter().any(|one| one == text)
            }
            (Self::Texts { lengths, texts }, Value::Text(text)) => {
                lengths & length_bit(text) != 0 && texts.contains(text.as_ref())
            }
            (Self::Signed(numbers), Value::Signed(number)) => numbers.binary_search(number).is_ok(),
            (Self::Unsigned(numbers), Value::Unsigned(number)) => {
                numbers.binary_search(number).is_ok()
            }
            (Self::Ips(ips), Value::Ip(ip)) => ips.binary_search(ip).is_ok(),
            (Self::Nets(nets), Value::Ip(ip)) => nets.contains(*ip),
            _ => false,
        }
    }
}

#[derive(Debug)]
pub enum Predicate {
    Exists,
    Compare(Operator, Constant),
    In(Set),
    Intersects(Set),
    Paths(Prefixes),
    Many(Many),
    Operand(Operator, Operand),
}

/// `op oneof|anyof|allof (...)`.
#[derive(Debug)]
pub struct Many {
    pub modifier: Modifier,
    pub operator: Operator,
    pub constants: Vec<Constant>,
    automaton: Option<Automaton>,
}

impl Many {
    pub fn new(modifier: Modifier, operator: Operator, constants: Vec<Constant>) -> Self {
        let automaton = match modifier {
            Modifier::AnyOf => Automaton::any_of(operator, &constants),
            Modifier::OneOf | Modifier::AllOf => None,
        };
        Self {
            modifier,
            operator,
            constants,
            automaton,
        }
    }

    fn holds(&self, value: &Value<'_>) -> bool {
        match (&self.automaton, value) {
            (Some(automaton), Value::Text(text)) => automaton.matches(text),
            _ => self.count(|one| compare(value, self.operator, one)),
        }
    }

    /// Each listed constant counts, duplicates too; of none nothing holds.
    fn count(&self, holds: impl Fn(&Constant) -> bool) -> bool {
        let constants = &self.constants;
        match self.modifier {
            Modifier::OneOf => constants.iter().filter(|one| holds(one)).take(2).count() == 1,
            Modifier::AnyOf => constants.iter().any(holds),
            Modifier::AllOf => !constants.is_empty() && constants.iter().all(holds),
        }
    }
}

impl Predicate {
    pub fn holds(&self, value: &Value<'_>, context: Context<'_>) -> bool {
        match self {
            Self::Exists => true,
            Self::Compare(operator, constant) => compare(value, *operator, constant),
            // Of a list: every element (an empty one has none that is not in the set), or any.
            Self::In(set) => match value {
                Value::List(items) => items.iter().all(|item| set.contains(item)),
                one => set.contains(one),
            },
            Self::Intersects(set) => match value {
                Value::List(items) => items.iter().any(|item| set.contains(item)),
                one => set.contains(one),
            },
            Self::Paths(prefixes) => match value {
                Value::Text(text) => prefixes.matches(text),
                _ => false,
            },
            Self::Many(many) => many.holds(value),
            Self::Operand(operator, operand) => operand
                .value(context)
                .is_some_and(|other| compare_values(value, *operator, &other)),
        }
    }

    /// Whether all fits but what it names: `!=`, and `exists`, which names nothing.
    pub(super) fn differs(&self) -> bool {
        match self {
            Self::Exists | Self::Compare(Operator::NotEqual, _) => true,
            Self::Many(many) => many.operator == Operator::NotEqual,
            _ => false,
        }
    }

    /// The texts that values are compared with.
    pub fn texts(&self) -> Vec<String> {
        let of = |constants: &[Constant]| {
            let text = |constant: &Constant| match constant {
                Constant::Text(text) => Some(text.clone()),
                _ => None,
            };
            constants.iter().filter_map(text).collect()
        };
        match self {
            Self::Compare(_, constant) => of(std::slice::from_ref(constant)),
            Self::Many(many) => of(&many.constants),
            Self::In(set) | Self::Intersects(set) => match set {
                Set::Few(constants) => of(constants),
                Set::FewTexts { texts, .. } => texts.clone(),
                Set::Texts { texts, .. } => texts.iter().cloned().collect(),
                _ => Vec::new(),
            },
            Self::Exists | Self::Paths(_) | Self::Operand(..) => Vec::new(),
        }
    }

    /// The verdict on a value that is known before any event; none if another field is asked.
    pub fn decided(&self, value: &Value<'_>) -> Option<bool> {
        Some(match self {
            Self::Exists => true,
            Self::Compare(operator, constant) => compare(value, *operator, constant),
            Self::In(set) | Self::Intersects(set) => set.contains(value),
            Self::Many(many) => many.holds(value),
            Self::Paths(_) | Self::Operand(..) => return None,
        })
    }

    /// Of an address's names one must satisfy it; for `!=` all. Without the end nothing holds but
    /// `exists`, as in Falco.
    pub fn holds_of_names(&self, names: Option<&[String]>, context: Context<'_>) -> bool {
        match (self, names) {
            (Self::Exists, _) => true,
            (_, None) => false,
            (_, Some(names)) => {
                let name = |name| Some(Value::Text(Cow::Borrowed(name)));
                let names: Vec<_> = names.iter().map(String::as_str).map(name).collect();
                self.holds_at_ends(&names, context)
            }
        }
    }

    /// Of a connection's two ends one must satisfy it; for `!=` both.
    pub fn holds_at_ends(&self, ends: &[Option<Value<'_>>], context: Context<'_>) -> bool {
        let ends = || ends.iter().flatten();
        match self {
            Self::Compare(Operator::NotEqual, constant) => {
                ends().all(|end| compare(end, Operator::NotEqual, constant))
            }
            Self::Many(many) if many.operator == Operator::NotEqual => {
                many.count(|one| ends().all(|end| compare(end, many.operator, one)))
            }
            Self::Many(many) => {
                many.count(|one| ends().any(|end| compare(end, many.operator, one)))
            }
            _ => ends().any(|end| self.holds(end, context)),
        }
    }
}

fn contains_folded(text: &str, part: &str) -> bool {
    let (text, part) = (text.as_bytes(), part.as_bytes());
    part.is_empty()
        || text
            .windows(part.len())
            .any(|window| window.eq_ignore_ascii_case(part))
}

fn compare_texts(text: &str, operator: Operator, other: &str) -> bool {
    match operator {
        Operator::Equal | Operator::In | Operator::Intersects => text == other,
        Operator::NotEqual => text != other,
        Operator::Contains => text.contains(other),
        Operator::Icontains => contains_folded(text, other),
        Operator::StartsWith => text.starts_with(other),
        Operator::EndsWith => text.ends_with(other),
        Operator::Glob => Glob::new(other, false).matches(text),
        Operator::Iglob => Glob::new(other, true).matches(text),
        _ => ordered(text.cmp(other), operator),
    }
}

fn ordered(order: std::cmp::Ordering, operator: Operator) -> bool {
    match operator {
        Operator::Equal | Operator::In | Operator::Intersects => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterEqual => order.is_ge(),
        _ => false,
    }
}

pub fn compare(value: &Value<'_>, operator: Operator, constant: &Constant) -> bool {
    match (value, constant) {
        (Value::Text(text), Constant::Text(other)) => compare_texts(text, operator, other),
        (Value::Text(text), Constant::Glob(glob)) => glob.matches(text),
        (Value::Text(text), Constant::Regex(regex)) => regex.is_match(text),
        (Value::Signed(number), Constant::Signed(other)) => ordered(number.cmp(other), operator),
        (Value::Unsigned(number), Constant::Unsigned(other)) => {
            ordered(number.cmp(other), operator)
        }
        (Value::Double(number), Constant::Double(other)) => number
            .partial_cmp(other)
            .is_some_and(|order| ordered(order, operator)),
        (Value::Bool(value), Constant::Bool(other)) => ordered(value.cmp(other), operator),
        // Addresses of two families are never equal.
        (Value::Ip(ip), Constant::Ip(other)) => ordered(ip.cmp(other), operator),
        (Value::Ip(ip), Constant::Net(net)) => {
            net.contains(*ip) != (operator == Operator::NotEqual)
        }
        _ => false,
    }
}

/// Field to field: both sides are of one type.
fn compare_values(value: &Value<'_>, operator: Operator, other: &Value<'_>) -> bool {
    match (value, other) {
        (Value::Text(text), Value::Text(other)) => compare_texts(text, operator, other),
        (Value::Signed(number), Value::Signed(other)) => ordered(number.cmp(other), operator),
        (Value::Unsigned(number), Value::Unsigned(other)) => ordered(number.cmp(other), operator),
        (Value::Double(number), Value::Double(other)) => number
            .partial_cmp(other)
            .is_some_and(|order| ordered(order, operator)),
        (Value::Bool(value), Value::Bool(other)) => ordered(value.cmp(other), operator),
        (Value::Ip(ip), Value::Ip(other)) => ordered(ip.cmp(other), operator),
        (Value::List(items), Value::List(others)) => match operator {
            Operator::Intersects => items.iter().any(|item| others.contains(item)),
            _ => items.iter().all(|item| others.contains(item)),
        },
        _ => false,
    }
}
