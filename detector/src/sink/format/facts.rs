//! What the encodings of other schemas tell alike.

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap as _, SerializeSeq as _},
};
use uuid::Uuid;

use crate::{
    alert::{Alert, Field, Priority, Value},
    event::{Endpoint, Event, Family, Kind, Process, errno_name},
    host::Host,
};

pub(super) const PRODUCT: &str = "kubelet-detector";
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Of the identifiers that rules get from their names.
const RULES: Uuid = Uuid::from_u128(0x9d2c_6a1f_54e8_4c0b_8f37_1be6_0a75_d3c4);

/// The same for a rule of this name everywhere and at all times.
pub(super) fn rule_id(alert: &Alert<'_>) -> Uuid {
    Uuid::new_v5(&RULES, alert.rule.as_bytes())
}

/// From 0 to 10 as CEF has it, the same number for each priority as falcosidekick's.
pub(super) fn severity(priority: Priority) -> u8 {
    match priority {
        Priority::Debug => 0,
        Priority::Informational => 3,
        Priority::Notice => 4,
        Priority::Warning => 6,
        Priority::Error => 7,
        Priority::Critical => 8,
        Priority::Alert => 9,
        Priority::Emergency => 10,
    }
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Of an attempt it is not known yet.
    Unknown,
    Success,
    Failure(i32),
}

pub(super) fn outcome(event: &Event) -> Outcome {
    match event.errno {
        None => Outcome::Unknown,
        Some(0) => Outcome::Success,
        Some(errno) => Outcome::Failure(errno),
    }
}

/// The errno's name, or its number where it has none.
pub(super) fn failure(event: &Event) -> Option<String> {
    let Outcome::Failure(errno) = outcome(event) else {
        return None;
    };
    Some(errno_name(errno).map_or_else(|| errno.to_string(), str::to_owned))
}

/// The process is the client.
pub(super) fn connects(event: &Event) -> bool {
    matches!(event.kind, Kind::ConnectAttempt | Kind::ConnectOutcome)
}

pub(super) fn port(end: Endpoint) -> Option<u16> {
    (end.port != 0).then_some(end.port)
}

pub(super) fn family(event: &Event) -> &'static str {
    match event.socket.family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    }
}

/// Root needs no entry in the host's table of users.
pub(super) fn user_name(process: &Process) -> Option<&str> {
    match process.user_name.as_deref() {
        None | Some("") => (process.uid == 0).then_some("root"),
        name => name,
    }
}

/// A text that tells something.
pub(super) fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Without its folder.
pub(super) fn file_name(path: &str) -> Option<&str> {
    path.rsplit('/').next().and_then(filled)
}

/// Nanoseconds since the Unix epoch of what started at this time after boot.
pub(super) fn started(since_boot_ns: u64, host: &Host) -> Option<u64> {
    let known = host.boot_time_ns > 0 && since_boot_ns > 0;
    known.then(|| host.boot_time_ns.saturating_add(since_boot_ns))
}

/// The fields of an output as an object, with their own names and types.
pub(super) struct Fields<'a>(pub(super) &'a [Field<'a>]);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for field in self.0 {
            map.serialize_entry(field.name.as_str(), &field.value.as_ref().map(Plain))?;
        }
        map.end()
    }
}

/// A value as JSON has it. A number that JSON has not is null.
struct Plain<'a>(&'a Value<'a>);

impl Serialize for Plain<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Text(text) => serializer.serialize_str(text),
            Value::Signed(number) => serializer.serialize_i64(*number),
            Value::Unsigned(number) => serializer.serialize_u64(*number),
            Value::Double(number) => serializer.serialize_f64(*number),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Ip(ip) => serializer.collect_str(ip),
            Value::List(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Plain(item))?;
                }
                list.end()
            }
        }
    }
}

/// Appends a document. Its parts have texts for keys, and none of them fails: there is nothing that
/// could go wrong.
pub(super) fn push_json(document: &impl Serialize, out: &mut Vec<u8>) {
    let start = out.len();
    if let Err(error) = serde_json::to_writer(&mut *out, document) {
        out.truncate(start);
        tracing::error!("an alert cannot be encoded: {error}");
    }
}
