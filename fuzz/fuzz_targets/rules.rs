//! Rule files: whatever the text is, a ruleset or diagnostics.
#![no_main]

use detector::rules::{SourceFile, load};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let loaded = load(&[SourceFile {
        name: "fuzz.yaml".to_owned(),
        text: text.to_owned(),
    }]);
    for diagnostic in loaded.diagnostics {
        diagnostic.full(text);
    }
});
