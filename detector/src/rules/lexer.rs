//! The tokens of conditions and output templates. Which token may come depends on what came
//! before (a bare word may hold `<` or `.`), so that the parser asks for the one it wants.
//! Falco: `userspace/libsinsp/filter/parser.cpp`, `escaping.cpp`.

use super::ast::Span;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    pub message: String,
    pub span: Span,
    pub help: Option<String>,
}

impl SyntaxError {
    pub fn new(message: impl Into<String>, span: Span) -> Self {
        Self {
            message: message.into(),
            span,
            help: None,
        }
    }

    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A reading position in a text. Each method takes its token if it is next, and else nothing.
#[derive(Debug, Clone)]
pub struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

pub fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\u{8}' | '\r' | '\n')
}

/// Ends a bare word.
fn is_reserved(character: char) -> bool {
    matches!(character, '(' | ')' | '"' | '\'' | '=' | ',')
        || character.is_ascii_whitespace()
        || character == '\u{b}'
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub fn position(&self) -> usize {
        self.at
    }

    pub fn rewind(&mut self, at: usize) {
        self.at = at;
    }

    pub fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub fn at_end(&self) -> bool {
        self.rest().is_empty()
    }

    pub fn since(&self, start: usize) -> Span {
        start..self.at
    }

    /// What was read, and what is left.
    pub fn around(&self) -> (&'a str, &'a str) {
        (self.text.get(..self.at).unwrap_or_default(), self.rest())
    }

    /// The word that stands here, for a message to underline; at the end the last one.
    pub fn here(&self) -> Span {
        let (before, rest) = self.around();
        if rest.is_empty() {
            let end = before.trim_end_matches(is_blank);
            let word = end.rsplit(is_reserved).next().unwrap_or_default().len();
            let one = end.chars().next_back().map_or(0, char::len_utf8);
            return end.len() - word.max(one)..end.len();
        }
        let end = rest.find(is_reserved).unwrap_or(rest.len());
        let one = rest.chars().next().map_or(0, char::len_utf8);
        self.at..self.at + end.max(one)
    }

    pub fn blanks(&mut self) -> bool {
        self.run(is_blank).is_some()
    }

    pub fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn run(&mut self, belongs: fn(char) -> bool) -> Option<&'a str> {
        let rest = self.rest();
        let end = rest.find(|next| !belongs(next)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).filter(|run| !run.is_empty())
    }

    /// A letter, then letters, digits and `_`.
    pub fn identifier(&mut self) -> Option<&'a str> {
        let first = self.rest().chars().next()?;
        if first.is_ascii_alphabetic() {
            self.run(is_name)
        } else {
            None
        }
    }

    /// Identifiers joined by dots, two at least.
    pub fn field_name(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.identifier()?;
        let mut end = self.at;
        while self.eat(".") && self.identifier().is_some() {
            end = self.at;
        }
        self.at = end;
        let name = self.text.get(start..end)?;
        if name.contains('.') {
            return Some(name);
        }
        self.at = start;
        None
    }

    /// `[...]` directly after a field.
    pub fn argument(&mut self) -> Result<Option<String>, SyntaxError> {
        let start = self.at;
        if !self.eat("[") {
            return Ok(None);
        }
        let argument = match self.quoted()? {
            Some(text) => text,
            None => {
                let plain = |next: char| {
                    !(matches!(next, '[' | ']' | '"' | '\'') || next.is_ascii_whitespace())
                };
                self.run(plain).map(str::to_owned).ok_or_else(|| {
                    let next = self.rest().chars().next().map_or(0, char::len_utf8);
                    let span = start..self.at + next;
                    SyntaxError::new("an argument is missing in the brackets", span)
                        .help("write `[1]`, `[name]` or `[\"\"]`, without blanks")
                })?
            }
        };
        if self.eat("]") {
            return Ok(Some(argument));
        }
        Err(SyntaxError::new("`]` expected", self.here()).help("an argument has no blanks"))
    }

    /// Hexadecimal or decimal; whether it converts is checked later.
    pub fn number(&mut self) -> Option<&'a str> {
        let start = self.at;
        if self.eat("0x") || self.eat("0X") {
            if self.run(|digit| digit.is_ascii_hexdigit()).is_some() {
                return self.text.get(start..self.at);
            }
            self.at = start;
        }
        let digits = |lexer: &mut Self| lexer.run(|digit| digit.is_ascii_digit()).is_some();
        let _sign = self.eat("-") || self.eat("+");
        if !digits(self) {
            self.at = start;
            return None;
        }
        let mut end = self.at;
        if self.eat(".") && digits(self) {
            end = self.at;
        }
        self.at = end;
        if (self.eat("e") || self.eat("E")) && (self.eat("+") || self.eat("-")) && digits(self) {
            end = self.at;
        }
        self.at = end;
        self.text.get(start..end)
    }

    pub fn bare(&mut self) -> Option<&'a str> {
        self.run(|next| !is_reserved(next))
    }

    /// The end is looked for first: a quote after a backslash never closes.
    pub fn quoted(&mut self) -> Result<Option<String>, SyntaxError> {
        let start = self.at;
        let Some(quote) = ['"', '\'']
            .into_iter()
            .find(|&q| self.rest().starts_with(q))
        else {
            return Ok(None);
        };
        let rest = self.text.get(start + 1..).unwrap_or_default();
        let mut before = '\0';
        let end = rest.char_indices().find_map(|(index, next)| {
            let closes = next == quote && before != '\\';
            before = next;
            closes.then_some(index)
        });
        let Some(end) = end else {
            let line = rest.lines().next().unwrap_or_default().trim_end();
            let help = format!("close it with {quote}; a backslash before the quote keeps it open");
            let span = start..start + 1 + line.len();
            return Err(SyntaxError::new("this string does not end", span).help(help));
        };
        let value = unescape(rest.get(..end).unwrap_or_default(), quote, start + 1)?;
        self.at = start + 1 + end + 1;
        Ok(Some(value))
    }
}

