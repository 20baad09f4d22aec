//! JSON straight into bytes: an alert's object has a fixed shape, and a line is made of every alert.

use crate::alert::{Field, Value};

/// What stands behind the backslash for a byte of a string (RFC 8259, section 7); nothing for one
/// that is written as it is.
fn escaped(byte: u8) -> Option<u8> {
    Some(match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        ..0x20 => b'u',
        _ => return None,
    })
}

/// Whether every byte is written as it is: eight are looked at at once.
fn is_plain(bytes: [u8; 8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = ONES << 7;
    // The high bits of bytes less than `limit`; set in others only above one that is less.
    let less = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
    let equal = |word: u64, byte: u8| less(word ^ (ONES * u64::from(byte)), 1);
    let word = u64::from_le_bytes(bytes);
    less(word, 0x20) | equal(word, b'"') | equal(word, b'\\') == 0
}

/// The inside of a string.
pub(super) fn escape(text: &str, out: &mut Vec<u8>) {
    let (words, rest) = text.as_bytes().as_chunks::<8>();
    for word in words {
        if is_plain(*word) {
            out.extend_from_slice(word);
        } else {
            word.iter().for_each(|byte| escape_byte(*byte, out));
        }
    }
    let mut last = [b' '; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    if is_plain(last) {
        out.extend_from_slice(rest);
    } else {
        rest.iter().for_each(|byte| escape_byte(*byte, out));
    }
}

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    let Some(letter) = escaped(byte) else {
        return out.push(byte);
    };
    out.extend_from_slice(&[b'\\', letter]);
    if letter == b'u' {
        let digit = |value: u8| match value {
            ..10 => b'0' + value,
            _ => b'a' - 10 + value,
        };
        out.extend_from_slice(&[b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
    }
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
        out.extend_from_slice(field.name.key().as_bytes());
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
        Value::Double(number) if number.is_finite() => {
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::Double(_) => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Ip(_) => {
            // An address has nothing to escape.
            let mut digits = String::with_capacity(40);
            value.push_to(&mut digits);
            text(&digits, out);
        }
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
    use crate::alert::Name;

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
        let row = row.map(|(name, value)| (Name::new(name), value));
        let row: Vec<Field<'_>> = row
            .iter()
            .map(|(name, value)| Field {
                name,
                value: value.clone(),
            })
            .collect();
        let expected = r#"{"a\"b":["a\"",-1],"ip":"::1","number":18446744073709551615,"empty":[],"yes":true,"no":false,"missing":null}"#;
        assert_eq!(written(|out| fields(&row, out)), expected);
        assert_eq!(written(|out| fields(&[], out)), "{}");
    }
}
