//! The texts that a configuration is made of, and how mistakes in them are told: secrets are never
//! shown, neither in an excerpt nor in a message.

use std::ops::Range;

use super::node::{Kind, Node, Place, Scalar, Value};
use crate::rules::{Diagnostic, diagnostic::Severity, lines::Lines};

/// Keys whose values are secrets, if they do not tell where the secret is. A test holds that every
/// setting of this kind is among them.
pub(super) const SECRETS: [&str; 4] = ["api_key", "bearer", "password", "token"];
/// Each of its values is one.
pub(super) const SECRET_VALUES: &str = "headers";
/// What a secret's place is named by.
const PLACES: [&str; 2] = ["file", "env"];

/// The keys of addresses.
pub(super) const ADDRESSES: [&str; 3] = ["url", "address", "bootstrap_servers"];

const MASK: &str = "***";

/// A file, a variable of the environment or a setting of the command line.
pub(super) struct Text {
    pub(super) name: String,
    pub(super) text: String,
    /// In order; what is not shown.
    secrets: Vec<Range<usize>>,
    /// Where secrets are is not known: none of it is shown.
    hidden: bool,
}

#[derive(Default)]
pub(super) struct Texts(Vec<Text>);

impl Texts {
    /// Its number; the whole of it can be looked up by the place.
    pub(super) fn add(&mut self, name: String, text: String) -> Place {
        let place = Place {
            text: self.0.len(),
            span: 0..text.len(),
        };
        self.0.push(Text {
            name,
            text,
            secrets: Vec::new(),
            hidden: false,
        });
        place
    }

    pub(super) fn get(&self, place: &Place) -> Option<&Text> {
        self.0.get(place.text)
    }

    /// Hides a whole text that could not be read, if a secret may be in it. Of one that is not a
    /// file's there is little to show.
    pub(super) fn hide(&mut self, place: &Place, is_file: bool) {
        if let Some(text) = self.0.get_mut(place.text) {
            let words = SECRETS.iter().chain(&[SECRET_VALUES, "sinks", "://"]);
            let written = text.text.to_ascii_lowercase();
            text.hidden = !is_file || words.into_iter().any(|word| written.contains(word));
        }
    }

    /// Hides what is written in a tree, where it may be a secret: all of it, or only what may be a
    /// key with one.
    pub(super) fn hide_within(&mut self, node: &Node, all: bool) {
        let mut places = Vec::new();
        node.scalars(&mut |node, scalar| {
            if all && scalar.kind != Kind::Bool || !all && scalar.text.contains([' ', ':']) {
                places.push(node.place.clone());
            }
        });
        self.hide_places(&places);
    }

    pub(super) fn hide_places(&mut self, places: &[Place]) {
        for place in places {
            if let Some(text) = self.0.get_mut(place.text) {
                let at = text
                    .secrets
                    .partition_point(|one| one.start < place.span.start);
                text.secrets.insert(at, place.span.clone());
            }
        }
    }

    pub(super) fn diagnostic(
        &self,
        severity: Severity,
        code: &'static str,
        place: &Place,
        message: String,
        help: Option<String>,
    ) -> Diagnostic {
        let (file, text) = self
            .get(place)
            .map_or(("", ""), |text| (text.name.as_str(), text.text.as_str()));
        let (line, column) = Lines::new(text).line_and_column(place.span.start);
        Diagnostic {
            severity,
            code,
            message,
            file: file.to_owned(),
            span: one_line(text, &place.span),
            line,
            column,
            help,
            notes: Vec::new(),
            order: place.text,
        }
    }

    /// With the excerpt, underlined.
    pub(super) fn full(&self, one: &Diagnostic) -> String {
        let Some(text) = self.0.get(one.order) else {
            return one.full("");
        };
        let mut one = one.clone();
        if text.hidden {
            let Diagnostic { line, column, .. } = one;
            one.file = format!("{}:{line}:{column}", one.file);
            return one.full("");
        }
        let (shown, span) = masked(text, &one.span);
        one.span = span;
        one.full(&shown)
    }
}

/// The first line of a block is enough to find it.
fn one_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let written = text.get(span.clone()).unwrap_or_default();
    let line = written.split('\n').next().unwrap_or_default();
    span.start..span.start + line.trim_end().len()
}

/// The text with its secrets masked, and where a span of it is then.
fn masked(text: &Text, span: &Range<usize>) -> (String, Range<usize>) {
    let mut shown = String::new();
    let (mut start, mut end) = (span.start, span.end);
    let mut from = 0;
    for secret in &text.secrets {
        if secret.is_empty() || secret.start < from {
            continue;
        }
        shown.push_str(text.text.get(from..secret.start).unwrap_or_default());
        let moved = |at: &mut usize, original: usize| {
            if original >= secret.end {
                *at = (*at + MASK.len()).saturating_sub(secret.len());
            } else if original > secret.start {
                *at = shown.len() + MASK.len();
            }
        };
        moved(&mut start, span.start);
        moved(&mut end, span.end);
        shown.push_str(MASK);
        from = secret.end;
    }
    shown.push_str(text.text.get(from..).unwrap_or_default());
    (shown, start..end.max(start))
}

