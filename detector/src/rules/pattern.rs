//! Globs as fnmatch(3) without flags, and Falco's path prefixes (`pmatch`).

use std::sync::Arc;

use super::automaton::Automaton;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// `*`
    Run,
    /// `?`
    One,
    Byte(u8),
    Set(Bytes),
}

/// A set of bytes, one bit for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Bytes([u64; 4]);

impl Bytes {
    fn contains(self, byte: u8) -> bool {
        let word = self.0.get(usize::from(byte >> 6));
        word.is_some_and(|word| word >> (byte & 63) & 1 == 1)
    }

    fn insert(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }

    fn without(mut self, byte: u8) -> Self {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word &= !(1 << (byte & 63));
        }
        self
    }

    fn range(&mut self, low: u8, high: u8, fold: bool) {
        for byte in low..=high {
            self.insert(byte);
            if fold {
                self.insert(byte.to_ascii_lowercase());
                self.insert(byte.to_ascii_uppercase());
            }
        }
    }

    fn regex(self) -> String {
        let members = (0..=u8::MAX).filter(|byte| self.contains(*byte));
        let members: String = members.map(|byte| format!("\\x{byte:02x}")).collect();
        if members.is_empty() {
            return "[^\\x00-\\xff]".to_owned();
        }
        format!("(?-i:[{members}])")
    }
}

impl Token {
    fn accepts(&self, byte: u8, fold: bool) -> bool {
        match self {
            Self::Run => false,
            Self::One => true,
            Self::Byte(own) if fold => own.eq_ignore_ascii_case(&byte),
            Self::Byte(own) => *own == byte,
            Self::Set(bytes) => bytes.contains(byte),
        }
    }

    fn regex(&self, component: bool) -> String {
        let any = if component { "[^/]" } else { "." };
        match self {
            Self::Run => format!("{any}*"),
            Self::One => any.to_owned(),
            Self::Byte(byte) => format!("\\x{byte:02x}"),
            Self::Set(bytes) if component => bytes.without(b'/').regex(),
            Self::Set(bytes) => bytes.regex(),
        }
    }
}

/// `*` and `?` match `/` and a leading dot too; the whole text must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    tokens: Vec<Token>,
    fold: bool,
}

impl Glob {
    pub fn new(pattern: &str, fold: bool) -> Self {
        let mut tokens = Vec::new();
        let mut rest = pattern.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            match first {
                b'*' if tokens.last() == Some(&Token::Run) => {}
                b'*' => tokens.push(Token::Run),
                b'?' => tokens.push(Token::One),
                b'\\' => {
                    let (byte, after) = after.split_first().unwrap_or((&b'\\', &[]));
                    tokens.push(Token::Byte(*byte));
                    rest = after;
                }
                b'[' => match set(after, fold) {
                    Some((token, after)) => {
                        tokens.push(token);
                        rest = after;
                    }
                    None => tokens.push(Token::Byte(b'[')),
                },
                byte => tokens.push(Token::Byte(*byte)),
            }
        }
        Self { tokens, fold }
    }

    /// Goes back to the last `*` only: time is at most the product of both lengths.
    pub fn matches(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let (mut token, mut at) = (0, 0);
        let mut retry = None;
        while at < text.len() || token < self.tokens.len() {
            match (self.tokens.get(token), text.get(at)) {
                (Some(Token::Run), _) => {
                    retry = Some((token, at + 1));
                    token += 1;
                    continue;
                }
                (Some(one), Some(byte)) if one.accepts(*byte, self.fold) => {
                    token += 1;
                    at += 1;
                    continue;
                }
                _ => {}
            }
            match retry {
                Some((run, next)) if next <= text.len() => {
                    (token, at) = (run + 1, next);
                    retry = Some((run, next + 1));
                }
                _ => return false,
            }
        }
        true
    }

    /// A regex of bytes, without the case.
    pub(super) fn regex(&self) -> String {
        self.tokens.iter().map(|token| token.regex(false)).collect()
    }

    /// The same for one component of a path: it is not empty, and none of it matches a slash.
    pub(super) fn component_regex(&self) -> String {
        if self.tokens == [Token::Run] {
            return "[^/]+".to_owned();
        }
        self.tokens.iter().map(|token| token.regex(true)).collect()
    }

    fn literal(&self) -> Option<Vec<u8>> {
        let byte = |token: &Token| match token {
            Token::Byte(byte) => Some(*byte),
            _ => None,
        };
        self.tokens.iter().map(byte).collect()
    }
}

