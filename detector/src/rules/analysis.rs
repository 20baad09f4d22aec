//! What a valid rule is probably not meant to be: never true, shadowed by another, or trusting what
//! a process chooses itself. Only what is certain is told: checks are compared as they are written.

use std::{
    collections::{BTreeSet, hash_map::DefaultHasher},
    hash::{BuildHasher as _, BuildHasherDefault},
};

use super::{
    Rule,
    ast::Operator,
    compiler::{Condition, Test},
    fields::{Argument, Get, Type, Value},
    operand::Operand,
    predicate::{Constant, Predicate, Set},
};

/// The condition cannot be true of any event.
pub(super) const NEVER: &str = "RULE_NEVER_MATCHES";
/// Whatever it matches, an earlier rule matches too.
pub(super) const SHADOWED: &str = "RULE_SHADOWED";
/// A process is let off for a name that it chooses itself.
pub(super) const TRUSTS_NAME: &str = "RULE_TRUSTS_NAME";

/// The terms that must all be true, and those that must all be false.
#[derive(Default)]
struct Terms<'c> {
    required: Vec<&'c Condition>,
    refused: Vec<&'c Condition>,
}

impl<'c> Terms<'c> {
    fn of(condition: &'c Condition) -> Self {
        let mut terms = Self::default();
        terms.add(condition, true);
        terms
    }

    fn add(&mut self, condition: &'c Condition, required: bool) {
        match condition {
            Condition::And(all) if required => all.iter().for_each(|one| self.add(one, true)),
            Condition::Or(any) if !required => any.iter().for_each(|one| self.add(one, false)),
            Condition::Not(inner) => self.add(inner, !required),
            other if required => self.required.push(other),
            other => self.refused.push(other),
        }
    }

    fn keys(terms: &[&Condition]) -> BTreeSet<String> {
        terms.iter().map(|term| key(term)).collect()
    }
}

/// Equal for conditions that are written alike.
fn key(condition: &Condition) -> String {
    let joined = |terms: &[Condition], word: &str| {
        let keys: Vec<String> = terms.iter().map(key).collect();
        format!("({})", keys.join(word))
    };
    match condition {
        Condition::Constant(value) => value.to_string(),
        Condition::And(terms) => joined(terms, " and "),
        Condition::Or(terms) => joined(terms, " or "),
        Condition::Not(inner) => format!("not {}", key(inner)),
        Condition::Test(test) => test.written.clone(),
    }
}

/// Two terms that exclude each other.
pub(super) fn contradiction(condition: &Condition) -> Option<String> {
    let terms = Terms::of(condition);
    let required = Terms::keys(&terms.required);
    for refused in &terms.refused {
        // `a and not (a and b)` still needs `b`; with `b` required too, nothing is left.
        let parts: Vec<String> = match refused {
            Condition::And(parts) => parts.iter().map(key).collect(),
            one => vec![key(one)],
        };
        if parts.iter().all(|part| required.contains(part)) {
            let text = parts.join(" and ");
            return Some(format!("`{text}` is required, and `not ({text})` too"));
        }
    }
    for one in tests(&terms.required) {
        let Some(values) = values(one) else { continue };
        if values.is_empty() {
            return Some(format!("`{}` is false of every event", one.written));
        }
        let same = |other: &&Test| is_same_field(one, other);
        let fails = |other: &Test, expected: bool| {
            values
                .iter()
                .all(|value| other.predicate.decided(value) == Some(!expected))
        };
        if let Some(other) = tests(&terms.required)
            .filter(same)
            .find(|other| fails(other, true))
        {
            let (one, other) = (&one.written, &other.written);
            return Some(format!("`{one}` and `{other}` are never both true"));
        }
        if let Some(other) = tests(&terms.refused)
            .filter(same)
            .find(|other| fails(other, false))
        {
            let (one, other) = (&one.written, &other.written);
            return Some(format!(
                "`{one}` is never true without `{other}`, which is excluded"
            ));
        }
    }
    None
}

