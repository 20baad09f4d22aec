//! A rule matched: Falco's alert, with a UUID and a sequence number of its own.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    net::IpAddr,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::Event;

/// Falco's eight levels, most urgent first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    Emergency,
    Alert,
    Critical,
    Error,
    Warning,
    Notice,
    Informational,
    Debug,
}

impl Priority {
    pub const ALL: [Self; 8] = [
        Self::Emergency,
        Self::Alert,
        Self::Critical,
        Self::Error,
        Self::Warning,
        Self::Notice,
        Self::Informational,
        Self::Debug,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Emergency => "Emergency",
            Self::Alert => "Alert",
            Self::Critical => "Critical",
            Self::Error => "Error",
            Self::Warning => "Warning",
            Self::Notice => "Notice",
            Self::Informational => "Informational",
            Self::Debug => "Debug",
        }
    }

    /// Any case; `info` is Informational (Falco, `falco_common.cpp`).
    pub fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("info") {
            return Some(Self::Informational);
        }
        Self::ALL
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a field of an event has. Missing (`None` of an option), empty and the text `<NA>` are
/// three values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Value<'a> {
    Text(Cow<'a, str>),
    Signed(i64),
    Unsigned(u64),
    Double(f64),
    Bool(bool),
    Ip(IpAddr),
    List(Vec<Value<'a>>),
}

impl Value<'_> {
    /// On its own.
    pub fn to_owned(&self) -> Value<'static> {
        match self {
            Self::Text(value) => Value::Text(Cow::Owned(value.clone().into_owned())),
            Self::Signed(number) => Value::Signed(*number),
            Self::Unsigned(number) => Value::Unsigned(*number),
            Self::Double(number) => Value::Double(*number),
            Self::Bool(value) => Value::Bool(*value),
            Self::Ip(ip) => Value::Ip(*ip),
            Self::List(items) => Value::List(items.iter().map(Self::to_owned).collect()),
        }
    }

    /// As an output prints it.
    pub fn push_to(&self, text: &mut String) {
        match self {
            Self::Text(value) => text.push_str(value),
            Self::Signed(number) => text.push_str(itoa::Buffer::new().format(*number)),
            Self::Unsigned(number) => text.push_str(itoa::Buffer::new().format(*number)),
            // Writing to a string cannot fail.
            Self::Double(number) => drop(write!(text, "{number:.1}")),
            Self::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
            Self::Ip(ip) => push_ip(*ip, text),
            Self::List(items) => {
                text.push('(');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    item.push_to(text);
                }
                text.push(')');
            }
        }
    }
}

/// Nearly every alert has one: IPv4 without the formatter, which costs as much as the rest of a line.
fn push_ip(ip: IpAddr, text: &mut String) {
    match ip {
        IpAddr::V4(ip) => {
            for (index, octet) in ip.octets().into_iter().enumerate() {
                if index > 0 {
                    text.push('.');
                }
                text.push_str(itoa::Buffer::new().format(octet));
            }
        }
        // Writing to a string cannot fail.
        IpAddr::V6(ip) => drop(write!(text, "{ip}")),
    }
}

/// What a field is called: as its rule wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Name {
    text: String,
    key: String,
}

impl Name {
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let key = format!("{}:", serde_json::Value::from(text.as_str()));
        Self { text, key }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As the key of a JSON object, with its colon.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.text
    }
}

/// A field that an alert shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Field<'a> {
    pub name: &'a Name,
    pub value: Option<Value<'a>>,
}

/// The source of the detector's own alerts.
pub const INTERNAL: &str = "internal";
/// The rule of the alert by which silence is told from health: every sink gets it.
pub const HEARTBEAT: &str = "Heartbeat";
/// The rule of the alert that tells how many alike alerts were left out. It has the priority and tags of
/// their rule, and every sink that wants these gets it.
pub const LEFT_OUT: &str = "Alerts suppressed";
/// The rules of all of the detector's own alerts.
pub const OWN: [&str; 14] = [
    "Events lost",
    "Events told again",
    "Detector was not running",
    "Probes changed",
    "Probes not proven",
    "Hot reload failure",
    "Alerts dropped",
    LEFT_OUT,
    "Sink failure",
    "Sink recovery",
    "Spool failure",
    "Spool recovery",
    "Spool changed",
    HEARTBEAT,
];

/// Borrowed from the rule, the event and the host that it tells of: nothing is copied but into the
/// line that a sink writes. What is to be kept is the line.
#[derive(Debug, Clone)]
pub struct Alert<'a> {
    /// Gapless from 1 in one run of the detector, or one replay.
    pub sequence: u64,
    /// The run that counts the alerts.
    pub instance: Uuid,
    /// Nanoseconds since the Unix epoch.
    pub time_ns: u64,
    pub rule: &'a str,
    pub priority: Priority,
    /// `syscall`, or [`INTERNAL`].
    pub source: &'a str,
    pub hostname: &'a str,
    /// Without time and priority, not escaped.
    pub message: &'a str,
    /// Names are unique.
    pub fields: &'a [Field<'a>],
    /// Sorted.
    pub tags: &'a [String],
    /// What the rule matched; `None` of the detector's own.
    pub event: Option<&'a Event>,
}

impl Alert<'_> {
    /// Of the run and the number: a replay gives the same.
    pub fn uuid(&self) -> Uuid {
        let mut digits = itoa::Buffer::new();
        Uuid::new_v5(&self.instance, digits.format(self.sequence).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sink may ask for them by name.
    #[test]
    fn the_document_has_every_rule_of_its_own() {
        let document = include_str!("../../docs/falco-compat.md");
        let line = document.lines().find(|line| line.contains(OWN[0])).unwrap();
        let (listed, _) = line.split_once(", source").unwrap();
        let named: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
        assert_eq!(named, OWN);
    }

    #[test]
    fn a_name_is_escaped_as_a_key_only() {
        let name = Name::new("proc.env[\"A\"]");
        assert_eq!(name.as_str(), "proc.env[\"A\"]");
        assert_eq!(name.key(), r#""proc.env[\"A\"]":"#);
    }

    #[test]
    fn values_are_printed_as_falco_prints_them() {
        let list = vec![Value::Text("a".into()), Value::Unsigned(7)];
        for (value, expected) in [
            (Value::Text("".into()), ""),
            (Value::Signed(i64::MIN), "-9223372036854775808"),
            (Value::Unsigned(u64::MAX), "18446744073709551615"),
            (Value::Bool(true), "true"),
            (Value::Ip([10, 0, 200, 255].into()), "10.0.200.255"),
            (Value::Ip("fe80::1".parse().unwrap()), "fe80::1"),
            (Value::List(list), "(a,7)"),
            (Value::List(Vec::new()), "()"),
        ] {
            let mut text = String::new();
            value.push_to(&mut text);
            assert_eq!(text, expected);
        }
    }
}
