//! All rules as one program: each distinct check is judged at most once an event, whichever rules
//! ask it, and only for rules that the index leaves.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::FixedState;

use super::{
    Rule,
    compiler::{Condition, Test},
    fields::Context,
    index::{Found, Index},
};
use crate::event::Kind;

const KINDS: [Kind; 4] = [
    Kind::ConnectAttempt,
    Kind::ConnectOutcome,
    Kind::Accept,
    Kind::Listen,
];

#[derive(Debug)]
pub(super) struct Program {
    index: Index,
    tests: Vec<Arc<Test>>,
    /// By kind, then by rule; of rules that are not judged for the kind none.
    conditions: Vec<Vec<Option<Node>>>,
}

/// A condition with its tests by number.
#[derive(Debug)]
enum Node {
    Constant(bool),
    And(Box<[Node]>),
    Or(Box<[Node]>),
    Not(Box<Node>),
    Test(usize),
}

/// What judging one event after the other needs: kept, so that nothing is allocated for an event.
#[derive(Debug, Default)]
pub struct Memory {
    found: Found,
    verdicts: Verdicts,
}

/// Of each test: `event << 1 | verdict` of the last event that it was judged for.
#[derive(Debug, Default)]
struct Verdicts {
    event: u32,
    known: Vec<u32>,
}

impl Program {
    pub(super) fn new(rules: &[Rule]) -> Self {
        let in_force: Vec<Vec<(usize, &Condition)>> = KINDS
            .iter()
            .map(|kind| {
                let rules = rules.iter().enumerate();
                let judged = rules.filter(|(_, rule)| rule.enabled && is_judged(rule, *kind));
                let conditions = judged.map(|(number, rule)| (number, rule.kinds.of(*kind)));
                conditions
                    .filter(|(_, condition)| !matches!(condition, Condition::Constant(false)))
                    .collect()
            })
            .collect();
        let mut numbered = Numbered::default();
        let conditions = in_force
            .iter()
            .map(|of_kind| {
                let mut nodes: Vec<Option<Node>> = rules.iter().map(|_| None).collect();
                for (number, condition) in of_kind {
                    if let Some(place) = nodes.get_mut(*number) {
                        *place = Some(numbered.node(condition));
                    }
                }
                nodes
            })
            .collect();
        Self {
            index: Index::new(rules.len(), &in_force),
            tests: numbered.tests,
            conditions,
        }
    }

    /// The numbers of the rules that match, ascending.
    pub(super) fn matching<'m>(
        &'m self,
        context: Context<'m>,
        memory: &'m mut Memory,
    ) -> impl Iterator<Item = usize> {
        let kind = number_of(context.event.kind);
        let Memory { found, verdicts } = memory;
        self.index.find(kind, context, found);
        let found = &*found;
        verdicts.next_event(self.tests.len());
        let conditions = self.conditions.get(kind).map_or(&[][..], Vec::as_slice);
        numbers(&found.rules).filter(move |number| match conditions.get(*number) {
            _ if found.matches(*number) => true,
            Some(Some(node)) => self.holds(node, context, verdicts),
            _ => false,
        })
    }

    fn holds(&self, node: &Node, context: Context<'_>, verdicts: &mut Verdicts) -> bool {
        match node {
            Node::Constant(value) => *value,
            Node::And(terms) => terms.iter().all(|term| self.holds(term, context, verdicts)),
            Node::Or(terms) => terms.iter().any(|term| self.holds(term, context, verdicts)),
            Node::Not(inner) => !self.holds(inner, context, verdicts),
            Node::Test(number) => {
                let (Some(test), Some(known)) =
                    (self.tests.get(*number), verdicts.known.get_mut(*number))
                else {
                    return false;
                };
                if *known >> 1 != verdicts.event {
                    *known = verdicts.event << 1 | u32::from(test.matches(context));
                }
                *known & 1 == 1
            }
        }
    }
}

/// A connect is judged once: by its attempt, or by its outcome where the rule asks for the result.
fn is_judged(rule: &Rule, kind: Kind) -> bool {
    match kind {
        Kind::ConnectAttempt => !rule.asks_result,
        Kind::ConnectOutcome => rule.asks_result,
        Kind::Accept | Kind::Listen => true,
    }
}

fn number_of(kind: Kind) -> usize {
    match kind {
        Kind::ConnectAttempt => 0,
        Kind::ConnectOutcome => 1,
        Kind::Accept => 2,
        Kind::Listen => 3,
    }
}

/// Of the bits that are set.
fn numbers(words: &[u64]) -> impl Iterator<Item = usize> {
    words.iter().enumerate().flat_map(|(index, word)| {
        let mut left = *word;
        std::iter::from_fn(move || {
            let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(index * 64 + bit)
        })
    })
}

impl Verdicts {
    fn next_event(&mut self, tests: usize) {
        // Verdicts of a ruleset that this one replaced are of earlier events too.
        self.known.resize(tests, 0);
        self.event = (self.event + 1) & (u32::MAX >> 1);
        if self.event == 0 {
            self.known.fill(0);
            self.event = 1;
        }
    }
}

/// Tests that are written alike are one.
#[derive(Default)]
struct Numbered<'c> {
    tests: Vec<Arc<Test>>,
    numbers: HashMap<&'c str, usize, FixedState>,
}

impl<'c> Numbered<'c> {
    fn node(&mut self, condition: &'c Condition) -> Node {
        match condition {
            Condition::Constant(value) => Node::Constant(*value),
            Condition::And(terms) => Node::And(self.nodes(terms)),
            Condition::Or(terms) => Node::Or(self.nodes(terms)),
            Condition::Not(inner) => Node::Not(Box::new(self.node(inner))),
            Condition::Test(test) => {
                let next = self.tests.len();
                let number = *self.numbers.entry(&test.written).or_insert(next);
                if number == next {
                    self.tests.push(Arc::clone(test));
                }
                Node::Test(number)
            }
        }
    }

    fn nodes(&mut self, terms: &'c [Condition]) -> Box<[Node]> {
        terms.iter().map(|term| self.node(term)).collect()
    }
}
