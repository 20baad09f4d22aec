//! An alert on its own: what the spool keeps of it until every sink has it. An encoding of it is the
//! same as of the alert itself, byte for byte.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    alert::{Alert, Field, Name, Priority, Value},
    event::{Creator, Endpoint, Event, Process},
};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    pub sequence: u64,
    pub instance: Uuid,
    pub time_ns: u64,
    pub rule: String,
    pub priority: Priority,
    pub source: String,
    pub hostname: String,
    pub message: String,
    fields: Vec<(Name, Option<Value<'static>>)>,
    pub tags: Vec<String>,
    matched: Option<Matched>,
}

/// What the rule matched, as far as an encoding shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Parts", into = "Parts")]
struct Matched(Event);

/// An event is written without these: a trace has records of their own for them.
#[derive(Serialize, Deserialize)]
struct Parts {
    event: Event,
    process: Arc<Process>,
    found: bool,
    original: Option<Endpoint>,
    creator: Option<Creator>,
}

impl Kept {
    pub fn of(alert: &Alert<'_>) -> Self {
        let fields = alert.fields.iter();
        Self {
            sequence: alert.sequence,
            instance: alert.instance,
            time_ns: alert.time_ns,
            rule: alert.rule.to_owned(),
            priority: alert.priority,
            source: alert.source.to_owned(),
            hostname: alert.hostname.to_owned(),
            message: alert.message.to_owned(),
            fields: fields
                .map(|field| {
                    (
                        field.name.clone(),
                        field.value.as_ref().map(Value::to_owned),
                    )
                })
                .collect(),
            tags: alert.tags.to_vec(),
            matched: alert.event.cloned().map(Matched),
        }
    }

    /// `None` if these bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }

    /// Appends it.
    pub fn push_to(&self, out: Vec<u8>) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_extend(self, out)
    }

    pub fn uuid(&self) -> Uuid {
        self.alert(&[]).uuid()
    }

    pub fn fields(&self) -> Vec<Field<'_>> {
        let fields = self.fields.iter();
        fields
            .map(|(name, value)| Field {
                name,
                value: value.clone(),
            })
            .collect()
    }

    /// `fields` are its own.
    pub fn alert<'a>(&'a self, fields: &'a [Field<'a>]) -> Alert<'a> {
        Alert {
            sequence: self.sequence,
            instance: self.instance,
            time_ns: self.time_ns,
            rule: &self.rule,
            priority: self.priority,
            source: &self.source,
            hostname: &self.hostname,
            message: &self.message,
            fields,
            tags: &self.tags,
            event: self.matched.as_ref().map(|Matched(event)| event),
        }
    }
}

impl From<Matched> for Parts {
    fn from(Matched(mut event): Matched) -> Self {
        Self {
            process: event.process.clone(),
            found: event.found,
            original: event.original,
            creator: event.creator.take(),
            event,
        }
    }
}

impl From<Parts> for Matched {
    fn from(parts: Parts) -> Self {
        Self(Event {
            process: parts.process,
            found: parts.found,
            original: parts.original,
            creator: parts.creator,
            ..parts.event
        })
    }
}
