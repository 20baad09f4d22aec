//! `required_engine_version` and `required_plugin_versions`.

use super::{
    super::{
        text::Place,
        yaml::{Node, Value},
    },
    SHAPE, VALIDATE,
    report::Report,
};

/// The engine whose language this is.
const ENGINE: (u32, u32, u32) = (0, 63, 0);

fn version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split('.');
    let mut next = || parts.next()?.parse::<u32>().ok();
    let version = (next()?, next()?, next()?);
    parts.next().is_none().then_some(version)
}

/// A number n stands for 0.n with the engine's patch.
pub(super) fn engine(file: usize, node: &Node, report: &mut Report<'_>) {
    let place = Place {
        file,
        span: node.span.clone(),
    };
    let text = node.text().unwrap_or_default();
    let minor = text.parse::<u32>().ok();
    let Some(required) = minor
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
        let alternatives = entry.get("alternatives").map(|node| &node.value);
        if let Some(Value::Sequence(alternatives)) = alternatives {
            for alternative in alternatives {
                plugin(file, alternative, &mut names, report);
            }
        }
    }
}

fn plugin(file: usize, entry: &Node, names: &mut Vec<String>, report: &mut Report<'_>) {
    // The part that is told of: the name, and the version where that is wrong.
    let at = |key: &str| Place {
        file,
        span: entry.get(key).unwrap_or(entry).span.clone(),
    };
    let place = at("name");
    let text = |key| entry.get(key).and_then(Node::text);
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
