//! Common Event Format, `CEF:0`: a header of seven parts and an extension of keys and values.

use std::net::IpAddr;

use super::facts::{self, Fields, Outcome, PRODUCT, VERSION};
use crate::{
    alert::Alert,
    event::{Endpoint, Event, Kind, Process},
};

/// The keys of one end: as its address is of IPv4 or IPv6, and as the process that acts is there.
struct Side {
    ip: &'static str,
    ip6: (&'static str, &'static str),
    port: &'static str,
    process: &'static str,
    pid: &'static str,
    user: &'static str,
    uid: &'static str,
}

const SOURCE: Side = Side {
    ip: "src",
    ip6: ("c6a2", "Source IPv6 Address"),
    port: "spt",
    process: "sproc",
    pid: "spid",
    user: "suser",
    uid: "suid",
};

const DESTINATION: Side = Side {
    ip: "dst",
    ip6: ("c6a3", "Destination IPv6 Address"),
    port: "dpt",
    process: "dproc",
    pid: "dpid",
    user: "duser",
    uid: "duid",
};

/// Bytes of the header's parts: vendor, product, version, signature and name.
const HEADER: [usize; 5] = [63, 63, 31, 1023, 512];

/// Bytes of a value, as the extension dictionary has them: so a line has at most 64 KiB.
fn limit(key: &str) -> usize {
    match key {
        "proto" => 31,
        "externalId" => 40,
        "act" | "outcome" => 63,
        "dvchost" => 100,
        "deviceExternalId" => 255,
        "cs1" | "cs2" | "cs3" | "cs4" | "cs5" | "cs6" => 4000,
        _ => 1023,
    }
}

/// What a text ends with that is cut at its limit.
const CUT: char = '…';

pub(super) fn line(alert: &Alert<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"CEF:0");
    let id = facts::rule_id(alert).to_string();
    let parts = [PRODUCT, PRODUCT, VERSION, &id, alert.rule];
    for (part, limit) in parts.into_iter().zip(HEADER) {
        out.push(b'|');
        push_part(part, limit, out);
    }
    out.push(b'|');
    out.extend_from_slice(
        itoa::Buffer::new()
            .format(facts::severity(alert.priority))
            .as_bytes(),
    );
    out.push(b'|');
    let mut extension = Extension { out, first: true };
    extension.number("rt", alert.time_ns / 1_000_000);
    extension.text("externalId", &alert.uuid().to_string());
    extension.text("deviceExternalId", &alert.instance.to_string());
    extension.text("dvchost", alert.hostname);
    extension.text("cat", &alert.tags.join(","));
    extension.text("msg", alert.message);
    if let Some(event) = alert.event {
        call(event, &mut extension);
    }
    extension.labelled("cn1", "sequence", &alert.sequence.to_string());
    extension.labelled("cs4", "source", alert.source);
    extension.labelled("cs5", "priority", alert.priority.as_str());
    let mut fields = Vec::new();
    facts::push_json(&Fields(alert.fields), &mut fields);
    extension.labelled("cs6", "outputFields", &String::from_utf8_lossy(&fields));
}

fn call(event: &Event, extension: &mut Extension<'_>) {
    extension.text("act", event.kind.name());
    extension.text("proto", "TCP");
    match event.kind {
        Kind::ConnectAttempt | Kind::ConnectOutcome => extension.number("deviceDirection", 1),
        Kind::Accept => extension.number("deviceDirection", 0),
        Kind::Listen => {}
    }
    match facts::outcome(event) {
        Outcome::Unknown => {}
        Outcome::Success => extension.text("outcome", "success"),
        Outcome::Failure(_) => extension.text("outcome", "failure"),
    }
    extension.text("reason", &facts::failure(event).unwrap_or_default());
    if let Some(client) = event.socket.client {
        end(client, &SOURCE, extension);
    }
    end(event.socket.server, &DESTINATION, extension);
    let side = if facts::connects(event) {
        &SOURCE
    } else {
        &DESTINATION
    };
    if let Some(actor) = event.actor() {
        process(event, actor, side, extension);
    }
}

fn end(end: Endpoint, side: &Side, extension: &mut Extension<'_>) {
    let ip = end.ip.to_string();
    match end.ip {
        IpAddr::V4(_) => extension.text(side.ip, &ip),
        IpAddr::V6(_) => extension.labelled(side.ip6.0, side.ip6.1, &ip),
    }
    if let Some(port) = facts::port(end) {
        extension.number(side.port, port.into());
    }
}

fn process(event: &Event, process: &Process, side: &Side, extension: &mut Extension<'_>) {
    extension.number(side.pid, process.pid.into());
    extension.text(side.process, &process.comm);
    extension.number(side.uid, process.uid.into());
    extension.text(side.user, facts::user_name(process).unwrap_or_default());
    extension.text("filePath", &process.exe.path);
    if let Some(parent) = process.ancestors.first() {
        extension.labelled("cn2", "parentPid", &parent.pid.to_string());
    }
    extension.labelled("cs1", "commandLine", &event.command_line());
    let container = process.container_id.as_deref().unwrap_or_default();
    extension.labelled("cs2", "containerId", container);
    extension.labelled("cs3", "podUid", process.pod_uid().unwrap_or_default());
}

