//! The settings in force as YAML, each value with where it was written.

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::Value;
use serde_saphyr::Commented;

use super::{
    node::{self, Node},
    settings::Settings,
    texts::{ADDRESSES, Texts},
};
use crate::{rules::lines::Lines, sink::settings::without_secrets};

/// A value of the settings, and the same of the tree that they were read from.
struct Shown<'a> {
    value: &'a Value,
    node: Option<&'a Node>,
    texts: &'a Texts,
}

impl Shown<'_> {
    fn origin(&self) -> Option<String> {
        let place = &self.node?.place;
        let text = self.texts.get(place)?;
        if text.name.is_empty() {
            return None;
        }
        let (line, _) = Lines::new(&text.text).line_and_column(place.span.start);
        Some(format!("{}:{line}", text.name))
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let below = |value, node| Self {
            value,
            node,
            texts: self.texts,
        };
        match self.value {
            Value::Object(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    let node = self.node.and_then(|node| node.find(&[key]));
                    map.serialize_entry(key, &below(value, node))?;
                }
                map.end()
            }
            Value::Array(items) => {
                let nodes = self.node.map(|node| &node.value);
                let nodes = match nodes {
                    Some(node::Value::List(nodes)) => nodes.as_slice(),
                    _ => &[],
                };
                let item = |(number, value)| below(value, nodes.get(number));
                serializer.collect_seq(items.iter().enumerate().map(item))
            }
            scalar => match self.origin() {
                Some(origin) => Commented(scalar, origin).serialize(serializer),
                None => scalar.serialize(serializer),
            },
        }
    }
}

/// What is not set and has no default is left out; secrets are masked.
pub(super) fn show(settings: &Settings, tree: &Node, texts: &Texts) -> Result<String, String> {
    let mut value = serde_json::to_value(settings).map_err(|error| error.to_string())?;
    without_nulls(&mut value);
    without_secrets_of_addresses(&mut value);
    let shown = Shown {
        value: &value,
        node: Some(tree),
        texts,
    };
    serde_saphyr::to_string(&shown).map_err(|error| error.to_string())
}

fn without_secrets_of_addresses(value: &mut Value) {
    match value {
        Value::Object(entries) => entries.iter_mut().for_each(|(key, value)| match value {
            Value::String(address) if ADDRESSES.contains(&key.as_str()) => {
                *address = without_secrets(address);
            }
            other => without_secrets_of_addresses(other),
        }),
        Value::Array(items) => items.iter_mut().for_each(without_secrets_of_addresses),
        _ => {}
    }
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}
