//! Regexes as RE2 reads them in its POSIX syntax, written anew for the engine that matches them
//! here: `{` may be itself, `[` within a class is itself, `a+?` is `(a+)?`, and there are no Perl
//! classes, flags or groups.

use std::{fmt::Write, iter::Peekable, str::Chars};

/// RE2's, of one repetition and of those within each other.
const MAX_REPEAT: u32 = 1000;
const MAX_CODE: u32 = 0x10_ffff;

/// Names within `[: :]`.
const CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

type Read<'t> = Peekable<Chars<'t>>;
type Mistake = String;

/// What a repetition can follow.
#[derive(Clone, Copy)]
struct Atom {
    /// Where it begins in what is written.
    start: usize,
    /// How often the most repeated part of it is.
    repeated: u32,
    repetition: Repetition,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Repetition {
    None,
    Sign(char),
    Counted,
}

struct Group {
    start: usize,
    repeated: u32,
}

/// At most how many characters the pattern has with its repetitions written out.
pub(super) fn weight(pattern: &str) -> usize {
    let repeated = written(pattern).map_or(1, |writer| writer.repeated);
    let repeated = usize::try_from(repeated).unwrap_or(usize::MAX);
    pattern.len().saturating_mul(repeated.max(1))
}

/// The pattern in the syntax of the crate `regex`, or what is wrong with it.
pub(super) fn translated(pattern: &str) -> Result<String, Mistake> {
    written(pattern)?.finish()
}

fn written(pattern: &str) -> Result<Writer, Mistake> {
    let mut writer = Writer::default();
    let mut rest = pattern.chars().peekable();
    while let Some(sign) = rest.next() {
        match sign {
            '(' => writer.open(),
            ')' => writer.close()?,
            '|' => writer.or(),
            '*' | '+' | '?' => writer.sign(sign)?,
            '{' => match counted(&rest) {
                Some((least, most, after)) => {
                    rest = after;
                    writer.counted(least, most)?;
                }
                None => writer.literal(u32::from('{')),
            },
            // Of each line: RE2 has no other meaning in this syntax.
            '^' => writer.atom("(?m:^)"),
            '$' => writer.atom("(?m:$)"),
            '.' => writer.atom("."),
            '[' => {
                let class = class(&mut rest)?;
                writer.atom(&class);
            }
            '\\' => writer.literal(escape(&mut rest)?),
            literal => writer.literal(u32::from(literal)),
        }
    }
    Ok(writer)
}

#[derive(Default)]
struct Writer {
    text: String,
    groups: Vec<Group>,
    last: Option<Atom>,
    /// Of the group that is open.
    repeated: u32,
}

impl Writer {
    fn atom(&mut self, text: &str) {
        self.last = Some(Atom {
            start: self.text.len(),
            repeated: 1,
            repetition: Repetition::None,
        });
        self.text.push_str(text);
    }

    fn literal(&mut self, code: u32) {
        let mut text = String::new();
        match char::from_u32(code) {
            Some(literal) => text.push_str(&regex::escape(literal.encode_utf8(&mut [0; 4]))),
            // No text has half of a pair.
            None => text.push_str(NOTHING),
        }
        self.atom(&text);
    }

    fn open(&mut self) {
        self.groups.push(Group {
            start: self.text.len(),
            repeated: self.repeated,
        });
        self.text.push_str("(?:");
        self.repeated = 1;
        self.last = None;
    }

    fn close(&mut self) -> Result<(), Mistake> {
        let Some(group) = self.groups.pop() else {
            return Err("a `)` without a `(` before it".to_owned());
        };
        self.text.push(')');
        self.last = Some(Atom {
            start: group.start,
            repeated: self.repeated,
            repetition: Repetition::None,
        });
        self.repeated = self.repeated.max(group.repeated);
        Ok(())
    }

    fn or(&mut self) {
        self.text.push('|');
        self.last = None;
    }

    fn repeatable(&mut self, written: &str) -> Result<Atom, Mistake> {
        let missing = || format!("nothing stands before `{written}` that it could repeat");
        self.last.ok_or_else(missing)
    }

    /// Signs behind each other accept what one of them does: `a+?` is `(a+)?`, which is `a*`.
    fn sign(&mut self, sign: char) -> Result<(), Mistake> {
        let mut atom = self.repeatable(sign.encode_utf8(&mut [0; 4]))?;
        let before = atom.repetition;
        atom.repetition = Repetition::Sign(match before {
            Repetition::Sign(before) if before != sign => '*',
            _ => sign,
        });
        match before {
            Repetition::Sign(_) => {
                self.text.pop();
            }
            Repetition::Counted => self.wrap(atom),
            Repetition::None => {}
        }
        if let Repetition::Sign(sign) = atom.repetition {
            self.text.push(sign);
        }
        self.last = Some(atom);
        Ok(())
    }