fn unescape(text: &str, quote: char, start: usize) -> Result<String, SyntaxError> {
    let mut value = String::with_capacity(text.len());
    let mut characters = text.char_indices();
    while let Some((index, next)) = characters.next() {
        if next != '\\' {
            value.push(next);
            continue;
        }
        match characters.next() {
            Some((_, 'b')) => value.push('\u{8}'),
            Some((_, 'f')) => value.push('\u{c}'),
            Some((_, 'n')) => value.push('\n'),
            Some((_, 'r')) => value.push('\r'),
            Some((_, 't')) => value.push('\t'),
            Some((_, same @ ('\\' | '/'))) => value.push(same),
            // Falco drops the blank and keeps the backslash.
            Some((_, ' ')) => value.push('\\'),
            Some((_, same)) if same == quote => value.push(same),
            Some((at, 'x')) => {
                let digits = text.get(at + 1..at + 3).unwrap_or_default();
                let byte = u8::from_str_radix(digits, 16).ok();
                let hex = digits.chars().all(|digit| digit.is_ascii_hexdigit());
                let Some(byte) = byte.filter(|_| hex) else {
                    return Err(unknown_escape(start + index..start + at + 1));
                };
                value.push(char::from(byte));
                characters.nth(1);
            }
            other => {
                let end = other.map_or(index + 1, |(at, same)| at + same.len_utf8());
                return Err(unknown_escape(start + index..start + end));
            }
        }
    }
    Ok(value)
}

fn unknown_escape(span: Span) -> SyntaxError {
    SyntaxError::new("this escape is not known", span).help(
        r"known are \b \f \n \r \t \\ \/ \xHH and the quote itself; a backslash is written \\",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Result<String, usize> {
        let mut lexer = Lexer::new(text);
        let value = lexer.quoted().map_err(|error| error.span.start)?;
        assert!(lexer.at_end(), "{text}: {}", lexer.rest());
        value.ok_or(0)
    }

    #[test]
    fn strings_have_falcos_escapes() {
        for (text, expected) in [
            (r#""a b""#, Ok("a b")),
            (r"'a\'b'", Ok("a'b")),
            (r#""\x41\n\\ x""#, Ok("A\n\\ x")),
            (r#""a\ b""#, Ok("a\\b")),
            (r#""abc\\""#, Err(0)),
            (r#""\q""#, Err(1)),
            (r#""\x4""#, Err(1)),
            (r#""\x+1""#, Err(1)),
            (r#""\'""#, Err(1)),
            ("\"abc", Err(0)),
        ] {
            assert_eq!(string(text), expected.map(str::to_owned), "{text}");
        }
    }

    #[test]
    fn numbers_take_what_falcos_grammar_takes() {
        for (text, expected) in [
            ("12", Some("12")),
            ("-1.5e+3x", Some("-1.5e+3")),
            ("1e3", Some("1")),
            ("0x1fz", Some("0x1f")),
            ("0xz", Some("0")),
            ("+.5", None),
            ("a", None),
        ] {
            assert_eq!(Lexer::new(text).number(), expected, "{text}");
        }
    }

    #[test]
    fn names_and_arguments() {
        assert_eq!(Lexer::new("proc.aname[2]").field_name(), Some("proc.aname"));
        assert_eq!(Lexer::new("proc.name.").field_name(), Some("proc.name"));
        assert_eq!(Lexer::new("proc").field_name(), None);
        for (text, expected) in [
            ("[2]", Some(Some("2"))),
            ("[\"\"]", Some(Some(""))),
            ("['a b']", Some(Some("a b"))),
            ("x", Some(None)),
            ("[]", None),
            ("[ 1]", None),
            ("[1 ]", None),
        ] {
            let found = Lexer::new(text).argument().ok();
            assert_eq!(found.as_ref().map(Option::as_deref), expected, "{text}");
        }
    }
}