fn tests<'c>(terms: &'c [&'c Condition]) -> impl Iterator<Item = &'c Test> {
    terms.iter().filter_map(|term| match term {
        Condition::Test(test) => Some(&**test),
        _ => None,
    })
}

/// A field with one value at a time, and the argument to it.
fn single(test: &Test) -> Option<(&'static str, &Argument)> {
    match &test.left {
        Operand::Field { field, argument } => match (field.get, argument) {
            (Get::Ends(_) | Get::Names(_), _) | (Get::Ancestors(_), Argument::None) => None,
            // An empty list is in every set.
            _ if field.kind == Type::List => None,
            _ => Some((field.name, argument)),
        },
        _ => None,
    }
}

fn is_same_field(one: &Test, other: &Test) -> bool {
    single(one).is_some() && single(one) == single(other)
}

/// All values for which the test is true, where they are listed.
fn values(test: &Test) -> Option<Vec<Value<'_>>> {
    single(test)?;
    match &test.predicate {
        Predicate::Compare(Operator::Equal, constant) => Some(vec![value(constant)?]),
        Predicate::In(Set::Few(constants)) => constants.iter().map(value).collect(),
        Predicate::In(Set::FewTexts { texts, .. }) => {
            Some(texts.iter().map(|text| Value::Text(text.into())).collect())
        }
        _ => None,
    }
}

fn value(constant: &Constant) -> Option<Value<'_>> {
    Some(match constant {
        Constant::Text(text) => Value::Text(text.into()),
        Constant::Signed(number) => Value::Signed(*number),
        Constant::Unsigned(number) => Value::Unsigned(*number),
        Constant::Double(number) => Value::Double(*number),
        Constant::Bool(value) => Value::Bool(*value),
        Constant::Ip(ip) => Value::Ip(*ip),
        Constant::Net(_) | Constant::Glob(_) | Constant::Regex(_) => return None,
    })
}

/// The rules so far that are in force, each by its terms.
#[derive(Default)]
pub(super) struct Earlier(Vec<Shadow>);

struct Shadow {
    name: String,
    asks_result: bool,
    /// Hashes of what is required and what is refused, sorted.
    terms: Vec<u64>,
}

impl Earlier {
    /// Adds the rule, and returns the name of an earlier one whose every term this rule has too.
    pub(super) fn shadows(&mut self, rule: &Rule) -> Option<String> {
        let own = Terms::of(&rule.whole);
        let hash = |required: bool| {
            move |key: String| {
                BuildHasherDefault::<DefaultHasher>::default().hash_one((required, key))
            }
        };
        let required = Terms::keys(&own.required).into_iter().map(hash(true));
        let refused = Terms::keys(&own.refused).into_iter().map(hash(false));
        let mut terms: Vec<u64> = required.chain(refused).collect();
        terms.sort_unstable();
        let found = self.0.iter().find(|other| {
            let mut rest = terms.iter();
            other.asks_result == rule.asks_result
                && other.terms.iter().all(|term| rest.any(|own| own == term))
        });
        let name = found.map(|other| other.name.clone());
        // A rule that is judged for no event, or not for each kind, leaves some to the next.
        if rule.kinds.inactive.is_some() || !rule.kinds.partly.is_empty() {
            return name;
        }
        self.0.push(Shadow {
            name: rule.name.clone(),
            asks_result: rule.asks_result,
            terms,
        });
        name
    }
}

/// What is compared with names where nothing else tells the process.
pub(super) fn trusts_name(condition: &Condition) -> Option<String> {
    let mut identity = false;
    condition.fields(&mut |field, _| {
        identity |= matches!(field.name, "proc.exepath" | "proc.exe_ino");
    });
    if identity {
        return None;
    }
    let terms = Terms::of(condition);
    let named = |test: &&Test| {
        let name = single(test).map(|(name, _)| name);
        matches!(name, Some("proc.name" | "proc.exe" | "proc.cmdline"))
    };
    let listed = |test: &&Test| {
        matches!(
            test.predicate,
            Predicate::In(_) | Predicate::Compare(Operator::Equal, _)
        )
    };
    let differs =
        |test: &&Test| matches!(test.predicate, Predicate::Compare(Operator::NotEqual, _));
    let mut refused = tests(&terms.refused).filter(named);
    let mut required = tests(&terms.required).filter(named);
    let found = refused.find(listed).or_else(|| required.find(differs))?;
    Some(found.written.clone())
}
