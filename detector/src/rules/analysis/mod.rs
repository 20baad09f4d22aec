//! What a valid rule is probably not meant to be: never true, shadowed by another, or trusting what
//! a process chooses itself. Only what is certain is told: checks are compared as they are written.

mod contradiction;
mod widens;

use std::{
    collections::{BTreeSet, hash_map::DefaultHasher},
    hash::{BuildHasher as _, BuildHasherDefault},
};

use super::{
    Rule,
    ast::Operator,
    compiler::{Condition, Test},
    operand::Operand,
    predicate::Predicate,
};
pub(super) use contradiction::contradiction;
pub(super) use widens::widens;

/// The condition cannot be true of any event.
pub(super) const NEVER: &str = "RULE_NEVER_MATCHES";
/// An exception lets off more than it says.
pub(super) const WIDENS: &str = "RULE_EXCEPTION_WIDENS";
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

fn tests<'c>(terms: &'c [&'c Condition]) -> impl Iterator<Item = &'c Test> {
    terms.iter().filter_map(|term| match term {
        Condition::Test(test) => Some(&**test),
        _ => None,
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
    let mut refused = tests(&terms.refused).filter(|test| is_name(test) && !is_negated(test));
    // That some ancestor has another name is true of nearly all.
    let mut required = tests(&terms.required)
        .filter(|test| is_name(test) && is_negated(test) && !is_of_ancestors(test));
    let found = refused.next().or_else(|| required.next())?;
    Some(found.written.clone())
}

/// What a process, or an ancestor of it, sets itself.
fn is_name(test: &Test) -> bool {
    let Operand::Field { field, .. } = &test.left else {
        return false;
    };
    matches!(
        field.name,
        "proc.name"
            | "proc.exe"
            | "proc.cmdline"
            | "proc.exeline"
            | "proc.args"
            | "proc.pname"
            | "proc.aname"
    ) && !matches!(test.predicate, Predicate::Exists | Predicate::Operand(..))
}

fn is_of_ancestors(test: &Test) -> bool {
    matches!(&test.left, Operand::Field { field, .. } if field.name == "proc.aname")
}

fn is_negated(test: &Test) -> bool {
    matches!(
        test.predicate,
        Predicate::Compare(Operator::NotEqual, _) | Predicate::Many(_, Operator::NotEqual, _)
    )
}
