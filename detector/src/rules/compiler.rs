//! A checked condition: constants converted, macros and lists resolved. Evaluates without
//! allocating for the comparisons of borrowed fields.

use std::net::IpAddr;

use super::{
    ast::Operator,
    fields::{self, Field, Value},
};
use crate::event::{Event, Kind};

#[derive(Debug)]
pub enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Check {
        field: &'static Field,
        operator: Operator,
        constants: Vec<Constant>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constant {
    Text(String),
    Number(i64),
    Bool(bool),
    Ip(IpAddr),
}

impl Condition {
    /// A comparison with a missing value is false, `!=` too; only `not` turns that round.
    pub fn matches(&self, event: &Event) -> bool {
        match self {
            Self::And(terms) => terms.iter().all(|term| term.matches(event)),
            Self::Or(terms) => terms.iter().any(|term| term.matches(event)),
            Self::Not(inner) => !inner.matches(event),
            Self::Check {
                field,
                operator,
                constants,
            } => {
                let Some(value) = (field.get)(event) else {
                    return false;
                };
                match operator {
                    Operator::Exists => true,
                    Operator::In => constants
                        .iter()
                        .any(|one| compare(&value, Operator::Equal, one)),
                    _ => constants
                        .first()
                        .is_some_and(|one| compare(&value, *operator, one)),
                }
            }
        }
    }

    /// Whether the rule must wait for the outcome of a connect.
    pub fn asks_result(&self) -> bool {
        match self {
            Self::And(terms) | Self::Or(terms) => terms.iter().any(Self::asks_result),
            Self::Not(inner) => inner.asks_result(),
            Self::Check { field, .. } => {
                matches!(
                    field.name,
                    "evt.res" | "evt.rawres" | "evt.failed" | "fd.connected"
                )
            }
        }
    }

    /// The server ports that an event of this kind can match with; `None` for any port.
    fn pinned(&self, kind: Kind) -> Option<Vec<u16>> {
        match self {
            Self::And(terms) => terms
                .iter()
                .filter_map(|term| term.pinned(kind))
                .min_by_key(Vec::len),
            Self::Or(terms) => {
                let ports: Option<Vec<_>> = terms.iter().map(|term| term.pinned(kind)).collect();
                Some(ports?.concat())
            }
            Self::Not(_) => None,
            Self::Check {
                field,
                operator: Operator::Equal | Operator::In,
                constants,
            } => match field.name {
                "fd.sport" => Some(constants.iter().filter_map(port).collect()),
                "evt.type" => {
                    let name = fields::event_type(kind);
                    let named = |one: &Constant| matches!(one, Constant::Text(t) if t == name);
                    (!constants.iter().any(named)).then(Vec::new)
                }
                _ => None,
            },
            Self::Check { .. } => None,
        }
    }
}

fn port(constant: &Constant) -> Option<u16> {
    match constant {
        Constant::Number(number) => u16::try_from(*number).ok(),
        _ => None,
    }
}

fn compare(value: &Value<'_>, operator: Operator, constant: &Constant) -> bool {
    let order = match (value, constant) {
        (Value::Text(text), Constant::Text(other)) => match operator {
            Operator::Contains => return text.contains(other.as_str()),
            Operator::StartsWith => return text.starts_with(other.as_str()),
            Operator::EndsWith => return text.ends_with(other.as_str()),
            _ => text.as_ref().cmp(other.as_str()),
        },
        (Value::Number(number), Constant::Number(other)) => number.cmp(other),
        (Value::Bool(value), Constant::Bool(other)) => value.cmp(other),
        (Value::Ip(ip), Constant::Ip(other)) => ip.cmp(other),
        _ => return false,
    };
    match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::LessEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterEqual => order.is_ge(),
        _ => false,
    }
}

/// 65,536 bits.
#[derive(Debug, Clone)]
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

    fn add(&mut self, ports: Option<Vec<u16>>) {
        match ports {
            None => self.0.fill(u64::MAX),
            Some(ports) => {
                for port in ports {
                    if let Some(word) = self.0.get_mut(usize::from(port >> 6)) {
                        *word |= 1 << (port & 63);
                    }
                }
            }
        }
    }

    pub fn words(&self) -> &[u64; 1024] {
        &self.0
    }

    pub fn ports(&self) -> Vec<u16> {
        (0..=u16::MAX).filter(|port| self.contains(*port)).collect()
    }
}

/// The serving ports that any enabled rule can match, for each kind of event.
#[derive(Debug, Clone, Default)]
pub struct WatchedPorts {
    pub connect: PortSet,
    pub accept: PortSet,
    pub listen: PortSet,
}

impl WatchedPorts {
    pub fn add(&mut self, condition: &Condition) {
        self.connect.add(condition.pinned(Kind::ConnectAttempt));
        self.accept.add(condition.pinned(Kind::Accept));
        self.listen.add(condition.pinned(Kind::Listen));
    }
}
