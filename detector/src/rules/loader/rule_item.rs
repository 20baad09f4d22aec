//! A rule item: definition, `override`, the deprecated `append`, or a lone `enabled`. Which of them
//! it is, is decided in this order (Falco, `rule_loader_reader.cpp`).

use super::{
    super::{
        spelling,
        text::{Place, Text},
        yaml::{Node, Value},
    },
    DEPRECATED, OUTPUT, SHAPE, VALIDATE,
    exceptions::{self, Exceptions, Mode},
    items::{Collection, RuleItem},
    read::{Item, undefined, unsigned},
    report::Report,
};
use crate::alert::Priority;

pub(super) const KEYS: &[&str] = &[
    "rule",
    "condition",
    "output",
    "desc",
    "priority",
    "source",
    "enabled",
    "capture",
    "capture_duration",
    "warn_evttypes",
    "skip-if-unknown-filter",
    "tags",
    "exceptions",
    "append",
    "override",
];
/// As Falco's schema has them.
pub(in super::super) const LEVELS: [&str; 8] = [
    "EMERGENCY",
    "ALERT",
    "CRITICAL",
    "ERROR",
    "WARNING",
    "NOTICE",
    "INFO",
    "DEBUG",
];
/// The default source.
pub(super) const SYSCALL: &str = "syscall";
const APPENDABLE: &[&str] = &["condition", "output", "desc", "tags", "exceptions"];
const REPLACEABLE: &[&str] = &[
    "condition",
    "output",
    "desc",
    "tags",
    "exceptions",
    "priority",
    "enabled",
    "capture",
    "capture_duration",
    "warn_evttypes",
    "skip-if-unknown-filter",
];

pub(super) fn read(
    item: &Item<'_>,
    name: &Text,
    collection: &mut Collection,
    report: &mut Report<'_>,
) {
    let place = name.place(&(0..name.as_str().len()));
    let given = |key: &str| item.node.get(key).is_some();
    if !scalar_source(item, report) {
        return;
    }
    let (Some(append), Some(overrides)) = (
        item.appends(report),
        item.overrides(APPENDABLE, REPLACEABLE, report),
    ) else {
        return;
    };
    let defines = ["condition", "output", "desc", "priority"]
        .into_iter()
        .any(given);
    let lone = overrides.is_empty() && !append;
    if lone && defines {
        if let Some(old) = collection.rule(name.as_str())
            && let Some(missing) = ["condition", "output", "desc", "priority"]
                .into_iter()
                .find(|key| !given(key))
        {
            let (name, defined) = (name.as_str(), report.told(&old.place));
            let message = format!("the rule `{name}` is defined again, without `{missing}`");
            let help = format!(
                "to change the one at {defined}, name in `override` each key that is changed: \
                 `override: {{condition: append}}`"
            );
            return report.error(&place, SHAPE, message, help);
        }
        match definition(item, name, &place, report) {
            Some(rule) => define(rule, item, collection, report),
            None => {
                collection.refused.insert(name.as_str().to_owned());
            }
        }
        return;
    }
    if lone && !given("enabled") {
        let help = "a definition needs condition, output, desc and priority".to_owned();
        let message = "no key of this rule says what it is to do";
        return report.error(&place, SHAPE, message, help);
    }
    let Some(rule) = collection.rule(name.as_str()) else {
        if !collection.refused.contains(name.as_str()) && !report.may_be_defined(&place) {
            let message = format!("the rule `{}` is not defined before", name.as_str());
            let names = collection.rules.iter().map(|rule| rule.name.as_str());
            let help = undefined(name.as_str(), names);
            report.error(&place, VALIDATE, message, help);
        }
        return;
    };
    if lone {
        if let Some(enabled) = item.flag("enabled", true, report) {
            rule.enabled = enabled;
            let help = "write `override: {enabled: replace}` beside it".to_owned();
            report.warning(&place, DEPRECATED, "a lone `enabled` is deprecated", help);
        }
    } else if !changes_source(item, rule, report) {
        if append {
            append_deprecated(item, rule, report);
        } else {
            override_keys(item, rule, &overrides, report);
        }
    }
}

