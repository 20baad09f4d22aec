//! The rule language: what each construct means for an event, and what each mistake is reported as.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

#[path = "rules/agreement.rs"]
mod agreement;
#[path = "rules/analysis.rs"]
mod analysis;
#[path = "rules/corpus.rs"]
mod corpus;
#[path = "rules/details.rs"]
mod details;
#[path = "rules/diagnostics.rs"]
mod diagnostics;
#[path = "rules/documents.rs"]
mod documents;
#[path = "event.rs"]
mod event;
#[path = "rules/events.rs"]
mod events;
#[path = "rules/exceptions.rs"]
mod exceptions;
#[path = "rules/explained.rs"]
mod explained;
#[path = "rules/fields.rs"]
mod fields;
#[path = "rules/files.rs"]
mod files;
#[path = "rules/growth.rs"]
mod growth;
#[path = "rules/let_off.rs"]
mod let_off;
#[path = "loaded.rs"]
mod loaded;
#[path = "rules/mistakes.rs"]
mod mistakes;
#[path = "rules/outputs.rs"]
mod outputs;
#[path = "rules/properties.rs"]
mod properties;
#[path = "rules/reference.rs"]
mod reference;
#[path = "rules/selection.rs"]
mod selection;
#[path = "rules/table/mod.rs"]
mod table;
#[path = "rules/traces.rs"]
mod traces;

use detector::rules::{Loaded, diagnostic::Severity};
use loaded::{load, ruleset};

/// The condition stands in a literal block, so that YAML takes nothing from it.
fn rule(name: &str, condition: &str) -> String {
    format!(
        "- rule: {name}\n  desc: d\n  condition: |-\n    {condition}\n  output: o\n  priority: INFO\n"
    )
}

/// Codes of the errors, or of the warnings.
fn codes(loaded: &Loaded, severity: Severity) -> Vec<&'static str> {
    loaded
        .diagnostics
        .iter()
        .filter(|one| one.severity == severity)
        .map(|one| one.code)
        .collect()
}