/// Keys and values; what is empty is left out.
struct Extension<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl Extension<'_> {
    fn text(&mut self, key: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        if !std::mem::take(&mut self.first) {
            self.out.push(b' ');
        }
        self.out.extend_from_slice(key.as_bytes());
        self.out.push(b'=');
        push_value(value, limit(key), self.out);
    }

    fn number(&mut self, key: &str, value: u64) {
        self.text(key, itoa::Buffer::new().format(value));
    }

    /// A key of no meaning of its own, and what it stands for.
    fn labelled(&mut self, key: &str, label: &str, value: &str) {
        if !value.is_empty() {
            self.text(key, value);
            self.text(&format!("{key}Label"), label);
        }
    }
}

/// One line, whatever the text.
fn push_part(text: &str, limit: usize, out: &mut Vec<u8>) {
    each(text, limit, |next| match next {
        '\n' | '\r' => out.push(b' '),
        '\\' => out.extend_from_slice(b"\\\\"),
        '|' => out.extend_from_slice(b"\\|"),
        next => push(next, out),
    });
}

fn push_value(text: &str, limit: usize, out: &mut Vec<u8>) {
    each(text, limit, |next| match next {
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\\' => out.extend_from_slice(b"\\\\"),
        '=' => out.extend_from_slice(b"\\="),
        next => push(next, out),
    });
}

fn push(next: char, out: &mut Vec<u8>) {
    out.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
}

/// The characters of a text as they are shown, in so many bytes before they are escaped.
fn each(text: &str, limit: usize, mut push: impl FnMut(char)) {
    let room = limit.saturating_sub(CUT.len_utf8());
    let (mut length, mut end) = (0, 0);
    for (at, next) in text.char_indices() {
        length += shown(next).len_utf8();
        if length <= room {
            end = at + next.len_utf8();
        }
        if length > limit {
            let kept = text.get(..end).unwrap_or_default();
            kept.chars().map(shown).for_each(&mut push);
            return push(CUT);
        }
    }
    text.chars().map(shown).for_each(push);
}

