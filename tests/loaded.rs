//! Rules as texts, loaded.

use detector::rules::{self, Loaded, Ruleset, SourceFile};

pub(crate) fn load(texts: &[&str]) -> Loaded {
    let files: Vec<SourceFile> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| SourceFile {
            name: format!("{index}.yaml"),
            text: (*text).to_owned(),
        })
        .collect();
    rules::load(&files)
}

pub(crate) fn ruleset(texts: &[&str]) -> Ruleset {
    let loaded = load(texts);
    loaded
        .ruleset
        .unwrap_or_else(|| panic!("{texts:?}: {:#?}", loaded.diagnostics))
}
