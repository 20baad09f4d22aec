//! Exceptions that except more than they say: what a value of one looks at is found by trying the
//! ends of what its field can be.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    super::{
        compiler::{Condition, Test},
        fields::{Type, Value},
        predicate::Predicate,
    },
    is_negated, key,
};

/// No process, path or user has such a name.
const UNLIKELY: &str = "\u{1}\u{2}";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Every event that has the field.
    All,
    /// All but what is named.
    AllBut,
    /// What is named.
    Named,
}

/// Of one value of an exception, as a condition: a message and a help, if it lets off more than it
/// seems to.
pub(in super::super) fn widens(value: &Condition) -> Option<(String, &'static str)> {
    let parts = match value {
        Condition::And(parts) => parts.as_slice(),
        one => std::slice::from_ref(one),
    };
    let reaches: Vec<Reach> = parts.iter().map(reach).collect();
    let first = |wanted: Reach| {
        let found = parts
            .iter()
            .zip(&reaches)
            .find(|(_, reach)| **reach == wanted);
        found.map(|(part, _)| key(part)).unwrap_or_default()
    };
    let narrow = "write what is to be let off, or leave this value out";
    if reaches.iter().all(|reach| *reach == Reach::All) {
        let check = first(Reach::All);
        let message = format!("this excepts every event: `{check}` is true of each");
        return Some((message, narrow));
    }
    if !reaches.contains(&Reach::Named) {
        let check = first(Reach::AllBut);
        let message = format!("this excepts all but what it names: `{check}`");
        let help = "write `=` or `in`: an exception names what is let off";
        return Some((message, help));
    }
    reaches.contains(&Reach::All).then(|| {
        let check = first(Reach::All);
        let message =
            format!("this part does not narrow the exception: `{check}` is true of each event");
        (message, narrow)
    })
}

fn reach(condition: &Condition) -> Reach {
    match condition {
        Condition::Constant(true) => Reach::All,
        Condition::Test(test) => tried(test),
        _ => Reach::Named,
    }
}

fn tried(test: &Test) -> Reach {
    if let Predicate::Exists = test.predicate {
        return Reach::All;
    }
    let families: Vec<Vec<Value<'static>>> = probes(test.left.kind());
    let all = |values: &Vec<Value<'static>>| values.iter().all(|value| holds(test, value));
    if families
        .iter()
        .any(|values| !values.is_empty() && all(values))
    {
        return if is_negated(test) {
            Reach::AllBut
        } else {
            Reach::All
        };
    }
    Reach::Named
}

fn holds(test: &Test, value: &Value<'_>) -> bool {
    match (&test.predicate, value) {
        (Predicate::Paths(paths), Value::Text(text)) => paths.matches(text),
        (predicate, value) => predicate.decided(value) == Some(true),
    }
}

/// What a check that is true of all of them cannot tell apart; of addresses, by family.
fn probes(kind: Type) -> Vec<Vec<Value<'static>>> {
    let unsigned = |most: u64| vec![vec![Value::Unsigned(0), Value::Unsigned(most)]];
    match kind {
        Type::Text | Type::List | Type::Bytes => {
            vec![vec![Value::Text("".into()), Value::Text(UNLIKELY.into())]]
        }
        Type::Bool => vec![vec![Value::Bool(false), Value::Bool(true)]],
        Type::Int16 | Type::Int64 => vec![vec![Value::Signed(i64::MIN), Value::Signed(i64::MAX)]],
        Type::Double => vec![vec![Value::Double(f64::MIN), Value::Double(f64::MAX)]],
        Type::Socket => Vec::new(),
        Type::Port => unsigned(u64::from(u16::MAX)),
        Type::Uint32 => unsigned(u64::from(u32::MAX)),
        Type::Uint64 | Type::Time | Type::Duration => unsigned(u64::MAX),
        Type::Ip | Type::Net => {
            let v4 = [Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST];
            let v6 = [Ipv6Addr::LOCALHOST, Ipv6Addr::from_bits(u128::MAX)];
            vec![
                v4.map(|ip| Value::Ip(IpAddr::V4(ip))).to_vec(),
                v6.map(|ip| Value::Ip(IpAddr::V6(ip))).to_vec(),
            ]
        }
    }
}
