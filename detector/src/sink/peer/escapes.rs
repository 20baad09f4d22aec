//! A text as it may be written within another: in JSON, in a URL, in HTML, and in two of these at once.

use std::ops::Range;

/// In so many of them at once.
const DEPTH: usize = 2;
/// Letters of a character reference of HTML: `&#x10FFFF;`.
const REFERENCE: usize = 10;

/// A letter, and which bytes of the text say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) letter: char,
    pub(super) bytes: Range<usize>,
}

/// What a text may say: first as it is, then each way to read it that comes to something else.
pub(super) fn readings(text: &str) -> Vec<Vec<Letter>> {
    let plain = text.char_indices().map(|(at, letter)| Letter {
        letter,
        bytes: at..at + letter.len_utf8(),
    });
    let mut all = vec![plain.collect::<Vec<_>>()];
    let mut last = all.clone();
    for _ in 0..DEPTH {
        let ways = [json, percent, html].into_iter();
        last = ways
            .flat_map(|escape| last.iter().filter_map(move |read| undone(read, escape)))
            .collect();
        all.extend_from_slice(&last);
    }
    all
}

/// The letter that a text begins with, if it is escaped, and by how many letters.
type Escape = fn(&[Letter]) -> Option<(char, usize)>;

/// None if nothing is escaped.
fn undone(text: &[Letter], escape: Escape) -> Option<Vec<Letter>> {
    let (mut read, mut rest, mut any) = (Vec::new(), text, false);
    while let Some(first) = rest.first() {
        let escaped = escape(rest);
        any |= escaped.is_some();
        let (letter, count) = escaped.unwrap_or((first.letter, 1));
        let (said, after) = rest.split_at_checked(count)?;
        let end = said.last().map_or(first.bytes.end, |last| last.bytes.end);
        read.push(Letter {
            letter,
            bytes: first.bytes.start..end,
        });
        rest = after;
    }
    any.then_some(read)
}

/// RFC 8259, section 7.
fn json(text: &[Letter]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let written = text.get(at..at + 6)?;
        let begins = written.first()?.letter == '\\' && written.get(1)?.letter == 'u';
        begins.then(|| number(written.get(2..)?, 16)).flatten()
    };
    if text.first()?.letter != '\\' {
        return None;
    }
    let letter = match text.get(1)?.letter {
        'u' => {
            let first = unit(0)?;
            if let Some(letter) = char::from_u32(first) {
                return Some((letter, 6));
            }
            let both = [first, unit(6)?].map(|unit| u16::try_from(unit).unwrap_or_default());
            let letter = char::decode_utf16(both).next()?.ok()?;
            return Some((letter, 12));
        }
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{c}',
        other => other,
    };
    Some((letter, 2))
}

/// RFC 3986, section 2.1, of UTF-8.
fn percent(text: &[Letter]) -> Option<(char, usize)> {
    let byte = |at: usize| {
        let written = text.get(at..at + 3)?;
        let begins = written.first()?.letter == '%';
        let byte = begins.then(|| number(written.get(1..)?, 16)).flatten()?;
        u8::try_from(byte).ok()
    };
    let bytes: Vec<u8> = (0..4).map_while(|at| byte(3 * at)).collect();
    let length = (1..=bytes.len())
        .find(|length| std::str::from_utf8(bytes.get(..*length).unwrap_or_default()).is_ok())?;
    let letter = std::str::from_utf8(bytes.get(..length)?).ok()?;
    Some((letter.chars().next()?, 3 * length))
}

/// Those that every program writes: <https://html.spec.whatwg.org/#escapingString>, and numbers.
fn html(text: &[Letter]) -> Option<(char, usize)> {
    if text.first()?.letter != '&' {
        return None;
    }
    let end = text
        .iter()
        .take(REFERENCE)
        .position(|it| it.letter == ';')?;
    let name = text.get(1..end)?;
    let letter = match &*name.iter().map(|it| it.letter).collect::<String>() {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        number_of if number_of.starts_with("#x") || number_of.starts_with("#X") => {
            char::from_u32(number(name.get(2..)?, 16)?)?
        }
        number_of if number_of.starts_with('#') => char::from_u32(number(name.get(1..)?, 10)?)?,
        _ => return None,
    };
    Some((letter, end + 1))
}

fn number(digits: &[Letter], radix: u32) -> Option<u32> {
    let mut number = 0u32;
    for digit in digits {
        number = number
            .checked_mul(radix)?
            .checked_add(digit.letter.to_digit(radix)?)?;
    }
    (!digits.is_empty()).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<String> {
        let readings = readings(text).into_iter();
        readings
            .map(|read| read.iter().map(|it| it.letter).collect())
            .collect()
    }

    #[test]
    fn each_escape_is_read() {
        for (text, expected) in [
            (r"a\/b", "a/b"),
            (r#"a\"\\b"#, r#"a"\b"#),
            (r"\u0026\u002B\u002b\u00e4\ud83d\ude00", "&++ä😀"),
            ("%2B%2f%C3%A4%F0%9F%98%80", "+/ä😀"),
            ("&amp;&lt;&gt;&quot;&apos;&#39;&#x2B;&#xe4;", "&<>\"''+ä"),
            (r"a\\\/b", "a/b"),
            (r"a\\u0026b", "a&b"),
            ("a%252Fb", "a/b"),
            (r"a\u0026amp;b", "a&b"),
        ] {
            assert!(said(text).iter().any(|it| it == expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_escape_stays() {
        for text in [
            "",
            "plain",
            "100%",
            "%zz",
            "%C3",
            "%FF",
            "&",
            "&amp",
            "&nothing;",
            "&#;",
            "&#x110000;",
            "\\",
        ] {
            assert_eq!(said(text), [text], "{text}");
        }
        assert_eq!(said(r"\u00"), [r"\u00"]);
        assert_eq!(said(r"\ud83d\u0041"), [r"\ud83d\u0041", r"\ud83dA"]);
    }

    #[test]
    fn a_letter_knows_its_bytes() {
        let all = readings("ä%C3%A4b");
        let bytes = |read: &[Letter]| read.iter().map(|it| it.bytes.clone()).collect::<Vec<_>>();
        assert_eq!(bytes(&all[1]), [0..2, 2..8, 8..9]);
    }
}