/// What follows `[`; nothing if it is never closed, and then `[` is itself.
fn set(text: &[u8], fold: bool) -> Option<(Token, &[u8])> {
    let (negated, mut rest) = match text.split_first() {
        Some((b'!' | b'^', rest)) => (true, rest),
        _ => (false, text),
    };
    let mut bytes = Bytes::default();
    let mut first = true;
    loop {
        let (next, after) = rest.split_first()?;
        if *next == b']' && !first {
            if negated {
                bytes = Bytes(bytes.0.map(|word| !word));
            }
            return Some((Token::Set(bytes), after));
        }
        first = false;
        match (next, after) {
            (b'[', [b':', name @ ..]) => {
                let end = name.windows(2).position(|pair| pair == b":]")?;
                let is_member = class(name.get(..end)?)?;
                // Of the text as it is, whatever the case.
                for byte in (0..=u8::MAX).filter(is_member) {
                    bytes.insert(byte);
                }
                rest = name.get(end + 2..)?;
                continue;
            }
            (b'[', [b'=', one, b'=', b']', after @ ..]) => {
                bytes.range(*one, *one, fold);
                rest = after;
                continue;
            }
            _ => {}
        }
        let (low, after) = member(*next, after)?;
        match after {
            [b'-', high, after @ ..] if *high != b']' => {
                let (high, after) = member(*high, after)?;
                bytes.range(low, high, fold);
                rest = after;
            }
            _ => {
                bytes.range(low, low, fold);
                rest = after;
            }
        }
    }
}

fn member(first: u8, after: &[u8]) -> Option<(u8, &[u8])> {
    match (first, after) {
        (b'\\', _) => after.split_first().map(|(byte, after)| (*byte, after)),
        (b'[', [b'.', one, b'.', b']', after @ ..]) => Some((*one, after)),
        _ => Some((first, after)),
    }
}

fn class(name: &[u8]) -> Option<fn(&u8) -> bool> {
    Some(match name {
        b"alpha" => u8::is_ascii_alphabetic,
        b"digit" => u8::is_ascii_digit,
        b"alnum" => u8::is_ascii_alphanumeric,
        b"lower" => u8::is_ascii_lowercase,
        b"upper" => u8::is_ascii_uppercase,
        b"space" => |byte| matches!(byte, b'\t'..=b'\r' | b' '),
        b"blank" => |byte| matches!(byte, b'\t' | b' '),
        b"cntrl" => u8::is_ascii_control,
        b"graph" => u8::is_ascii_graphic,
        b"print" => |byte| byte.is_ascii_graphic() || *byte == b' ',
        b"xdigit" => u8::is_ascii_hexdigit,
        b"punct" => u8::is_ascii_punctuation,
        _ => return None,
    })
}

/// Paths of which one must be a prefix, component by component; slashes at the ends do not count.
#[derive(Debug, Clone, Default)]
pub struct Prefixes {
    /// Without a pattern in any component, sorted: found by search.
    plain: std::collections::BTreeSet<String>,
    globs: Vec<Vec<Glob>>,
    /// Of the globs, where they are many.
    automaton: Option<Arc<Automaton>>,
}

fn components(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty())
}

