//! The schema and the document are of the settings that there are (`cargo xtask bless` writes the
//! schema).

use std::{collections::BTreeSet, fs, path::PathBuf};

use detector::config::{self, codes};
use serde_json::Value;

use crate::{ROOT, detector, text};

fn path(name: &str) -> PathBuf {
    PathBuf::from(ROOT).join(name)
}

#[test]
fn the_schema_is_of_this_version() {
    let printed = text(&detector(&["config", "schema"], &[]).stdout);
    let file = path("docs/config.schema.json");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &printed).unwrap();
    }
    assert!(
        fs::read_to_string(&file).unwrap_or_default() == printed,
        "docs/config.schema.json is not what `config schema` prints: `cargo xtask bless`"
    );
}

/// Paths of all keys, `sinks[].http.url` for example.
fn keys(schema: &Value, root: &Value, path: &str, found: &mut BTreeSet<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return keys(&root["$defs"][name], root, path, found);
    }
    for one in schema["anyOf"].as_array().into_iter().flatten() {
        keys(one, root, path, found);
    }
    if schema["items"].is_object() {
        keys(&schema["items"], root, &format!("{path}[]"), found);
    }
    for (key, one) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{key}");
        found.insert(path.trim_start_matches('.').to_owned());
        keys(one, root, &path, found);
    }
}

/// Every key of the two outer levels has a row, and no row is of a key that is not there; below,
/// the schema tells.
#[test]
fn the_document_has_every_key_and_code() {
    let schema = config::schema().to_value();
    let mut all = BTreeSet::new();
    keys(&schema, &schema, "", &mut all);
    let document = fs::read_to_string(path("docs/configuration.md")).unwrap();
    // Tables of keys have three columns, the second of which is the default.
    let tables = document.split("| key | default |").skip(1);
    let rows = tables.flat_map(|table| {
        let table = table.split("\n\n").next().unwrap_or_default();
        table.lines().filter_map(|line| line.strip_prefix("| `"))
    });
    let named: BTreeSet<String> = rows
        .filter_map(|row| Some(row.split_once("` |")?.0.to_owned()))
        .collect();
    let unknown: Vec<&String> = named.difference(&all).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let outer = all.iter().filter(|key| !key.contains(['.', '[']));
    let told = |key: &&String| {
        named.contains(*key)
            || named
                .iter()
                .any(|name| name.starts_with(&format!("{key}.")))
    };
    let missing: Vec<&String> = outer.filter(|key| !told(key)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for code in [
        codes::FILE_READ,
        codes::SYNTAX,
        codes::UNKNOWN_KEY,
        codes::MISSING_KEY,
        codes::VALUE,
        codes::SECRET,
        codes::SINK,
        codes::NOT_THERE,
        codes::NOT_USED,
    ] {
        assert!(document.contains(&format!("| `{code}` |")), "{code}");
    }
}
