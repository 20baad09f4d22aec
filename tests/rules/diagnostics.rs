//! Every file of `tests/rules/invalid` with what is told of it: as `tests/snapshots/diagnostics`
//! has it (`cargo xtask bless` writes them). Each is what a user is likely to write.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use detector::rules::{Diagnostic, SourceFile, diagnostic::Severity, load, load_result};

const FILES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/rules/invalid");
const SNAPSHOTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/snapshots/diagnostics"
);
/// Fewer would not show every family of mistake.
const LEAST: usize = 60;

/// Files that begin with the same number are loaded together, by the name of the first.
fn cases() -> BTreeMap<String, Vec<SourceFile>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(FILES)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut cases: BTreeMap<String, Vec<SourceFile>> = BTreeMap::new();
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let case = name.split('.').next().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let files = cases.entry(case).or_default();
        files.push(SourceFile { name, text });
    }
    cases
}

fn text<'f>(files: &'f [SourceFile], one: &Diagnostic) -> &'f str {
    let file = files.iter().find(|file| file.name == one.file).unwrap();
    &file.text
}

/// In every style that `rules check` writes.
fn rendered(files: &[SourceFile], diagnostics: &[Diagnostic]) -> String {
    let mut shown = String::new();
    for one in diagnostics {
        writeln!(shown, "{}\n", one.full(text(files, one))).unwrap();
    }
    shown.push_str("--- line\n");
    for one in diagnostics {
        writeln!(shown, "{one}").unwrap();
    }
    shown.push_str("--- json\n");
    for one in diagnostics {
        writeln!(shown, "{}", one.json()).unwrap();
    }
    let falco = load_result::falco(files, diagnostics);
    let falco = serde_json::to_string_pretty(&falco).unwrap();
    writeln!(shown, "--- falco-json\n{falco}").unwrap();
    shown
}

#[test]
fn mistakes_are_told_as_in_the_snapshots() {
    let cases = cases();
    assert!(cases.len() >= LEAST, "{}", cases.len());
    let mut wrong = Vec::new();
    for (case, files) in &cases {
        let shown = rendered(files, &load(files).diagnostics);
        let path = Path::new(SNAPSHOTS).join(format!("{case}.txt"));
        if std::env::var_os("BLESS").is_some() {
            fs::create_dir_all(SNAPSHOTS).unwrap();
            fs::write(&path, &shown).unwrap();
        } else if fs::read_to_string(&path).unwrap_or_default() != shown {
            wrong.push(format!("{}\n{shown}", path.display()));
        }
    }
    let kept = fs::read_dir(SNAPSHOTS).unwrap().count();
    assert_eq!(
        kept,
        cases.len(),
        "a snapshot without a case, or the reverse"
    );
    assert!(
        wrong.is_empty(),
        "not as in the snapshots; if that is right, `cargo xtask bless`:\n{}",
        wrong.join("\n")
    );
}

/// What a user needs of each: that something is wrong, what to write, and where.
#[test]
fn every_mistake_has_a_place_and_a_remedy() {
    for (case, files) in cases() {
        let diagnostics = load(&files).diagnostics;
        let serious = |one: &&Diagnostic| one.severity != Severity::Advice;
        assert!(diagnostics.iter().any(|one| serious(&one)), "{case}");
        for one in diagnostics.iter().filter(serious) {
            let source = text(&files, one);
            let underlined = source.get(one.span.clone()).unwrap_or_default();
            assert!(!underlined.is_empty(), "{case}: {one}");
            let before = source.get(..one.span.start).unwrap();
            assert_eq!(before.matches('\n').count() + 1, one.line, "{case}: {one}");
            assert!(one.help.is_some(), "{case}: no remedy: {one}");
        }
    }
}
