//! Numbers and addresses as points of one line, and what a check accepts of them as spans of it.

use std::net::IpAddr;

use super::{
    ast::{Modifier, Operator},
    fields::Value,
    net::Net,
    predicate::{Constant, Predicate, Set},
};

/// Sorted, without overlaps; both ends are included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spans(Vec<(u128, u128)>);

/// IPv4 addresses stand where IPv6 has the mapped ones, which no event has.
const MAPPED: u128 = 0xffff << 32;

fn address(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => MAPPED | u128::from(u32::from(ip)),
        IpAddr::V6(ip) => ip.into(),
    }
}

/// Signed numbers in their order.
fn signed(number: i64) -> u128 {
    u128::from(number.cast_unsigned() ^ (1 << 63))
}

pub(super) fn point(value: &Value<'_>) -> Option<u128> {
    Some(match value {
        Value::Signed(number) => signed(*number),
        Value::Unsigned(number) => u128::from(*number),
        Value::Bool(value) => u128::from(*value),
        Value::Ip(ip) => address(*ip),
        Value::Double(_) | Value::Text(_) | Value::List(_) => return None,
    })
}

impl Spans {
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    fn new(mut spans: Vec<(u128, u128)>) -> Self {
        spans.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(spans.len());
        for (first, last) in spans {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last)
                }
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    /// Of texts and patterns there are none.
    fn of(constant: &Constant) -> Option<Self> {
        let only = |point: u128| Self(vec![(point, point)]);
        Some(match constant {
            Constant::Signed(number) => only(signed(*number)),
            Constant::Unsigned(number) => only(u128::from(*number)),
            Constant::Bool(value) => only(u128::from(*value)),
            Constant::Ip(ip) => only(address(*ip)),
            Constant::Net(Net::V4(first, last)) => Self(vec![(
                MAPPED | u128::from(*first),
                MAPPED | u128::from(*last),
            )]),
            Constant::Net(Net::V6(first, last)) => {
                let mapped = Self(vec![(MAPPED, MAPPED | u128::from(u32::MAX))]);
                Self::intersection(&[Self(vec![(*first, *last)]), mapped.complement()])
            }
            Constant::Double(_) | Constant::Text(_) | Constant::Glob(_) | Constant::Regex(_) => {
                return None;
            }
        })
    }

    fn of_all<'c>(constants: impl Iterator<Item = &'c Constant>) -> Option<Self> {
        let spans: Option<Vec<Self>> = constants.map(Self::of).collect();
        Some(Self::union(&spans?))
    }

    fn of_set(set: &Set) -> Option<Self> {
        let points = |points: &mut dyn Iterator<Item = u128>| {
            Self::new(points.map(|point| (point, point)).collect())
        };
        match set {
            Set::Few(constants) => Self::of_all(constants.iter()),
            Set::Signed(numbers) => Some(points(&mut numbers.iter().map(|one| signed(*one)))),
            Set::Unsigned(numbers) => Some(points(&mut numbers.iter().map(|one| u128::from(*one)))),
            Set::Ips(ips) => Some(points(&mut ips.iter().map(|ip| address(*ip)))),
            Set::Nets(nets) => {
                let nets: Vec<Constant> = nets.all().map(Constant::Net).collect();
                Self::of_all(nets.iter())
            }
            Set::FewTexts { .. } | Set::Texts { .. } => None,
        }
    }

    /// What fits a check of one value, which is not missing; of one that `differs` what does not.
    pub(super) fn of_predicate(predicate: &Predicate) -> Option<Self> {
        Some(match predicate {
            Predicate::Exists => Self::none(),
            Predicate::Compare(operator, constant) => {
                let point = Self::of(constant)?;
                match operator {
                    Operator::Equal | Operator::NotEqual => point,
                    Operator::Less => point.below(),
                    Operator::LessEqual => Self::union(&[point.below(), point]),
                    Operator::Greater => Self::union(&[point.below(), point]).complement(),
                    Operator::GreaterEqual => point.below().complement(),
                    _ => return None,
                }
            }
            Predicate::In(set) | Predicate::Intersects(set) => Self::of_set(set)?,
            Predicate::Many(many) => match (many.modifier, many.operator) {
                (Modifier::AnyOf, Operator::Equal) => Self::of_all(many.constants.iter())?,
                (Modifier::AllOf, Operator::NotEqual) if !many.constants.is_empty() => {
                    Self::of_all(many.constants.iter())?
                }
                _ => return None,
            },
            _ => return None,
        })
    }

    /// What is less than the least point of these spans.
    fn below(&self) -> Self {
        let below = |(first, _): &(u128, u128)| Some((0, first.checked_sub(1)?));
        Self(self.0.first().and_then(below).into_iter().collect())
    }

    pub(super) fn union(all: &[Self]) -> Self {
        Self::new(all.iter().flat_map(Self::iter).collect())
    }

    pub(super) fn intersection(all: &[Self]) -> Self {
        let gaps = all.iter().flat_map(|one| one.complement().0);
        Self::new(gaps.collect()).complement()
    }

    pub(super) fn complement(&self) -> Self {
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        let mut next = Some(0);
        for (first, last) in &self.0 {
            if let Some(start) = next
                && start < *first
            {
                gaps.push((start, first - 1));
            }
            next = last.checked_add(1);
        }
        gaps.extend(next.map(|start| (start, u128::MAX)));
        Self(gaps)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u128, u128)> {
        self.0.iter().copied()
    }

    /// The points at which being within begins or ends.
    pub(super) fn edges(&self) -> impl Iterator<Item = u128> {
        let after = |(first, last): &(u128, u128)| [Some(*first), last.checked_add(1)];
        self.0.iter().flat_map(after).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Spans {
        Spans::of(&Constant::Net(Net::parse(text).unwrap())).unwrap()
    }

    fn contains(spans: &Spans, value: &Value<'_>) -> bool {
        let point = point(value).unwrap();
        spans
            .0
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&point))
    }

    #[test]
    fn a_network_of_ipv6_has_no_ipv4_address() {
        let ip = |text: &str| Value::Ip(text.parse().unwrap());
        assert!(contains(&net("10.0.0.0/8"), &ip("10.1.2.3")));
        assert!(!contains(&net("::/1"), &ip("10.1.2.3")));
        assert!(contains(&net("::/1"), &ip("::1")));
        assert!(!contains(&net("10.0.0.0/8"), &ip("::1")));
        assert!(contains(&net("::/1").complement(), &ip("10.1.2.3")));
    }

    #[test]
    fn spans_are_a_boolean_algebra() {
        let five = Spans::of(&Constant::Signed(5)).unwrap();
        let below = five.below();
        assert!(contains(&below, &Value::Signed(-7)));
        assert!(!contains(&below, &Value::Signed(5)));
        assert_eq!(below.complement().complement(), below);
        assert_eq!(
            Spans::union(&[below.clone(), below.complement()]),
            Spans::none().complement()
        );
        assert_eq!(
            Spans::intersection(&[below.clone(), below.complement()]),
            Spans::none()
        );
        let zero = Spans::of(&Constant::Unsigned(0)).unwrap();
        assert_eq!(zero.below(), Spans::none());
        assert_eq!(zero.edges().collect::<Vec<_>>(), [0, 1]);
    }
}
