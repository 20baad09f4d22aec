//! Falco's own two: a line of text, and a JSON object (`userspace/falco/formats.cpp`).

use super::{Include, Style, json};
use crate::{
    alert::{Alert, INTERNAL},
    time::Clock,
};

/// `<evt.time>: <Priority> <message>`, passed through a JSON string encoder, without the quotes.
pub(super) fn text(alert: &Alert<'_>, style: Style, clock: &mut Clock, out: &mut Vec<u8>) {
    if style.iso8601 {
        clock.utc(alert.time_ns, out);
        out.extend_from_slice(b"+0000");
    } else {
        clock.local(alert.time_ns, out);
    }
    out.extend_from_slice(b": ");
    out.extend_from_slice(alert.priority.as_str().as_bytes());
    out.push(b' ');
    json::escape(alert.message, out);
}

/// Keys in alphabetical order.
pub(super) fn object(alert: &Alert<'_>, style: Style, clock: &mut Clock, out: &mut Vec<u8>) {
    let include = match alert.source {
        INTERNAL => Include::INTERNAL,
        _ => style.include,
    };
    out.extend_from_slice(b"{\"hostname\":");
    json::text(alert.hostname, out);
    if include.message {
        out.extend_from_slice(b",\"message\":");
        json::text(alert.message, out);
    }
    if include.output {
        out.extend_from_slice(b",\"output\":\"");
        text(alert, style, clock, out);
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
    clock.utc(alert.time_ns, out);
    out.extend_from_slice(b"Z\",\"uuid\":\"");
    let mut digits = uuid::Uuid::encode_buffer();
    let uuid = alert.uuid().hyphenated().encode_lower(&mut digits);
    out.extend_from_slice(uuid.as_bytes());
    out.extend_from_slice(b"\"}");
}
