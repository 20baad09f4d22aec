//! Alerts as lines.

use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::alert::Alert;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// Writes one line.
pub fn write(out: &mut dyn Write, alert: &Alert, format: Format) -> io::Result<()> {
    match format {
        // Falco's line: passed through a JSON string encoder, without the quotes.
        Format::Text => {
            let quoted = serde_json::to_string(&alert.output)?;
            let bare = quoted.get(1..quoted.len().saturating_sub(1));
            writeln!(out, "{}", bare.unwrap_or_default())
        }
        Format::Json => {
            serde_json::to_writer(&mut *out, &Object::new(alert))?;
            out.write_all(b"\n")
        }
    }
}

/// Falco's object, keys in alphabetical order.
#[derive(Serialize)]
struct Object<'a> {
    hostname: &'a str,
    output: &'a str,
    output_fields: &'a Map<String, Value>,
    priority: &'a str,
    rule: &'a str,
    sequence: u64,
    source: &'a str,
    tags: &'a [String],
    time: String,
    uuid: Uuid,
}

impl<'a> Object<'a> {
    fn new(alert: &'a Alert) -> Self {
        Self {
            hostname: &alert.hostname,
            output: &alert.output,
            output_fields: &alert.output_fields,
            priority: alert.priority.as_str(),
            rule: &alert.rule,
            sequence: alert.sequence,
            source: &alert.source,
            tags: &alert.tags,
            time: time(alert.time_ns),
            uuid: alert.uuid,
        }
    }
}

/// UTC with nine digits and `Z`.
fn time(time_ns: u64) -> String {
    let stamp = Timestamp::from_nanosecond(i128::from(time_ns)).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{stamp:.9}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_nine_digits() {
        assert_eq!(
            time(1_700_000_000_000_000_001),
            "2023-11-14T22:13:20.000000001Z"
        );
        assert_eq!(
            time(1_700_000_000_000_000_000),
            "2023-11-14T22:13:20.000000000Z"
        );
    }
}
