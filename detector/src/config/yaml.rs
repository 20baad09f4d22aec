//! YAML to trees and back: the only user of the YAML crate.

use std::{fmt, ops::Range};

use serde::{
    Deserialize,
    de::{Deserializer, MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Error, Location, Options, Spanned};

use super::node::{Entry, Kind, Map, Node, Place, Scalar, Value};

/// Deeper texts are refused.
const MAX_DEPTH: usize = 32;
/// Texts with more nodes are refused, those that aliases stand for included.
const MAX_NODES: usize = 100_000;

/// Why a text is no YAML, and where.
pub(super) struct Mistake {
    pub(super) message: String,
    pub(super) place: Place,
}

/// The tree of a text's only document; of a text without one nothing. `number` is that of the text,
/// in which this one begins at `start`.
pub(super) fn parse(text: &str, number: usize, start: usize) -> Result<Node, Mistake> {
    let parsed: Result<Spanned<Raw>, Error> = serde_saphyr::from_str_with_options(text, options());
    let reader = Reader {
        text,
        number,
        start,
    };
    match parsed {
        Ok(raw) => Ok(reader.node(raw)),
        Err(Error::Eof { .. }) if is_blank(text) => Ok(reader.nothing()),
        Err(error) => Err(reader.mistake(&error)),
    }
}

fn is_blank(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim);
    lines.all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_NODES },
        strict_booleans: true,
        with_snippet: false,
    }
}

/// As the crate reads it where no type is asked for.
enum Raw {
    Null,
    Scalar(String, Kind),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
                Ok(Raw::Scalar(value.to_string(), Kind::Bool))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
                Ok(Raw::Scalar(value.to_string(), Kind::Number))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
                Ok(Raw::Scalar(value.to_string(), Kind::Number))
            }

            fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
                Ok(Raw::Scalar(value.to_string(), Kind::Number))
            }

            fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
                Ok(Raw::Scalar(value.to_string(), Kind::Number))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
                Ok(Raw::Scalar(value.to_string(), Kind::Number))
            }

            fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
                Ok(Raw::Scalar(value.to_owned(), Kind::Text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Raw::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    map.push(entry);
                }
                Ok(Raw::Map(map))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// Where a text stands in that which is shown.
struct Reader<'a> {
    text: &'a str,
    number: usize,
    start: usize,
}

impl Reader<'_> {
    /// In this text, within its bounds.
    fn bytes(&self, location: Location) -> Range<usize> {
        let span = location.span();
        let byte = |value: Option<u64>| value.and_then(|value| usize::try_from(value).ok());
        let from = byte(span.byte_offset()).unwrap_or_else(|| self.byte_of(location));
        let from = self.text.floor_char_boundary(from);
        let length = byte(span.byte_len()).unwrap_or_default();
        let end = self.text.floor_char_boundary(from.saturating_add(length));
        let written = self.text.get(from..end).unwrap_or_default();
        from..from + written.trim_end().len()
    }

    /// Of a mistake of the syntax line and column are told, the byte is not.
    fn byte_of(&self, location: Location) -> usize {
        let nth = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let lines = self.text.match_indices('\n').map(|(at, _)| at + 1);
        let line = std::iter::once(0).chain(lines).nth(nth(location.line()));
        let start = line.unwrap_or(self.text.len());
        let rest = self.text.get(start..).unwrap_or_default();
        let mut characters = rest.char_indices().map(|(at, _)| at);
        start + characters.nth(nth(location.column())).unwrap_or(rest.len())
    }

    fn place(&self, location: Location) -> Place {
        let bytes = self.bytes(location);
        Place {
            text: self.number,
            span: self.start + bytes.start..self.start + bytes.end,
        }
    }

    fn nothing(&self) -> Node {
        Node {
            place: Place {
                text: self.number,
                span: self.start..self.start,
            },
            value: Value::Null,
        }
    }

    fn mistake(&self, error: &Error) -> Mistake {
        let place = error
            .location()
            .map_or_else(|| self.nothing().place, |at| self.place(at));
        let message = match error {
            Error::DuplicateMappingKey { key: Some(key), .. } => {
                format!("the key `{key}` is written twice")
            }
            Error::MultipleDocuments { .. } => "there is more than one document".to_owned(),
            Error::Budget { .. }
            | Error::AliasReplayLimitExceeded { .. }
            | Error::AliasExpansionLimitExceeded { .. }
            | Error::AliasReplayStackDepthExceeded { .. } => {
                format!("more than {MAX_NODES} values, or nested more than {MAX_DEPTH} deep")
            }
            Error::ExternalMessage { msg, .. } => format!("this is no YAML: {msg}"),
            Error::UnknownAnchor { .. } => "no anchor of this name is defined before".to_owned(),
            // Others may quote what is written, a secret perhaps.
            _ => "this is no YAML that a configuration can have".to_owned(),
        };
        Mistake { message, place }
    }

    fn node(&self, raw: Spanned<Raw>) -> Node {
        let place = self.place(raw.referenced);
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Scalar(text, kind) => {
                let written = self.text.get(self.bytes(raw.defined));
                let written = written.filter(|text| kind != Kind::Text && !text.is_empty());
                let text = written.map_or(text, str::to_owned);
                Value::Scalar(Scalar { text, kind })
            }
            Raw::List(items) => {
                Value::List(items.into_iter().map(|item| self.node(item)).collect())
            }
            Raw::Map(entries) => {
                let entry = |(key, value): (Spanned<String>, _)| Entry {
                    key_place: self.place(key.referenced),
                    key: key.value,
                    value: self.node(value),
                };
                Value::Map(Map {
                    entries: entries.into_iter().map(entry).collect(),
                    refused: Vec::new(),
                })
            }
        };
        Node { place, value }
    }
}
