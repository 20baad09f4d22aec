//! Output templates: text with `%field`, rendered for an event.

use serde_json::{Map, Value as Json};

use super::fields::{self, Field, Value};
use crate::{event::Event, host::Host};

#[derive(Debug)]
enum Part {
    Text(String),
    Field(&'static Field),
    Time,
}

#[derive(Debug)]
pub struct Template(Vec<Part>);

pub struct Rendered {
    /// Without time and priority.
    pub message: String,
    pub fields: Map<String, Json>,
}

impl Template {
    /// The name after a `%` that is no field is the error.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut pieces = text.split('%');
        parts.push(Part::Text(pieces.next().unwrap_or_default().to_owned()));
        for piece in pieces {
            let end = piece
                .find(|next: char| !(next.is_ascii_alphanumeric() || next == '.' || next == '_'))
                .unwrap_or(piece.len());
            let name = piece.get(..end).unwrap_or(piece);
            // Falco takes the longest prefix that is a field: `%proc.name.` ends a sentence.
            let (part, length) = (0..=name.len())
                .rev()
                .find_map(|length| {
                    let name = name.get(..length)?;
                    let part = if name == "evt.time" {
                        Part::Time
                    } else {
                        Part::Field(fields::find(name)?)
                    };
                    Some((part, length))
                })
                .ok_or_else(|| name.to_owned())?;
            parts.push(part);
            parts.push(Part::Text(
                piece.get(length..).unwrap_or_default().to_owned(),
            ));
        }
        Ok(Self(parts))
    }

    pub fn render(&self, event: &Event, host: &Host) -> Rendered {
        let mut message = String::new();
        let mut map = Map::new();
        map.insert("evt.time".to_owned(), event.time_ns.into());
        for part in &self.0 {
            match part {
                Part::Text(text) => message.push_str(text),
                Part::Time => message.push_str(&fields::time(event, host)),
                Part::Field(field) => {
                    let value = (field.get)(event);
                    let (text, json) = match value {
                        None => ("<NA>".to_owned(), Json::Null),
                        Some(Value::Text(text)) => (text.to_string(), text.into()),
                        Some(Value::Number(number)) => (number.to_string(), number.into()),
                        Some(Value::Bool(value)) => (value.to_string(), value.into()),
                        Some(Value::Ip(ip)) => (ip.to_string(), ip.to_string().into()),
                    };
                    message.push_str(&text);
                    map.insert(field.name.to_owned(), json);
                }
            }
        }
        Rendered {
            message,
            fields: map,
        }
    }
}

/// `HH:MM:SS.nnnnnnnnn` in the host's time zone, as Falco's `evt.time`.
pub fn local_time(time_ns: u64, host: &Host) -> String {
    let seconds = i64::try_from(time_ns / 1_000_000_000).unwrap_or(0);
    let day = (seconds + i64::from(host.utc_offset_s)).rem_euclid(86_400);
    let (hours, minutes, rest) = (day / 3600, day / 60 % 60, day % 60);
    format!(
        "{hours:02}:{minutes:02}:{rest:02}.{:09}",
        time_ns % 1_000_000_000
    )
}
