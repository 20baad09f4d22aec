//! Rule files: whatever the text is, a ruleset that judges, or mistakes that every renderer shows.
#![no_main]

use std::sync::LazyLock;

use detector::{
    event::{Event, Kind},
    host::Host,
    rules::{SourceFile, load, load_result},
};
use libfuzzer_sys::fuzz_target;

#[path = "../../tests/event.rs"]
mod event;

static EVENT: LazyLock<Event> = LazyLock::new(|| event::event(Kind::ConnectAttempt));

fuzz_target!(|text: &str| {
    let files = [SourceFile {
        name: "fuzz.yaml".to_owned(),
        text: text.to_owned(),
    }];
    let loaded = load(&files);
    for one in &loaded.diagnostics {
        assert!(text.get(one.span.clone()).is_some(), "{one:?}");
    }
    // One of them, for a rendering takes longer than the load.
    let count = loaded.diagnostics.len().max(1);
    if let Some(one) = loaded.diagnostics.get(text.len() % count) {
        assert!(!one.full(text).is_empty() && !one.to_string().is_empty());
        assert!(one.json().is_object());
        assert!(load_result::falco(&files, std::slice::from_ref(one)).is_object());
    }
    if let Some(rules) = loaded.ruleset {
        let (host, mut message) = (Host::default(), String::new());
        for rule in rules.evaluate(&EVENT) {
            let _fields = rule.render(&EVENT, &host, &mut message);
        }
    }
});