impl Prefixes {
    pub fn new<'a>(patterns: impl Iterator<Item = &'a str>) -> Self {
        let mut prefixes = Self::default();
        for pattern in patterns {
            let globs: Vec<Glob> = components(pattern)
                .map(|part| Glob::new(part, false))
                .collect();
            let literal: Option<Vec<Vec<u8>>> = globs.iter().map(Glob::literal).collect();
            match literal.and_then(|parts| String::from_utf8(parts.join(&b'/')).ok()) {
                Some(path) => {
                    prefixes.plain.insert(path);
                }
                None => prefixes.globs.push(globs),
            }
        }
        prefixes.automaton = Automaton::holding(&prefixes.globs).map(Arc::new);
        prefixes
    }

    /// The paths, without slashes at their ends; nothing if a pattern is among them.
    pub fn plain(&self) -> Option<impl Iterator<Item = &str>> {
        self.globs
            .is_empty()
            .then(|| self.plain.iter().map(String::as_str))
    }

    pub fn matches(&self, path: &str) -> bool {
        if let Some(automaton) = &self.automaton {
            return self.plain_matches(path) || automaton.matches(path);
        }
        self.plain_matches(path)
            || self.globs.iter().any(|globs| {
                let mut parts = components(path);
                globs
                    .iter()
                    .all(|glob| parts.next().is_some_and(|part| glob.matches(part)))
            })
    }

    fn plain_matches(&self, path: &str) -> bool {
        if self.plain.is_empty() {
            return false;
        }
        // Paths are nearly always normal: then each prefix is a slice and nothing is copied.
        let trimmed = path.trim_matches('/');
        if trimmed.contains("//") {
            let parts: Vec<&str> = components(trimmed).collect();
            return self.has_prefix_of(&parts.join("/"));
        }
        self.has_prefix_of(trimmed)
    }

    fn has_prefix_of(&self, path: &str) -> bool {
        let slashes = path.match_indices('/').map(|(at, _)| at);
        std::iter::once(0)
            .chain(slashes)
            .chain([path.len()])
            .filter_map(|end| path.get(..end))
            .any(|prefix| self.plain.contains(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_fnmatch() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a*c", "a/b/c", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcdef", false),
            ("?", "/", true),
            ("?", "", false),
            ("*.conf", ".conf", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[a", "[a", true),
            ("[[:digit:]]", "7", true),
            ("[[:blank:][:cntrl:]]", "\t", true),
            ("[[:graph:]]", "a", true),
            ("[[:print:]]", " ", true),
            ("[[=c=]]", "c", true),
            ("[[.a.]-d]", "c", true),
            ("[a-[.d.]]", "c", true),
            ("[[=c]", "=", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("A", "a", false),
        ] {
            assert_eq!(
                Glob::new(pattern, false).matches(text),
                expected,
                "{pattern} {text}"
            );
        }
        assert!(Glob::new("A[b-c]?", true).matches("aCd"));
        assert!(!Glob::new("[[:upper:]]", true).matches("a"));
        assert!(!Glob::new("[!C]", true).matches("c"));
        let hard = Glob::new(&"*a".repeat(40), false);
        assert!(!hard.matches(&"a".repeat(39)));
    }

    #[test]
    fn path_prefixes_go_by_component() {
        let check =
            |patterns: &[&str], path: &str| Prefixes::new(patterns.iter().copied()).matches(path);
        for (pattern, path, expected) in [
            ("/sbin", "/sbin/init", true),
            ("sbin/", "/sbin/init", true),
            ("/sb", "/sbin/init", false),
            ("/sbin/init", "/sbin", false),
            ("/sbin/init", "//sbin//init/", true),
            ("/*/init", "/sbin/init", true),
            ("/s?in", "/sbin/init", true),
            ("/[a-c]in", "/bin/sh", true),
            ("/", "/anything", true),
            ("/a", "", false),
        ] {
            assert_eq!(check(&[pattern], path), expected, "{pattern} {path}");
        }
        assert!(check(&["/x", "/etc", "/y/*"], "/etc/passwd"));
        assert!(!check(&[], "/etc"));
    }
}