    fn counted(&mut self, least: u32, most: Option<u32>) -> Result<(), Mistake> {
        let written = match most {
            Some(most) if most == least => format!("{{{least}}}"),
            Some(most) => format!("{{{least},{most}}}"),
            None => format!("{{{least},}}"),
        };
        let size = most.unwrap_or(least);
        let wrong = || format!("invalid repetition `{written}`: at most {MAX_REPEAT} in all");
        if least.max(size) > MAX_REPEAT || size < least {
            return Err(wrong());
        }
        let mut atom = self.repeatable(&written)?;
        atom.repeated = atom.repeated.saturating_mul(size.max(1));
        if atom.repeated > MAX_REPEAT {
            return Err(wrong());
        }
        if atom.repetition != Repetition::None {
            self.wrap(atom);
        }
        atom.repetition = Repetition::Counted;
        self.text.push_str(&written);
        self.repeated = self.repeated.max(atom.repeated);
        self.last = Some(atom);
        Ok(())
    }

    fn wrap(&mut self, atom: Atom) {
        self.text.insert_str(atom.start, "(?:");
        self.text.push(')');
    }

    fn finish(self) -> Result<String, Mistake> {
        if self.groups.is_empty() {
            return Ok(self.text);
        }
        Err("a `(` is not closed".to_owned())
    }
}

const NOTHING: &str = r"[^\x{0}-\x{10FFFF}]";

/// What follows a `{`; nothing if it is no repetition, and then the `{` is itself.
fn counted<'t>(rest: &Read<'t>) -> Option<(u32, Option<u32>, Read<'t>)> {
    let mut rest = rest.clone();
    let least = number(&mut rest)?;
    let most = if rest.next_if_eq(&',').is_some() {
        match rest.peek()? {
            '}' => None,
            _ => Some(number(&mut rest)?),
        }
    } else {
        Some(least)
    };
    rest.next_if_eq(&'}')?;
    Some((least, most, rest))
}

/// Without a zero before it.
fn number(rest: &mut Read<'_>) -> Option<u32> {
    let mut digits = String::new();
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    if digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    digits.parse().ok().filter(|number| *number < 1_000_000_000)
}

/// What follows a `[`.
fn class(rest: &mut Read<'_>) -> Result<String, Mistake> {
    let open = || "a `[` is not closed".to_owned();
    let negated = rest.next_if_eq(&'^').is_some();
    let mut members = String::new();
    let mut first = true;
    loop {
        match rest.peek().ok_or_else(open)? {
            ']' if !first => {
                rest.next();
                break;
            }
            '-' if !first => {
                let mut after = rest.clone();
                after.next();
                let after = after.next().ok_or_else(open)?;
                if after != ']' {
                    return Err(format!("`-{after}` in a class: `-` stands first or last"));
                }
            }
            _ => {}
        }
        first = false;
        if let Some(name) = named(rest) {
            let known = name.strip_prefix('^').unwrap_or(&name);
            if !CLASSES.contains(&known) {
                return Err(format!("`[:{name}:]` is no class of characters"));
            }
            let _ = write!(members, "[:{name}:]");
            continue;
        }
        let low = member(rest)?.ok_or_else(open)?;
        let mut high = low;
        let mut after = rest.clone();
        if after.next() == Some('-') && after.peek().is_some_and(|next| *next != ']') {
            *rest = after;
            high = member(rest)?.ok_or_else(open)?;
        }
        if high < low {
            let shown = |code: u32| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            let (low, high) = (shown(low), shown(high));
            return Err(format!("the range `{low}-{high}` is the wrong way round"));
        }
        let halves = 0xd800..=0xdfff;
        let low = if halves.contains(&low) { 0xe000 } else { low };
        let high = if halves.contains(&high) { 0xd7ff } else { high };
        if low <= high {
            let _ = write!(members, r"\x{{{low:X}}}-\x{{{high:X}}}");
        }
    }
    Ok(match (members.is_empty(), negated) {
        (false, _) => format!("[{}{members}]", if negated { "^" } else { "" }),
        (true, false) => NOTHING.to_owned(),
        (true, true) => "(?s:.)".to_owned(),
    })
}

/// `alpha` of `[:alpha:]`; nothing if it is not closed.
fn named(rest: &mut Read<'_>) -> Option<String> {
    let mut after = rest.clone();
    after.next_if_eq(&'[')?;
    after.next_if_eq(&':')?;
    let mut name = String::new();
    loop {
        match after.next()? {
            ':' if after.next_if_eq(&']').is_some() => {
                *rest = after;
                return Some(name);
            }
            sign => name.push(sign),
        }
    }
}