/// Where secrets are written in a tree: by their keys, and as part of an address.
pub(super) fn secrets(node: &Node) -> Vec<Place> {
    let mut places = Vec::new();
    by_keys(node, false, &mut places);
    node.scalars(&mut |node, scalar| {
        if names_user(scalar) {
            places.push(node.place.clone());
        }
    });
    places
}

/// Where addresses are written that have a query, whose values may be secrets.
pub(super) fn queries(node: &Node) -> Vec<Place> {
    let mut places = Vec::new();
    node.scalars(&mut |node, scalar| {
        if has_query(scalar) {
            places.push(node.place.clone());
        }
    });
    places
}

pub(super) fn has_query(scalar: &Scalar) -> bool {
    let rest = scalar.text.split_once("://").map(|(_, rest)| rest);
    rest.is_some_and(|rest| rest.contains('?'))
}

/// Where those addresses of outputs are of which something is so.
pub(super) fn addresses(node: &Node, is_so: fn(&Scalar) -> bool, places: &mut Vec<Place>) {
    match &node.value {
        Value::Null | Value::Scalar(_) => {}
        Value::List(items) => items.iter().for_each(|item| addresses(item, is_so, places)),
        Value::Map(map) => {
            for entry in &map.entries {
                match &entry.value.value {
                    Value::Scalar(scalar) if ADDRESSES.contains(&entry.key.as_str()) => {
                        places.extend(is_so(scalar).then(|| entry.value.place.clone()));
                    }
                    _ => addresses(&entry.value, is_so, places),
                }
            }
        }
    }
}

/// `https://user:password@host`.
pub(super) fn names_user(scalar: &Scalar) -> bool {
    let addresses = scalar.text.split(',');
    addresses
        .filter_map(|address| address.split_once("://"))
        .any(|(_, rest)| rest.split('/').next().unwrap_or_default().contains('@'))
}

/// Else it is perhaps a key and a secret, with nothing or too little between them.
pub(super) fn is_word(key: &str) -> bool {
    let letter = |one: char| one.is_ascii_alphanumeric() || matches!(one, '-' | '_' | '.');
    key.chars().all(letter)
}

fn by_keys(node: &Node, values_are: bool, places: &mut Vec<Place>) {
    match &node.value {
        Value::Null | Value::Scalar(_) => {}
        Value::List(items) => items.iter().for_each(|item| by_keys(item, false, places)),
        Value::Map(map) => {
            for entry in &map.entries {
                if !is_word(&entry.key) {
                    places.push(entry.key_place.clone());
                }
                let are = entry.key == SECRET_VALUES;
                let is_map = matches!(entry.value.value, Value::Map(_));
                let is = values_are || SECRETS.contains(&entry.key.as_str()) || are && !is_map;
                if is {
                    secret(&entry.value, places);
                } else {
                    by_keys(&entry.value, are, places);
                }
            }
        }
    }
}

fn secret(node: &Node, places: &mut Vec<Place>) {
    let mut all = |node: &Node| node.scalars(&mut |node, _| places.push(node.place.clone()));
    let Value::Map(map) = &node.value else {
        return all(node);
    };
    for entry in &map.entries {
        if !PLACES.contains(&entry.key.as_str()) {
            all(&entry.value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;

    /// Names of the properties whose schema is, or may be, that of a secret.
    fn named(schema: &Json, each: &mut impl FnMut(&str, &Json)) {
        match schema {
            Json::Object(entries) => {
                if let Some(Json::Object(properties)) = entries.get("properties") {
                    properties.iter().for_each(|(name, one)| each(name, one));
                }
                entries.values().for_each(|one| named(one, each));
            }
            Json::Array(items) => items.iter().for_each(|one| named(one, each)),
            _ => {}
        }
    }

    #[test]
    fn every_secret_has_a_name_that_is_hidden() {
        let schema = super::super::schema().to_value();
        let mut found = std::collections::BTreeSet::new();
        named(&schema, &mut |name, one| {
            let values = one.get("additionalProperties").map(Json::to_string);
            if values.is_some_and(|values| values.contains("/Secret\"")) {
                assert_eq!(name, SECRET_VALUES);
            } else if one.to_string().contains("/Secret\"") {
                found.insert(name.to_owned());
            }
        });
        assert!(found.iter().eq(SECRETS.iter()), "{found:?}");
    }
}
