//! Keys that are written twice in one map. The first counts, as in Falco.

use std::collections::HashMap;

use super::{
    super::{
        text::Place,
        yaml::{Node, Value},
    },
    report::Report,
};

/// Our own: Falco reads past it in silence.
const TWICE: &str = "RULE_KEY_TWICE";

/// In an item and the maps within.
pub(super) fn keys(file: usize, node: &Node, report: &mut Report<'_>) {
    match &node.value {
        Value::Null | Value::Text(_) => {}
        Value::Sequence(items) => items.iter().for_each(|item| keys(file, item, report)),
        Value::Map(pairs) => {
            let place = |key: &Node| Place {
                file,
                span: key.span.clone(),
            };
            let mut first: HashMap<&str, &Node> = HashMap::new();
            for (key, value) in pairs {
                let name = key.text().unwrap_or_default();
                if let Some(before) = first.get(name) {
                    let before = report.told(&place(before));
                    let message =
                        format!("the key `{name}` is written twice: the one at {before} counts");
                    let help = "leave one of them out, or begin another item with a dash";
                    report.warning(&place(key), TWICE, message, help.to_owned());
                } else {
                    first.insert(name, key);
                }
                keys(file, value, report);
            }
        }
    }
}
