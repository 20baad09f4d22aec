//! Rule files: whatever the text is, a ruleset that judges, or mistakes that every renderer shows.
#![no_main]

use std::sync::LazyLock;

use detector::{
    event::{Event, Kind},
    host::Host,
    rules::{SourceFile, load, load_result},
};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/rules/events.rs"]
mod events;

/// Renderings of one input: each takes longer than the load, and they differ little.
const RENDERED: usize = 4;

static EVENT: LazyLock<Event> = LazyLock::new(|| events::event(Kind::ConnectAttempt));

fuzz_target!(|text: &str| {
    let files = [SourceFile {
        name: "fuzz.yaml".to_owned(),
        text: text.to_owned(),
    }];
    let loaded = load(&files);
    for one in &loaded.diagnostics {
        assert!(text.get(one.span.clone()).is_some(), "{one:?}");
    }
    for one in loaded.diagnostics.iter().take(RENDERED) {
        assert!(!one.full(text).is_empty() && !one.to_string().is_empty());
        assert!(one.json().is_object());
    }
    let falco = load_result::falco(&files, &loaded.diagnostics);
    assert!(falco.is_object());
    if let Some(rules) = loaded.ruleset {
        for rule in rules.evaluate(&EVENT) {
            let _alert = rule.render(&EVENT, &Host::default());
        }
    }
});
