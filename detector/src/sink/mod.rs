//! Alerts as lines.

use jiff::Timestamp;
use serde_json::json;

use crate::alert::Alert;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Text,
    Json,
}

pub fn line(alert: &Alert, format: Format) -> String {
    match format {
        Format::Text => text(alert),
        Format::Json => json_object(alert),
    }
}

/// Falco's line: passed through a JSON string encoder, without the quotes.
fn text(alert: &Alert) -> String {
    let quoted = serde_json::Value::from(alert.output.as_str()).to_string();
    quoted
        .get(1..quoted.len().saturating_sub(1))
        .unwrap_or_default()
        .to_owned()
}

/// Falco's object, keys in alphabetical order.
fn json_object(alert: &Alert) -> String {
    json!({
        "hostname": alert.hostname,
        "output": alert.output,
        "output_fields": alert.output_fields,
        "priority": alert.priority.as_str(),
        "rule": alert.rule,
        "sequence": alert.sequence,
        "source": alert.source,
        "tags": alert.tags,
        "time": time(alert.time_ns),
        "uuid": alert.uuid.to_string(),
    })
    .to_string()
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