fn define(rule: RuleItem, item: &Item<'_>, collection: &mut Collection, report: &mut Report<'_>) {
    if let Some(old) = collection.rule(&rule.name)
        && old.source != rule.source
    {
        source_changed(&item.place_of("source"), &rule.name, report);
        return;
    }
    collection.define_rule(rule);
}

fn source_changed(place: &Place, name: &str, report: &mut Report<'_>) {
    let message = format!("the rule `{name}` has another source already");
    report.error(place, VALIDATE, message, "leave out `source`".to_owned());
}

fn scalar_source(item: &Item<'_>, report: &mut Report<'_>) -> bool {
    let source = item.node.get("source").map(|node| &node.value);
    let scalar = !matches!(source, Some(Value::Sequence(_) | Value::Map(_)));
    if !scalar {
        let message = "the value of `source` is a text";
        let help = "write `source: syscall`".to_owned();
        report.error(&item.place_of("source"), SHAPE, message, help);
    }
    scalar
}

fn changes_source(item: &Item<'_>, rule: &RuleItem, report: &mut Report<'_>) -> bool {
    let source = item
        .node
        .get("source")
        .and_then(Node::text)
        .unwrap_or_default();
    let changes = !source.is_empty() && source != rule.source;
    if changes {
        source_changed(&item.place_of("source"), &rule.name, report);
    }
    changes
}

fn definition(
    item: &Item<'_>,
    name: &Text,
    place: &Place,
    report: &mut Report<'_>,
) -> Option<RuleItem> {
    // All are read before any is asked for, so that every mistake is reported.
    let condition = item.required("condition", report);
    let output = output(item, report);
    let desc = item.required("desc", report);
    let priority = priority(item, report);
    let enabled = item.flag("enabled", true, report);
    let warn_evttypes = item.flag("warn_evttypes", true, report);
    let skip = item.flag("skip-if-unknown-filter", false, report);
    item.flag("capture", false, report);
    capture_duration(item, report);
    let tags = tags(item, report);
    let source = match item.node.get("source") {
        Some(_) => item.required("source", report),
        None => None,
    };
    let exceptions = match item.node.get("exceptions") {
        None => Exceptions::default(),
        Some(node) => exceptions::read(
            item.file,
            node,
            Mode::Define,
            &Exceptions::default(),
            report,
        ),
    };
    // What was reported does not keep the condition from being looked at: the load fails anyway.
    Some(RuleItem {
        name: name.as_str().to_owned(),
        place: place.clone(),
        condition: condition?,
        output: output.unwrap_or_default(),
        desc: desc.unwrap_or_default(),
        priority: priority.flatten(),
        source: source.map_or_else(|| SYSCALL.to_owned(), |source| source.as_str().to_owned()),
        enabled: enabled.unwrap_or(true),
        warn_evttypes: warn_evttypes.unwrap_or(true),
        skip_if_unknown_filter: skip.unwrap_or(false),
        tags: tags.unwrap_or_default().into_iter().collect(),
        exceptions,
    })
}

/// Without blanks at both ends, and there is something between them.
fn output(item: &Item<'_>, report: &mut Report<'_>) -> Option<Text> {
    let written = item.required("output", report)?;
    let output = written.trimmed();
    if output.as_str().is_empty() {
        let place = written.place(&(0..written.as_str().len()));
        let help = "write a text, or fields such as %proc.name".to_owned();
        report.error(&place, OUTPUT, "the output prints nothing", help);
    }
    Some(output)
}

/// An unknown level is reported and the rest of the rule still looked at; a missing one is not.
fn priority(item: &Item<'_>, report: &mut Report<'_>) -> Option<Option<Priority>> {
    let text = item.required("priority", report)?;
    let level = Priority::parse(text.as_str());
    if level.is_none() {
        let help = spelling::did_you_mean(text.as_str(), LEVELS)
            .unwrap_or_else(|| format!("use one of {}", LEVELS.join(" ")));
        let place = text.place(&(0..text.as_str().len()));
        let message = format!("the priority `{}` is not known", text.as_str());
        report.error(&place, SHAPE, message, help);
    }
    Some(level)
}