/// The format has escapes for the ends of lines only: of other controls the pictures are shown, for
/// no receiver takes all of them as they are. Those above ASCII have none.
fn shown(next: char) -> char {
    let shown = match next {
        '\n' | '\r' => Some(next),
        '\0'..='\u{1f}' => char::from_u32(0x2400 + u32::from(next)),
        '\u{7f}' => Some('\u{2421}'),
        '\u{80}'..='\u{9f}' => None,
        next => Some(next),
    };
    shown.unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::sink::{
        Format,
        format::tests::{encode, event, hostile, odd},
    };

    struct Decoded {
        header: Vec<String>,
        extension: BTreeMap<String, String>,
    }

    /// As the format's description says, and nothing else: no escape but those, no key twice.
    fn decode(line: &str) -> Result<Decoded, String> {
        let mut rest = line.strip_prefix("CEF:0|").ok_or("no CEF:0")?.chars();
        let mut header = vec![String::new()];
        while header.len() < 7 {
            let part = header.last_mut().unwrap();
            match rest.next().ok_or("the header ends early")? {
                '|' => header.push(String::new()),
                '\\' => match rest.next() {
                    Some(next @ ('|' | '\\')) => part.push(next),
                    other => return Err(format!("{other:?} is escaped in the header")),
                },
                next if next.is_control() => return Err(format!("{next:?} in the header")),
                next => part.push(next),
            }
        }
        header.pop();
        let mut extension = BTreeMap::new();
        let mut last: Option<(String, String)> = None;
        let mut text = String::new();
        // A key is the word before an equals sign that is not escaped.
        while let Some(next) = rest.next() {
            match next {
                '=' => {
                    let (value, key) = match text.rsplit_once(' ') {
                        Some((value, key)) => (Some(value), key),
                        None => (None, text.as_str()),
                    };
                    if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric()) {
                        return Err(format!("{key:?} is no key"));
                    }
                    let before = last.replace((key.to_owned(), String::new()));
                    match (before, value) {
                        (Some((key, _)), Some(value)) => {
                            if extension.insert(key, value.to_owned()).is_some() {
                                return Err("a key comes twice".to_owned());
                            }
                        }
                        (None, None) => {}
                        _ => return Err("a value without a key".to_owned()),
                    }
                    text.clear();
                }
                '\\' => match rest.next() {
                    Some(next @ ('=' | '\\')) => text.push(next),
                    Some('n') => text.push('\n'),
                    Some('r') => text.push('\r'),
                    other => return Err(format!("{other:?} is escaped in the extension")),
                },
                next if next.is_control() => return Err(format!("{next:?} in the extension")),
                next => text.push(next),
            }
        }
        let (key, _) = last.ok_or("no extension")?;
        if extension.insert(key, text).is_some() {
            return Err("a key comes twice".to_owned());
        }
        Ok(Decoded { header, extension })
    }

    /// With the pictures of what has no escape.
    fn pictured(text: &str, ends: bool) -> String {
        let one = |next: char| match u32::from(next) {
            0x0a | 0x0d if ends => next,
            0x0a | 0x0d => ' ',
            low @ ..0x20 => char::from_u32(0x2400 + low).unwrap(),
            0x7f => '\u{2421}',
            0x80..=0x9f => '\u{fffd}',
            _ => next,
        };
        text.chars().map(one).collect()
    }

    /// JSON has escapes for the controls below these.
    fn above_json(text: &str) -> String {
        let one = |next: char| match next {
            '\u{7f}' => '\u{2421}',
            '\u{80}'..='\u{9f}' => '\u{fffd}',
            next => next,
        };
        text.chars().map(one).collect()
    }

    /// What is longer is told by its end.
    fn kept(text: String, limit: usize) -> String {
        if text.len() <= limit {
            return text;
        }
        let end = text.floor_char_boundary(limit - '…'.len_utf8());
        format!("{}…", text.get(..end).unwrap())
    }

    fn comes_back(text: &str) {
        for event in odd(text).iter().map(Some).chain([None]) {
            let line = encode(Format::Cef, text, event);
            let decoded = decode(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let name = kept(pictured(text, false), 512);
            assert_eq!(decoded.header.get(4).unwrap(), &name);
            let found = |key: &str| decoded.extension.get(key).cloned().unwrap_or_default();
            let value = pictured(text, true);
            assert_eq!(found("msg"), kept(value.clone(), 1023));
            assert_eq!(found("dvchost"), kept(value.clone(), 100));
            assert_eq!(found("cat"), kept(value, 1023));
            if !found("cs6").ends_with('…') {
                let fields: serde_json::Value = serde_json::from_str(&found("cs6")).unwrap();
                assert_eq!(fields["proc.name"], above_json(text));
            }
            if let Some(event) = event.filter(|event| event.actor().is_some()) {
                let command = pictured(&event.command_line(), true);
                assert_eq!(found("cs1"), kept(command, 4000));
                let path = pictured(&event.process.exe.path, true);
                assert_eq!(found("filePath"), kept(path, 1023));
            }
        }
    }

    #[test]
    fn hostile_texts_come_back() {
        hostile().iter().for_each(|text| comes_back(text));
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in "[ a=|\\\\\n\r\t\0\"n\u{80}-\u{a0}\u{fffd}\u{2028}]{0,40}|\\PC{0,40}") {
            comes_back(&text);
        }
    }

    #[test]
    fn a_value_is_cut_at_its_limit_between_two_characters_and_the_line_is_bounded() {
        for (letter, length) in [("=", 512), ("ä", 511), ("€", 510), ("\0", 510), ("🦀", 511)]
        {
            let text = letter.repeat(1 << 16);
            for event in odd(&text).iter().map(Some).chain([None]) {
                let line = encode(Format::Cef, &text, event);
                assert!(line.len() < 1 << 16, "{letter:?}: {}", line.len());
                let decoded = decode(&line).unwrap();
                let name = decoded.header.get(4).unwrap();
                assert!(
                    name.ends_with('…') && name.len() == length,
                    "{}",
                    name.len()
                );
                for (key, value) in &decoded.extension {
                    assert!(value.len() <= limit(key), "{key}");
                }
                assert!(decoded.extension["cs6"].ends_with('…'));
            }
        }
        // What just fits is whole.
        let text = "a".repeat(512);
        assert!(encode(Format::Cef, &text, None).contains(&format!("|{text}|")));
    }

    #[test]
    fn the_process_is_on_its_side() {
        for (kind, expected) in [
            (
                Kind::ConnectOutcome,
                [
                    ("sproc", "curl"),
                    ("reason", "ECONNREFUSED"),
                    ("deviceDirection", "1"),
                ],
            ),
            (
                Kind::Accept,
                [
                    ("dproc", "curl"),
                    ("src", "10.0.0.9"),
                    ("deviceDirection", "0"),
                ],
            ),
            (
                Kind::Listen,
                [("dproc", "curl"), ("dpt", "10250"), ("duser", "ann")],
            ),
        ] {
            let line = encode(Format::Cef, "rule", Some(&event(kind)));
            let decoded = decode(&line).unwrap();
            for (key, value) in expected {
                assert_eq!(decoded.extension.get(key).unwrap(), value, "{line}");
            }
        }
    }

    #[test]
    fn an_ipv6_address_has_keys_of_its_own() {
        let odd = odd("x");
        let line = encode(Format::Cef, "x", odd.first());
        let decoded = decode(&line).unwrap();
        assert_eq!(decoded.extension.get("c6a3").unwrap(), "fe80::1");
        assert_eq!(decoded.extension.get("dst"), None);
        assert_eq!(decoded.extension.get("dpt"), None, "0 is not known");
    }
}
