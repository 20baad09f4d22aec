//! Every file of `tests/rules/invalid` with what is told of it: as `tests/snapshots/diagnostics`
//! has it (`cargo xtask bless` writes them). Each is what a user is likely to write.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use detector::rules::{
    Diagnostic, SourceFile, codes::CODES, diagnostic::Severity, load, load_result,
};
use serde_json::{Value, json};

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

/// A severity has one name in the excerpt and in the object.
#[test]
fn severities_have_one_name() {
    for files in cases().values() {
        for one in &load(files).diagnostics {
            let name = one.severity.as_str();
            assert_eq!(one.json()["severity"], name);
            let full = one.full(text(files, one));
            assert!(full.starts_with(&format!("{name}[")), "{full}");
        }
    }
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

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rules");
const COMPATIBILITY: &str = include_str!("../../docs/falco-compat.md");
/// Raised where files are read, which is not done here.
const ELSEWHERE: &str = "LOAD_ERR_FILE_READ";

/// Every text in quotes that begins as a code does.
fn codes_in(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes_in(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let quoted = text.split('"').skip(1);
        let code = |one: &&str| {
            (one.starts_with("LOAD_") || one.starts_with("RULE_"))
                && one
                    .chars()
                    .all(|letter| letter.is_ascii_uppercase() || letter == '_')
        };
        found.extend(quoted.filter(code).map(str::to_owned));
    }
}

#[test]
fn codes_are_unique_documented_and_shown() {
    let codes: BTreeSet<String> = CODES.iter().map(|(code, _)| (*code).to_owned()).collect();
    assert_eq!(codes.len(), CODES.len(), "a code is listed twice");
    let mut used = BTreeSet::new();
    codes_in(Path::new(SOURCES), &mut used);
    assert_eq!(used, codes);
    for code in codes.iter().filter(|code| code.starts_with("RULE_")) {
        assert!(COMPATIBILITY.contains(&format!("`{code}`")), "{code}");
    }
    let mut shown = BTreeSet::from([ELSEWHERE.to_owned()]);
    for files in cases().values() {
        let diagnostics = load(files).diagnostics;
        shown.extend(diagnostics.iter().map(|one| one.code.to_owned()));
    }
    assert_eq!(shown, codes, "a code without a case");
}

/// The kinds and names of an entry's locations, and where the last one is.
fn way(entry: &Value) -> (Vec<(String, String)>, Value) {
    let locations = entry["context"]["locations"].as_array().unwrap();
    let text = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let kinds = locations
        .iter()
        .map(|one| (text(one, "item_type"), text(one, "item_name")));
    (
        kinds.collect(),
        locations.last().unwrap()["position"].clone(),
    )
}

#[test]
fn falcos_result_goes_from_the_file_to_the_place() {
    let text = "\
- list: ports
  items: [x]
- macro: m
  condition: fd.sprt = 1
- rule: r
  desc: d
  condition: >
    evt.type = connect
    and fd.sprt = 2 and fd.sport in (ports) and m
  output: o %nope.x
  priority: notice
  exceptions:
    - name: e
      fields: [fd.sport]
      values: [[1], [y]]
      why: not
  tags: z
";
    let files = [SourceFile {
        name: "a.yaml".to_owned(),
        text: text.to_owned(),
    }];
    let result = load_result::falco(&files, &load(&files).diagnostics);
    let file = &result["falco_load_results"][0];
    assert_eq!(file["successful"], false);
    assert_eq!(file["schema_valid"], false);
    let schema = file["schema_warnings"].as_array().unwrap();
    for part in [
        "priority `notice`",
        "key `why` of an exception",
        "`tags` is",
    ] {
        let told = schema
            .iter()
            .any(|one| one.as_str().unwrap().contains(part));
        assert!(told, "{part}: {schema:?}");
    }
    let errors = file["errors"].as_array().unwrap();
    let place = |line: usize, column: usize, part: &str| {
        let offset = text.find(part).unwrap();
        json!({ "name": "a.yaml", "line": line, "column": column, "offset": offset })
    };
    let rule = ("rule", "r");
    for (code, message, expected, position) in [
        (
            "LOAD_ERR_COMPILE_CONDITION",
            "`x` is no port",
            &[("list", "ports"), ("value for", "items"), ("list item", "")][..],
            place(1, 10, "x]"),
        ),
        (
            "LOAD_ERR_COMPILE_CONDITION",
            "nonexistent field `fd.sprt`: did",
            &[
                ("macro", "m"),
                ("macro condition", ""),
                ("condition expression", ""),
            ],
            json!({ "name": "\"fd.sprt = 1...\"", "line": 0, "column": 0, "offset": 0 }),
        ),
        (
            "LOAD_ERR_COMPILE_OUTPUT",
            "nope.x",
            &[rule, ("rule output", "")],
            place(9, 10, "o %nope"),
        ),
        (
            "LOAD_ERR_COMPILE_CONDITION",
            "`y` is no port",
            &[
                rule,
                ("exceptions", ""),
                ("exception", "e"),
                ("exception values", ""),
                ("exception value", ""),
            ],
            place(14, 20, "[y]"),
        ),
        (
            "LOAD_ERR_YAML_VALIDATE",
            "`tags`",
            &[rule, ("value for", "tags")],
            place(16, 8, "z\n"),
        ),
    ] {
        let mut all = vec![("rules content", "")];
        all.extend(expected);
        let leads = |one: &Value| {
            let (kinds, _) = way(one);
            let kinds = kinds.iter().map(|(a, b)| (a.as_str(), b.as_str()));
            kinds.eq(all.iter().copied())
        };
        let has = |one: &&Value| {
            let told = one["message"].as_str().unwrap().contains(message);
            one["code"] == code && told && leads(one)
        };
        let entry = errors
            .iter()
            .find(has)
            .unwrap_or_else(|| panic!("{message}: {errors:#?}"));
        let (_, last) = way(entry);
        assert_eq!(last, position, "{message}");
        assert!(!entry["codedesc"].as_str().unwrap().is_empty());
    }
    // In the folded condition: its own line, and the name cut.
    let in_rule = |one: &&Value| {
        let (kinds, _) = way(one);
        kinds.len() == 4 && kinds[2].0 == "rule condition"
    };
    let (_, last) = way(errors.iter().find(in_rule).unwrap());
    let position =
        json!({ "name": "\"evt.type = connec...\"", "line": 0, "column": 23, "offset": 23 });
    assert_eq!(last, position);
    let snippet = errors.iter().find(in_rule).unwrap()["context"]["snippet"]
        .as_str()
        .unwrap();
    assert_eq!(
        snippet,
        "    and fd.sprt = 2 and fd.sport in (ports) and m\n        ^\n"
    );
}

#[test]
fn a_priority_in_small_letters_loads_and_is_not_in_the_schema() {
    for (priority, valid) in [("NOTICE", true), ("INFORMATIONAL", true), ("Notice", false)] {
        let text = crate::rule("r", "evt.type = connect").replace("INFO", priority);
        let files = [SourceFile {
            name: "a.yaml".to_owned(),
            text,
        }];
        let loaded = load(&files);
        assert!(loaded.ruleset.is_some());
        let result = load_result::falco(&files, &loaded.diagnostics);
        assert_eq!(
            result["falco_load_results"][0]["schema_valid"], valid,
            "{priority}"
        );
    }
}