fn capture_duration(item: &Item<'_>, report: &mut Report<'_>) -> Option<u32> {
    let Some(node) = item.node.get("capture_duration") else {
        return Some(0);
    };
    let duration = node.text().and_then(unsigned);
    if duration.is_none() {
        let message = "`capture_duration` is a number of milliseconds";
        let help = "write digits only, such as 5000".to_owned();
        report.error(&item.at(node), SHAPE, message, help);
    }
    duration
}

fn tags(item: &Item<'_>, report: &mut Report<'_>) -> Option<Vec<String>> {
    if item.node.get("tags").is_none() {
        return Some(Vec::new());
    }
    Some(strings(&item.texts("tags", report)?))
}

fn strings(texts: &[Text]) -> Vec<String> {
    texts.iter().map(|text| text.as_str().to_owned()).collect()
}

/// Only `condition` and `exceptions` are looked at.
fn append_deprecated(item: &Item<'_>, rule: &mut RuleItem, report: &mut Report<'_>) {
    let given = |key: &str| item.node.get(key);
    if given("condition").is_none() && given("exceptions").is_none() {
        let message = "an append needs `condition` or `exceptions`";
        let help = "write `override` and name the keys that are changed".to_owned();
        return report.error(&item.place, VALIDATE, message, help);
    }
    if given("condition").is_some()
        && let Some(more) = item.required("condition", report)
    {
        rule.condition.push_str(" ");
        rule.condition.push(&more);
    }
    if let Some(node) = given("exceptions") {
        let new = exceptions::read(item.file, node, Mode::Append, &rule.exceptions, report);
        rule.exceptions.append(new);
    }
}

fn override_keys(
    item: &Item<'_>,
    rule: &mut RuleItem,
    overrides: &[(String, bool)],
    report: &mut Report<'_>,
) {
    if let Value::Map(pairs) = &item.node.value {
        for (key, _) in pairs {
            let name = key.text().unwrap_or_default();
            let named = overrides.iter().any(|(known, _)| known == name);
            let exempt = matches!(name, "rule" | "override" | "source" | "append");
            if KEYS.contains(&name) && !named && !exempt {
                let message = format!("the key `{name}` is not named in `override`");
                let help = format!("add `{name}: replace` to `override`");
                return report.error(&item.at(key), SHAPE, message, help);
            }
        }
    }
    // Appends come first, whatever their order.
    for (key, append) in overrides
        .iter()
        .filter(|(_, append)| *append)
        .chain(overrides.iter().filter(|(_, append)| !*append))
    {
        override_key(item, rule, key, *append, report);
    }
}

fn override_key(
    item: &Item<'_>,
    rule: &mut RuleItem,
    key: &str,
    append: bool,
    report: &mut Report<'_>,
) {
    match key {
        "condition" | "output" | "desc" => {
            let Some(text) = item.required(key, report) else {
                return;
            };
            let old = match key {
                "condition" => &mut rule.condition,
                "output" => &mut rule.output,
                _ => &mut rule.desc,
            };
            if append {
                old.push_str(" ");
                old.push(&text);
            } else {
                *old = text;
            }
        }
        "tags" => {
            let Some(tags) = item.texts("tags", report) else {
                return;
            };
            if !append {
                rule.tags.clear();
            }
            rule.tags.extend(strings(&tags));
        }
        "exceptions" => {
            let Some(node) = item.node.get(key) else {
                return;
            };
            let mode = if append { Mode::Append } else { Mode::Define };
            let new = exceptions::read(item.file, node, mode, &rule.exceptions, report);
            if append {
                rule.exceptions.append(new);
            } else {
                rule.exceptions = new;
            }
        }
        "priority" => rule.priority = priority(item, report).flatten(),
        "enabled" => rule.enabled = item.flag(key, true, report).unwrap_or(rule.enabled),
        "warn_evttypes" => {
            rule.warn_evttypes = item.flag(key, true, report).unwrap_or(rule.warn_evttypes);
        }
        "skip-if-unknown-filter" => {
            let skip = item.flag(key, false, report);
            rule.skip_if_unknown_filter = skip.unwrap_or(rule.skip_if_unknown_filter);
        }
        // A capture of all events is not made here; the value is still checked.
        "capture" => {
            let _checked = item.flag(key, false, report);
        }
        _ => {
            let _checked = capture_duration(item, report);
        }
    }
}
