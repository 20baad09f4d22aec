//! What an alert looks like in bytes: one file an encoding.
//!
//! An encoding is of the alert alone: what carries it, and what happens when it does not arrive, is
//! the sinks' business.

mod cef;
mod ecs;
mod facts;
mod falco;
mod flat;
mod json;
mod ocsf;
pub(in crate::sink) mod otlp;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{alert::Alert, host::Host, time::Clock};

/// How an alert is written.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `<evt.time>: <Priority> <message>`, as Falco prints it.
    #[default]
    Text,
    /// Falco's JSON object.
    Json,
    /// OCSF 1.8, a Detection Finding.
    Ocsf,
    /// Elastic Common Schema 9.4.
    Ecs,
    /// Common Event Format, `CEF:0`.
    Cef,
    /// OTLP's JSON, a request with one log record.
    Otlp,
}

impl Format {
    /// Whether an alert is an object of JSON.
    pub fn is_json(self) -> bool {
        match self {
            Self::Json | Self::Ocsf | Self::Ecs | Self::Otlp => true,
            Self::Text | Self::Cef => false,
        }
    }
}

/// What a line looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    pub format: Format,
    /// The time before the message is UTC with its date.
    pub iso8601: bool,
    pub include: Include,
}

/// The keys of a JSON object that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Include {
    /// The output without time and priority.
    pub message: bool,
    pub output: bool,
    pub output_fields: bool,
    pub tags: bool,
}

impl Default for Include {
    fn default() -> Self {
        Self {
            message: false,
            output: true,
            output_fields: true,
            tags: true,
        }
    }
}

impl Include {
    /// The detector's own alerts have what Falco's have, whatever is set.
    const INTERNAL: Self = Self {
        message: false,
        output: true,
        output_fields: true,
        tags: false,
    };
}

/// Makes the lines of one stream of alerts.
#[derive(Debug)]
pub struct Encoder {
    style: Style,
    clock: Clock,
    host: Host,
}

impl Encoder {
    pub fn new(style: Style, host: &Host) -> Self {
        Self {
            style,
            clock: Clock::new(host),
            host: host.clone(),
        }
    }

    /// Appends one line.
    pub fn line(&mut self, alert: &Alert<'_>, out: &mut Vec<u8>) {
        self.encode(alert, out);
        out.push(b'\n');
    }

    /// Appends the alert alone: no byte of it is a line feed.
    pub fn encode(&mut self, alert: &Alert<'_>, out: &mut Vec<u8>) {
        let Self { style, clock, host } = self;
        match style.format {
            Format::Text => falco::text(alert, *style, clock, out),
            Format::Json => falco::object(alert, *style, clock, out),
            Format::Ocsf => ocsf::object(alert, host, clock, out),
            Format::Ecs => ecs::object(alert, host, clock, out),
            Format::Cef => cef::line(alert, out),
            Format::Otlp => otlp::object(alert, host, out),
        }
    }
}
