//! Whose connects no rule can match, whatever else they are: the probes only count them.

use std::collections::BTreeSet;

use super::{
    compiler::Condition,
    ports::{Known, PortSet, is_about_name},
};
use crate::event::Kind;

/// Names that are looked into, in their order, and conditions that are for all of them.
const MAX_NAMES: usize = 256;
const MAX_LOOKS: usize = 20_000;
/// A thread's name has at most so many bytes (`TASK_COMM_LEN` without the NUL).
const MAX_NAME_LEN: usize = 15;

/// A name of threads, and the ports at which they are let off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetOff {
    pub name: String,
    pub ports: PortSet,
}

/// Only what every condition excludes, by the name alone, at a port that is watched.
pub(super) fn let_off(conditions: &[&Condition], watched: &PortSet) -> Vec<LetOff> {
    let (mut names, mut naming, mut others) = (BTreeSet::new(), Vec::new(), PortSet::default());
    for condition in conditions {
        let mut names_any = false;
        condition.tests(&mut |test| {
            if is_about_name(test) {
                names_any = true;
                names.extend(test.predicate.texts());
            }
        });
        if names_any {
            naming.push(condition);
        } else {
            others.add(condition, connect_of(None));
        }
    }
    names.retain(|name| !name.is_empty() && name.len() <= MAX_NAME_LEN);
    let of = |name: String| {
        let mut asked = others.clone();
        for condition in &naming {
            asked.add(condition, connect_of(Some(&name)));
        }
        let ports = watched.without(&asked);
        (!ports.is_empty()).then_some(LetOff { name, ports })
    };
    let most = MAX_NAMES.min(MAX_LOOKS / naming.len().max(1));
    names.into_iter().take(most).filter_map(of).collect()
}

fn connect_of(name: Option<&str>) -> Known<'_> {
    Known {
        kind: Kind::ConnectAttempt,
        name,
    }
}

/// What both let off: while rules change, nothing that the old or the new ask for is left out.
pub fn common(old: &[LetOff], new: &[LetOff]) -> Vec<LetOff> {
    let both = |one: &LetOff| {
        let other = new.iter().find(|other| other.name == one.name)?;
        let ports = one.ports.within(&other.ports);
        let name = one.name.clone();
        (!ports.is_empty()).then_some(LetOff { name, ports })
    };
    old.iter().filter_map(both).collect()
}
