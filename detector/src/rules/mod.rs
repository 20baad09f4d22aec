//! Falco rules: files to a checked ruleset, events to matches. Pure: no I/O, no clock.

pub mod ast;
pub mod compiler;
pub mod diagnostic;
pub mod fields;
pub mod lexer;
pub mod loader;
pub mod output;
pub mod parser;
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
    compiled: compiler::Condition,
    template: output::Template,
}

#[derive(Debug)]
pub struct Ruleset {
    rules: Vec<Rule>,
    ports: compiler::WatchedPorts,
}

impl Ruleset {
    fn new(rules: Vec<Rule>) -> Self {
        let mut ports = compiler::WatchedPorts::default();
        for rule in rules.iter().filter(|rule| rule.enabled) {
            ports.add(&rule.compiled);
        }
        Self { rules, ports }
    }

    /// In the order of definition.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub fn watched_ports(&self) -> &compiler::WatchedPorts {
        &self.ports
    }

    /// Every enabled rule that the event matches. A connect is judged once: by its attempt, or by
    /// its outcome where the rule asks for the result.
    pub fn evaluate<'r>(&'r self, event: &'r Event) -> impl Iterator<Item = &'r Rule> {
        self.rules.iter().filter(move |rule| {
            let phase = match event.kind {
                Kind::ConnectAttempt => !rule.asks_result,
                Kind::ConnectOutcome => rule.asks_result,
                Kind::Accept | Kind::Listen => true,
            };
            rule.enabled && phase && rule.compiled.matches(event)
        })
    }
}

impl Rule {
    /// The alert's message, without time and priority, and its fields.
    pub fn render(&self, event: &Event, host: &Host) -> output::Rendered {
        self.template.render(event, host)
    }
}
