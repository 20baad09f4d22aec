//! Conditions: whatever the text is, a tree that is printed and parsed to itself, or a mistake in
//! it; and a verdict on events of each kind.
#![no_main]

use std::sync::LazyLock;

use detector::{
    event::{Event, Kind},
    rules::{Diagnostic, SourceFile, load, parser},
};
use libfuzzer_sys::{Corpus, fuzz_target};

#[path = "../../tests/event.rs"]
mod event;
#[path = "../../tests/rules/events.rs"]
mod events;

static EVENTS: LazyLock<Vec<Event>> = LazyLock::new(|| {
    let kinds = [
        Kind::ConnectAttempt,
        Kind::ConnectOutcome,
        Kind::Accept,
        Kind::Listen,
    ];
    let mut events: Vec<Event> = kinds.into_iter().map(events::event).collect();
    events.extend([events::ipv6(), events::unattributed()]);
    events
});

fn is_within(one: &Diagnostic, text: &str) -> bool {
    text.get(one.span.clone()).is_some()
}

fuzz_target!(|text: &str| -> Corpus {
    let tree = match parser::parse(text) {
        Ok(tree) => tree,
        Err(error) => {
            assert!(text.get(error.span.clone()).is_some(), "{error:?}");
            return Corpus::Keep;
        }
    };
    let printed = tree.to_string();
    match parser::parse(&printed) {
        Ok(again) => assert_eq!(again.to_string(), printed),
        // Printing writes parentheses out: they may then be too many.
        Err(error) => assert!(error.message.contains("nested"), "{printed}: {error:?}"),
    }
    // JSON's quotes are YAML's.
    let quoted = serde_json::Value::from(text);
    let rule = format!(
        "- rule: r\n  desc: d\n  output: o\n  priority: INFO\n  warn_evttypes: false\n  condition: {quoted}\n"
    );
    let files = [SourceFile {
        name: String::new(),
        text: rule,
    }];
    let loaded = load(&files);
    assert!(loaded.diagnostics.iter().all(|one| is_within(one, &files[0].text)));
    if let Some(rules) = loaded.ruleset {
        for event in EVENTS.iter() {
            let _fired = rules.evaluate(event).count();
        }
    }
    Corpus::Keep
});
