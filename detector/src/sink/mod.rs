//! Alerts as lines of bytes.

mod json;

use crate::{
    alert::{Alert, INTERNAL},
    host::Host,
    time::Clock,
};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
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
}

impl Encoder {
    pub fn new(style: Style, host: &Host) -> Self {
        Self {
            style,
            clock: Clock::new(host),
        }
    }

    /// Appends one line.
    pub fn line(&mut self, alert: &Alert<'_>, out: &mut Vec<u8>) {
        match self.style.format {
            // Falco's line: passed through a JSON string encoder, without the quotes.
            Format::Text => self.output(alert, out),
            Format::Json => self.object(alert, out),
        }
        out.push(b'\n');
    }

    /// `<evt.time>: <Priority> <message>`, escaped.
    fn output(&mut self, alert: &Alert<'_>, out: &mut Vec<u8>) {
        if self.style.iso8601 {
            self.clock.utc(alert.time_ns, out);
            out.extend_from_slice(b"+0000");
        } else {
            self.clock.local(alert.time_ns, out);
        }
        out.extend_from_slice(b": ");
        out.extend_from_slice(alert.priority.as_str().as_bytes());
        out.push(b' ');
        json::escape(alert.message, out);
    }

    /// Falco's object, keys in alphabetical order.
    fn object(&mut self, alert: &Alert<'_>, out: &mut Vec<u8>) {
        let include = match alert.source {
            INTERNAL => Include::INTERNAL,
            _ => self.style.include,
        };
        out.extend_from_slice(b"{\"hostname\":");
        json::text(alert.hostname, out);
        if include.message {
            out.extend_from_slice(b",\"message\":");
            json::text(alert.message, out);
        }
        if include.output {
            out.extend_from_slice(b",\"output\":\"");
            self.output(alert, out);
            out.push(b'"');
        }
        if include.output_fields {
            out.extend_from_slice(b",\"output_fields\":");
            json::fields(alert.fields, out);
        }
        out.extend_from_slice(b",\"priority\":\"");
        out.extend_from_slice(alert.priority.as_str().as_bytes());
        out.extend_from_slice(b"\",\"rule\":");
        json::text(alert.rule, out);
        out.extend_from_slice(b",\"sequence\":");
        json::unsigned(alert.sequence, out);
        out.extend_from_slice(b",\"source\":");
        json::text(alert.source, out);
        if include.tags {
            out.extend_from_slice(b",\"tags\":");
            json::texts(alert.tags, out);
        }
        out.extend_from_slice(b",\"time\":\"");
        self.clock.utc(alert.time_ns, out);
        out.extend_from_slice(b"Z\",\"uuid\":\"");
        let mut digits = uuid::Uuid::encode_buffer();
        let uuid = alert.uuid().hyphenated().encode_lower(&mut digits);
        out.extend_from_slice(uuid.as_bytes());
        out.extend_from_slice(b"\"}");
    }
}
