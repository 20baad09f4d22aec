//! Alerts as lines of bytes.

mod json;

use crate::{alert::Alert, host::Host, time::Clock};

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// Makes the lines of one stream of alerts.
#[derive(Debug)]
pub struct Encoder {
    format: Format,
    clock: Clock,
}

impl Encoder {
    pub fn new(format: Format, host: &Host) -> Self {
        Self {
            format,
            clock: Clock::new(host),
        }
    }

    /// Appends one line.
    pub fn line(&mut self, alert: &Alert<'_>, out: &mut Vec<u8>) {
        match self.format {
            // Falco's line: passed through a JSON string encoder, without the quotes.
            Format::Text => self.output(alert, out),
            Format::Json => self.object(alert, out),
        }
        out.push(b'\n');
    }

    /// `<evt.time>: <Priority> <message>`, escaped.
    fn output(&mut self, alert: &Alert<'_>, out: &mut Vec<u8>) {
        self.clock.local(alert.time_ns, out);
        out.extend_from_slice(b": ");
        out.extend_from_slice(alert.priority.as_str().as_bytes());
        out.push(b' ');
        json::escape(alert.message, out);
    }

    /// Falco's object, keys in alphabetical order.
    fn object(&mut self, alert: &Alert<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"hostname\":");
        json::text(alert.hostname, out);
        out.extend_from_slice(b",\"output\":\"");
        self.output(alert, out);
        out.extend_from_slice(b"\",\"output_fields\":");
        json::fields(alert.fields, out);
        out.extend_from_slice(b",\"priority\":\"");
        out.extend_from_slice(alert.priority.as_str().as_bytes());
        out.extend_from_slice(b"\",\"rule\":");
        json::text(alert.rule, out);
        out.extend_from_slice(b",\"sequence\":");
        json::unsigned(alert.sequence, out);
        out.extend_from_slice(b",\"source\":");
        json::text(alert.source, out);
        out.extend_from_slice(b",\"tags\":");
        json::texts(alert.tags, out);
        out.extend_from_slice(b",\"time\":\"");
        self.clock.utc(alert.time_ns, out);
        out.extend_from_slice(b"Z\",\"uuid\":\"");
        let mut digits = uuid::Uuid::encode_buffer();
        let uuid = alert.uuid().hyphenated().encode_lower(&mut digits);
        out.extend_from_slice(uuid.as_bytes());
        out.extend_from_slice(b"\"}");
    }
}
