//! JSON straight into bytes: an alert's object has a fixed shape, and a line is made of every alert.

use std::io::Write as _;

use crate::alert::{Field, Value};

/// What a byte of a JSON string is written as (RFC 8259, section 7): as it is, by its number, or
/// behind a backslash.
const AS_IT_IS: u8 = 0;
const BY_NUMBER: u8 = b'u';
const ESCAPES: [u8; 256] = {
    let mut escapes = [AS_IT_IS; 256];
    let mut control = 0;
    while control < 0x20 {
        escapes[control] = BY_NUMBER;
        control += 1;
    }
    escapes[0x08] = b'b';
    escapes[0x09] = b't';
    escapes[0x0a] = b'n';
    escapes[0x0c] = b'f';
    escapes[0x0d] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

/// The inside of a string.
pub(super) fn escape(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    let escaped = |byte: &u8| ESCAPES.get(usize::from(*byte)).copied().unwrap_or(AS_IT_IS);
    while let Some(at) = rest.iter().position(|byte| escaped(byte) != AS_IT_IS) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, behind)) = special.split_first() else {
            return;
        };
        match escaped(byte) {
            BY_NUMBER => {
                let digit = |value: u8| {
                    if value < 10 {
                        b'0' + value
                    } else {
                        b'a' - 10 + value
                    }
                };
                out.extend_from_slice(b"\\u00");
                out.extend([digit(byte >> 4), digit(byte & 15)]);
            }
            letter => out.extend([b'\\', letter]),
        }
        rest = behind;
    }
    out.extend_from_slice(rest);
}

pub(super) fn text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text, out);
    out.push(b'"');
}

pub(super) fn unsigned(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

pub(super) fn texts(texts: &[String], out: &mut Vec<u8>) {
    sequence(b'[', texts, b']', out, |one, out| text(one, out));
}

pub(super) fn fields(fields: &[Field<'_>], out: &mut Vec<u8>) {
    sequence(b'{', fields, b'}', out, |field, out| {
        text(field.name, out);
        out.push(b':');
        match &field.value {
            Some(field) => value(field, out),
            None => out.extend_from_slice(b"null"),
        }
    });
}

fn value(value: &Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::Text(value) => text(value, out),
        Value::Signed(number) => {
            out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
        }
        Value::Unsigned(number) => unsigned(*number, out),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        // Writing to memory cannot fail.
        Value::Ip(ip) => drop(write!(out, "\"{ip}\"")),
        Value::List(items) => sequence(b'[', items, b']', out, |item, out| self::value(item, out)),
    }
}

fn sequence<T>(
    open: u8,
    items: &[T],
    close: u8,
    out: &mut Vec<u8>,
    each: impl Fn(&T, &mut Vec<u8>),
) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        each(item, out);
    }
    out.push(close);
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn texts_are_escaped_as_another_encoder_does() {
        let every: String = (0..=0x2ff).filter_map(char::from_u32).collect();
        for one in [
            "",
            "plain",
            "\"",
            "\\\\",
            "ends with \n",
            "\u{1f}é\u{7f}",
            &every,
        ] {
            let expected = serde_json::to_string(one).unwrap();
            assert_eq!(written(|out| text(one, out)), expected);
        }
    }

    #[test]
    fn values_keep_their_types() {
        let list = Value::List(vec![Value::Text("a\"".into()), Value::Signed(-1)]);
        let ip = Value::Ip(Ipv6Addr::LOCALHOST.into());
        let row = [
            ("a\"b", Some(list)),
            ("ip", Some(ip)),
            ("number", Some(Value::Unsigned(u64::MAX))),
            ("empty", Some(Value::List(Vec::new()))),
            ("yes", Some(Value::Bool(true))),
            ("no", Some(Value::Bool(false))),
            ("missing", None),
        ];
        let row = row.map(|(name, value)| Field { name, value });
        let expected = r#"{"a\"b":["a\"",-1],"ip":"::1","number":18446744073709551615,"empty":[],"yes":true,"no":false,"missing":null}"#;
        assert_eq!(written(|out| fields(&row, out)), expected);
        assert_eq!(written(|out| fields(&[], out)), "{}");
    }
}
