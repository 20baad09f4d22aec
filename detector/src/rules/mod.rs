//! Falco rules: files to a checked ruleset, events to matches. Pure: no I/O, no clock.
//!
//! `loader` reads the files (`yaml`, `text`), puts lists in place and calls `parser` (`lexer`,
//! `ast`); `checker` makes `compiler` conditions of the trees, with `fields`, `operand` and
//! `predicate`; `kinds`, `ports` and `let_off` derive what can match; `program` judges events, with `index`;
//! `output` renders the alert's message; `explain` shows a verdict's reasons; `analysis` tells what a
//! valid rule is probably not meant to be, `spelling` what an unknown word is.

mod analysis;
pub mod ast;
mod automaton;
mod checker;
pub mod codes;
pub mod compiler;
mod constants;
pub mod diagnostic;
mod event_types;
mod excerpt;
pub mod explain;
pub mod fields;
mod index;
mod kinds;
pub mod let_off;
pub mod lexer;
pub mod lines;
pub mod load_result;
pub mod loader;
mod net;
pub mod operand;
pub mod output;
pub mod parser;
mod pattern;
pub mod ports;
mod posix;
pub mod predicate;
mod program;
mod scalar;
pub mod select;
mod spans;
pub(crate) mod spelling;
pub mod text;
mod told;
pub mod yaml;

pub use diagnostic::Diagnostic;
pub use loader::{Loaded, Options, SourceFile, Unread, load, load_read, load_with};
pub use program::Memory;

use std::sync::OnceLock;

use crate::{
    alert::{Field, Priority},
    event::{Asked, Event, Kind},
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
    program: program::Program,
    ports: ports::WatchedPorts,
    let_off: OnceLock<Vec<let_off::LetOff>>,
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
            program: program::Program::new(&rules),
            rules,
            ports,
            let_off: OnceLock::new(),
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

    /// What `enrich` is to read for the rules in force: for their conditions and their outputs.
    pub fn asked(&self) -> Asked {
        let mut asked = Asked::default();
        let active = |rule: &&Rule| rule.enabled && rule.inactive().is_none();
        for rule in self.rules.iter().filter(active) {
            let mut fields = |field: &fields::Field| asked.parts.extend(field.part);
            rule.whole.fields(&mut |field, _| fields(field));
            rule.template.asked(&mut |field, _| fields(field));
            rule.whole
                .tests(&mut |test| asked.names.extend(test.names()));
        }
        asked
    }

    pub fn watched_ports(&self) -> &ports::WatchedPorts {
        &self.ports
    }

    /// The names of threads whose connects no rule in force can match, at some watched ports. Found
    /// out when it is asked for first.
    pub fn let_off(&self) -> &[let_off::LetOff] {
        self.let_off.get_or_init(|| {
            let enabled = self.rules.iter().filter(|rule| rule.enabled);
            let conditions: Vec<_> = enabled.map(|rule| &rule.kinds.connect).collect();
            let_off::let_off(&conditions, &self.ports.connect)
        })
    }

    /// As `evaluate_with`, for one event alone.
    pub fn evaluate<'r>(&'r self, event: &'r Event) -> impl Iterator<Item = &'r Rule> {
        let mut memory = Memory::default();
        let matching: Vec<&Rule> = self.evaluate_with(&mut memory, event).collect();
        matching.into_iter()
    }

    /// The enabled rules that the event matches, in the order of definition; of `Matching::First`
    /// one. A connect is judged once: by its attempt, or by its outcome where the rule asks for the
    /// result. Allocates nothing once the memory has seen an event.
    pub fn evaluate_with<'r: 'm, 'm>(
        &'r self,
        memory: &'m mut Memory,
        event: &'m Event,
    ) -> impl Iterator<Item = &'r Rule> {
        let context: fields::Context<'m> = fields::Context {
            event,
            host: &self.host,
        };
        let limit = match self.matching {
            select::Matching::First => 1,
            select::Matching::All => usize::MAX,
        };
        self.program
            .matching(context, memory)
            .filter_map(|number| self.rules.get(number))
            .take(limit)
    }
}

impl Rule {
    /// Why no event that is observed here can match; `None` for an active rule.
    pub fn inactive(&self) -> Option<&str> {
        self.kinds.inactive.as_deref()
    }

    /// Appends the alert's message, without time and priority, and returns its fields.
    pub fn render<'a>(
        &'a self,
        event: &'a Event,
        host: &'a Host,
        message: &mut String,
    ) -> Vec<Field<'a>> {
        self.template.render(event, host, message)
    }
}