fn member(rest: &mut Read<'_>) -> Result<Option<u32>, Mistake> {
    match rest.next() {
        None => Ok(None),
        Some('\\') => escape(rest).map(Some),
        Some(literal) => Ok(Some(u32::from(literal))),
    }
}

/// What follows a backslash.
fn escape(rest: &mut Read<'_>) -> Result<u32, Mistake> {
    let Some(sign) = rest.next() else {
        return Err("nothing stands behind the last backslash".to_owned());
    };
    let unknown = || format!("`\\{sign}` is no POSIX regex syntax");
    Ok(match sign {
        'a' => 7,
        'f' => 12,
        'n' => 10,
        'r' => 13,
        't' => 9,
        'v' => 11,
        '0'..='7' => octal(sign, rest).ok_or_else(unknown)?,
        'x' => hexadecimal(rest).ok_or_else(unknown)?,
        sign if sign.is_ascii() && !sign.is_ascii_alphanumeric() && sign != '_' => u32::from(sign),
        _ => return Err(unknown()),
    })
}

/// Three digits at most; one alone but `\0` would be a backreference.
fn octal(first: char, rest: &mut Read<'_>) -> Option<u32> {
    let mut code = first.to_digit(8)?;
    let mut digits = 1;
    while digits < 3
        && let Some(digit) = rest.peek().and_then(|digit| digit.to_digit(8))
    {
        rest.next();
        code = code * 8 + digit;
        digits += 1;
    }
    (digits > 1 || first == '0').then_some(code)
}

/// `41` or `{41}`.
fn hexadecimal(rest: &mut Read<'_>) -> Option<u32> {
    if rest.next_if_eq(&'{').is_none() {
        let high = rest.next()?.to_digit(16)?;
        return Some(high * 16 + rest.next()?.to_digit(16)?);
    }
    let mut code = rest.next()?.to_digit(16)?;
    loop {
        match rest.next()? {
            '}' => return Some(code),
            digit => code = code * 16 + digit.to_digit(16)?,
        }
        if code > MAX_CODE {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::translated;

    #[test]
    fn patterns_mean_what_they_mean_to_re2() {
        for (pattern, text, expected) in [
            ("a{", "a{", true),
            ("{x}", "{x}", true),
            ("a{,2}", "a{,2}", true),
            ("a{01}", "a{01}", true),
            ("a{2}", "aa", true),
            ("a{1,}b", "aab", true),
            ("a{2}{2}", "aaaa", true),
            ("a{2}?", "", true),
            ("a+?", "", true),
            ("a??", "a", true),
            ("a?+", "aa", true),
            ("(ab)**", "abab", true),
            ("[[]", "[", true),
            ("[]a]", "]", true),
            ("[^]a]", "b", true),
            ("[a&&b]", "&", true),
            ("[a~~b]", "~", true),
            ("[-a]", "-", true),
            ("[a-]", "-", true),
            ("[[:digit:][:upper:]]", "7", true),
            ("[[:^digit:]]", "7", false),
            ("[[:foo]", ":", true),
            (r"\<a\>", "<a>", true),
            (r"\0", "\0", true),
            (r"\101", "A", true),
            (r"\x41\x{42}", "AB", true),
            (r"[\x41-\103]", "C", true),
            (r"\x{d800}", "a", false),
            (r"[^\x{d800}]", "a", true),
            ("()", "", true),
            ("a||b", "", true),
            ("a.b", "a\nb", false),
            ("a[^b]b", "a\nb", true),
            ("a$[^b]^b", "a\nb", true),
            ("^*a", "a", true),
        ] {
            let translated = translated(pattern).unwrap();
            let regex = regex::Regex::new(&format!(r"\A(?:{translated})\z")).unwrap();
            assert_eq!(regex.is_match(text), expected, "{pattern}: {translated}");
        }
    }

    #[test]
    fn what_re2_refuses_is_refused() {
        for pattern in [
            "*",
            "(*a)",
            "a|+",
            "{2}",
            "(",
            ")",
            "a)(b",
            "(?i)a",
            "(?:a)",
            "[",
            "[a",
            "[]",
            "[a-",
            "[a--b]",
            "[a-z-9]",
            "[b-a]",
            "[[:foo:]]",
            "\\",
            r"\d",
            r"\w",
            r"\b",
            r"\pL",
            r"\A",
            r"\z",
            r"\u0041",
            r"\1",
            r"\8",
            r"\_",
            r"\x4",
            r"\x{}",
            r"\x{110000}",
            r"\é",
            r"[\d]",
            "a{1001}",
            "a{2,1}",
            "(a{100}){11}",
            "a{40}{40}",
            "((a{10}|b){10}){11}",
        ] {
            assert!(translated(pattern).is_err(), "{pattern}");
        }
    }
}
