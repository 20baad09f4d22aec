//! `required_engine_version` and `required_plugin_versions`.

use super::{
    super::{
        text::Place,
        yaml::{Node, Value},
    },
    SHAPE, VALIDATE,
    read::unsigned,
    report::Report,
};

/// The engine whose language this is.
const ENGINE: (u32, u32, u32) = (0, 63, 0);

/// What follows the third number, such as `-rc1`, is not looked at.
fn version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.splitn(3, '.');
    let mut next = || Some(parts.next()?.trim_ascii_start());
    let (major, minor, rest) = (next()?, next()?, next()?);
    let end = rest.find(|one: char| !one.is_ascii_digit());
    let patch = rest.get(..end.unwrap_or(rest.len()))?;
    Some((
        major.parse().ok()?,
        minor.parse().ok()?,
        patch.parse().ok()?,
    ))
}

/// A number n stands for 0.n with the engine's patch.
pub(super) fn engine(file: usize, node: &Node, report: &mut Report<'_>) {
    let place = Place {
        file,
        span: node.span.clone(),
    };
    let text = node.text().unwrap_or_default();
    let Some(required) = unsigned(text)
        .map(|minor| (0, minor, ENGINE.2))
        .or_else(|| version(text))
    else {
        let help = "write three numbers, such as 0.57.0".to_owned();
        return report.error(
            &place,
            SHAPE,
            format!("`{text}` is no engine version"),
            help,
        );
    };
    if required.0 != ENGINE.0 || required > ENGINE {
        let (major, minor, patch) = ENGINE;
        let message = format!("engine version {text} is required, this is {major}.{minor}.{patch}");
        let help = "the rules may ask for what is not known here: load older ones, or lower the \
                    number if they do without";
        report.error(&place, VALIDATE, message, help.to_owned());
    }
}

/// Only the shape is checked: no plugins are loaded here, and the fields that they would give are
/// known by name.
pub(super) fn plugins(file: usize, node: &Node, report: &mut Report<'_>) {
    let Value::Sequence(entries) = &node.value else {
        let place = Place {
            file,
            span: node.span.clone(),
        };
        let help = "write `- name: ...` and `version: ...`".to_owned();
        return report.error(
            &place,
            SHAPE,
            "plugin versions are a sequence of maps",
            help,
        );
    };
    for entry in entries {
        let mut names = Vec::new();
        plugin(file, entry, &mut names, report);
        let Some(node) = entry.get("alternatives") else {
            continue;
        };
        if let Value::Sequence(alternatives) = &node.value {
            for alternative in alternatives {
                plugin(file, alternative, &mut names, report);
            }
            continue;
        }
        let named = entry.get("name").filter(|_| node.span.is_empty());
        let place = Place {
            file,
            span: named.unwrap_or(node).span.clone(),
        };
        let help = "write `- name: ...` and `version: ...` for each, or leave it out".to_owned();
        report.error(&place, SHAPE, "`alternatives` are a sequence of maps", help);
    }
}

fn plugin(file: usize, entry: &Node, names: &mut Vec<String>, report: &mut Report<'_>) {
    // The part that is told of: the name, and the version where that is wrong.
    let at = |key: &str| Place {
        file,
        span: entry.get(key).unwrap_or(entry).span.clone(),
    };
    let place = at("name");
    let text = |key| {
        let text = entry.get(key).and_then(Node::text);
        text.filter(|text| !text.is_empty())
    };
    let (Some(name), Some(found)) = (text("name"), text("version")) else {
        let help = "write `- name: ...` and `version: 0.4.0`".to_owned();
        return report.error(&place, SHAPE, "a plugin needs `name` and `version`", help);
    };
    if version(found).is_none() {
        report.error(
            &at("version"),
            VALIDATE,
            format!("`{found}` is no plugin version"),
            "write three numbers, such as 0.4.0".to_owned(),
        );
    }
    if names.iter().any(|one| one == name) {
        let message = format!("the plugin `{name}` is named twice among alternatives");
        let help = "name it once, with the least version that will do".to_owned();
        report.error(&place, VALIDATE, message, help);
    }
    names.push(name.to_owned());
}
