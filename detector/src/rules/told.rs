//! Fields that only some events tell: what a container runtime knows of a container, nobody tells
//! here. A rule fires where its verdict does not hang on such a field, so that neither a check nor
//! its negation is taken for true by a guess.

use std::sync::Arc;

use super::{
    ast::Operator,
    compiler::{Condition, Test},
    fields::{Argument, Context, Field, METADATA},
    operand::Operand,
    predicate::{Constant, Predicate},
};
use crate::{
    event::{Attribution, Elapsed, Endpoint, Event, Family, Kind, Socket, Thread},
    host::Host,
};

/// The condition as events are judged with, and what to say if some are not judged: a condition
/// that is false whatever an event tells is never true.
pub(super) fn judged(condition: Condition) -> (Condition, Option<String>) {
    let mut field = None;
    condition.fields(&mut |one, _| {
        if is_metadata(one) {
            field.get_or_insert(one);
        }
    });
    let Some(field) = field else {
        return (guarded(&condition), None);
    };
    let on_host = decided(&condition, true, &|test, _| of_host(test));
    let elsewhere = decided(&condition, true, &|test, positive| {
        let mut metadata = false;
        test.fields(&mut |field, _| metadata |= is_metadata(field));
        metadata.then_some(!positive)
    });
    let never = |condition: &Condition| matches!(condition, Condition::Constant(false));
    let name = field.name;
    let told = "the container runtime is not asked";
    if never(&on_host) && never(&elsewhere) {
        let reason = format!("`{name}` of a container is not known: {told}");
        return (Condition::Constant(false), Some(reason));
    }
    let reason = if never(&elsewhere) {
        format!("`{name}` of a container is not known, {told}: only processes of the host match")
    } else {
        format!("`{name}` of a container is not known, {told}: where it decides, nothing matches")
    };
    (guarded(&condition), Some(reason))
}

/// A check under `not` holds too where it is not told: the rule then does not fire for it.
pub(super) fn guarded(condition: &Condition) -> Condition {
    fn guard(condition: &Condition, positive: bool) -> Condition {
        let all = |terms: &[Condition]| terms.iter().map(|term| guard(term, positive)).collect();
        match condition {
            Condition::Constant(value) => Condition::Constant(*value),
            Condition::And(terms) => Condition::And(all(terms)),
            Condition::Or(terms) => Condition::Or(all(terms)),
            Condition::Not(inner) => Condition::Not(Box::new(guard(inner, !positive))),
            Condition::Test(test) if positive || !untold(test) => condition.clone(),
            Condition::Test(test) => {
                let mut terms = vec![condition.clone()];
                test.fields(&mut |field, _| terms.extend(field.told_by.map(not_told)));
                Condition::Or(terms)
            }
        }
    }
    guard(condition, true)
}

fn not_told(by: &'static Field) -> Condition {
    Condition::Test(Arc::new(Test {
        left: Operand::Field {
            field: by,
            argument: Argument::None,
        },
        predicate: Predicate::Compare(Operator::Equal, Constant::Bool(false)),
        written: format!("{} = false", by.name),
    }))
}

fn untold(test: &Test) -> bool {
    let mut untold = false;
    test.fields(&mut |field, _| untold |= field.told_by.is_some());
    untold
}

/// Whether nobody tells it of any container.
fn is_metadata(field: &Field) -> bool {
    field.told_by.is_some_and(|by| std::ptr::eq(by, &METADATA))
}

/// The verdict on a process of the host, of a check that asks for nothing but its container.
fn of_host(test: &Test) -> Option<bool> {
    let (mut any, mut only) = (false, true);
    test.fields(&mut |field, _| {
        any = true;
        only &= field.name.starts_with("container.") || field.name.starts_with("k8s.");
    });
    let event = nobody();
    let host = Host::default();
    let context = Context {
        event: &event,
        host: &host,
    };
    (any && only).then(|| test.matches(context))
}

/// An event of a process without a container.
fn nobody() -> Event {
    let end = Endpoint {
        ip: [0; 4].into(),
        port: 0,
    };
    Event {
        number: 0,
        time_ns: 0,
        cpu: 0,
        kind: Kind::Listen,
        socket: Socket {
            cookie: 0,
            family: Family::Ipv4,
            mapped: false,
            client: None,
            server: end,
            netns: 0,
        },
        errno: None,
        attribution: Attribution::Caller,
        thread: Thread::default(),
        found: false,
        elapsed: Elapsed::default(),
        names: None,
        original: None,
        creator: None,
        process: Arc::default(),
    }
}

/// What is left when `decide` has decided what it can; `positive` under an even number of `not`.
fn decided(
    condition: &Condition,
    positive: bool,
    decide: &impl Fn(&Test, bool) -> Option<bool>,
) -> Condition {
    let all = |terms: &[Condition], absorbing: bool, join: fn(Vec<Condition>) -> Condition| {
        let terms: Vec<Condition> = terms
            .iter()
            .map(|term| decided(term, positive, decide))
            .collect();
        let is = |value: bool| move |one: &&Condition| matches!(one, Condition::Constant(found) if *found == value);
        if terms.iter().any(|term| is(absorbing)(&term)) {
            return Condition::Constant(absorbing);
        }
        if terms.iter().all(|term| is(!absorbing)(&term)) {
            return Condition::Constant(!absorbing);
        }
        join(terms)
    };
    match condition {
        Condition::Constant(value) => Condition::Constant(*value),
        Condition::And(terms) => all(terms, false, Condition::And),
        Condition::Or(terms) => all(terms, true, Condition::Or),
        Condition::Not(inner) => match decided(inner, !positive, decide) {
            Condition::Constant(value) => Condition::Constant(!value),
            inner => Condition::Not(Box::new(inner)),
        },
        Condition::Test(test) => {
            decide(test, positive).map_or_else(|| condition.clone(), Condition::Constant)
        }
    }
}
