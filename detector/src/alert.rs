//! A rule matched: Falco's alert, with a UUID and a sequence number of its own.

use std::fmt;

use serde_json::{Map, Value};

/// Falco's eight levels, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    const ALL: [Self; 8] = [
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

#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Gapless from 1 in one run of the detector, or one replay.
    pub sequence: u64,
    pub uuid: uuid::Uuid,
    /// Nanoseconds since the Unix epoch.
    pub time_ns: u64,
    pub rule: String,
    pub priority: Priority,
    /// `syscall`, or `internal` for the detector's own alerts.
    pub source: String,
    pub hostname: String,
    /// `<evt.time>: <Priority> <message>`, not escaped.
    pub output: String,
    pub output_fields: Map<String, Value>,
    /// Sorted.
    pub tags: Vec<String>,
}
