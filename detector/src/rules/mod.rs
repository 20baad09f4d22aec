//! Falco rules: files to a checked ruleset, events to matches. Pure: no I/O, no clock.
//!
//! `loader` reads the files (`yaml`, `text`), puts lists in place and calls `parser` (`lexer`,
//! `ast`); `checker` makes `compiler` conditions of the trees, with `fields`, `operand` and
//! `predicate`; `kinds` and `ports` derive what can match; `output` renders the alert's message; `explain` shows a
//! verdict's reasons; `analysis` tells what a valid rule is probably not meant to be,
//! `spelling` what an unknown word is.

mod analysis;
pub mod ast;
mod checker;
pub mod codes;
pub mod compiler;
mod constants;
pub mod diagnostic;
mod event_types;
pub mod explain;
pub mod fields;
mod index;
mod kinds;
pub mod lexer;
pub mod load_result;
pub mod loader;
mod net;
pub mod operand;
pub mod output;
pub mod parser;
mod pattern;
pub mod ports;
pub mod predicate;
pub mod select;
mod spelling;
pub mod text;
pub mod yaml;

pub use diagnostic::Diagnostic;
pub use loader::{Loaded, SourceFile, load};

use crate::{
    alert::Priority,
    event::{Event, Kind},
    host::Host,
};

/// A checked rule, ready to be evaluated.
#[derive(Debug)]
pub struct Rule {
    pub name: String,
    pub desc: String,
    pub condition: String,
    pub priority: Priority,
    pub source: String,
    /// Sorted.
    pub tags: Vec<String>,
    pub enabled: bool,
    /// Evaluated on the outcome of a connect instead of the attempt.
    pub asks_result: bool,
    /// As written, for every kind of event.
    whole: compiler::Condition,
    kinds: kinds::Kinds,
    template: output::Template,
}

#[derive(Debug)]
pub struct Ruleset {
    rules: Vec<Rule>,
    index: index::Index,
    ports: ports::WatchedPorts,
    host: Host,
    matching: select::Matching,
}

impl Ruleset {
    fn new(rules: Vec<Rule>) -> Self {
        let mut ports = ports::WatchedPorts::default();
        for rule in rules.iter().filter(|rule| rule.enabled) {
            for kind in [Kind::ConnectAttempt, Kind::Accept, Kind::Listen] {
                ports.add(rule.kinds.of(kind), kind);
            }
        }
        Self {
            index: index::Index::new(&rules),
            rules,
            ports,
            host: Host::default(),
            matching: select::Matching::All,
        }
    }

    /// The rules that are to be in force, and what of the selection names none of them. Without a
    /// selection each file decides, and every rule that matches counts.
    pub fn select(self, selection: &select::Selection) -> (Self, Vec<&select::Which>) {
        let Self {
            mut rules, host, ..
        } = self;
        let idle = selection.apply(&mut rules);
        let selected = Self {
            host,
            matching: selection.matching,
            ..Self::new(rules)
        };
        (selected, idle)
    }

    /// The host that conditions on `evt.hostname`, local times and ages are judged with.
    #[must_use]
    pub fn on_host(mut self, host: Host) -> Self {
        self.host = host;
        self
    }

    /// In the order of definition.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub fn watched_ports(&self) -> &ports::WatchedPorts {
        &self.ports
    }

    /// The enabled rules that the event matches, in the order of definition; of `Matching::First`
    /// one. A connect is judged once: by its attempt, or by its outcome where the rule asks for the result.
    pub fn evaluate<'r>(&'r self, event: &'r Event) -> impl Iterator<Item = &'r Rule> {
        let context = fields::Context {
            event,
            host: &self.host,
        };
        let limit = match self.matching {
            select::Matching::First => 1,
            select::Matching::All => usize::MAX,
        };
        let candidates = self.index.candidates(context);
        candidates
            .filter_map(|index| self.rules.get(index))
            .filter(move |rule| rule.kinds.of(event.kind).matches(context))
            .take(limit)
    }
}

impl Rule {
    /// Why no event that is observed here can match; `None` for an active rule.
    pub fn inactive(&self) -> Option<&str> {
        self.kinds.inactive.as_deref()
    }

    /// The alert's message, without time and priority, and its fields.
    pub fn render(&self, event: &Event, host: &Host) -> output::Rendered {
        self.template.render(event, host)
    }
}
