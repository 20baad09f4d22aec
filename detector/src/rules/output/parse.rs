//! What stands after a `%`: a field or a call, as long as it can be.

use std::ops::Range;

use super::super::{
    ast,
    checker::{Checker, Macros},
    fields::Argument,
    lexer::SyntaxError,
    operand::Operand,
    parser,
    text::Text,
};

/// The longest padding of `%20field`.
const MAX_WIDTH: usize = 1024;

/// What a `%` stands for.
pub(super) struct Token {
    pub(super) operand: Operand,
    /// `%10field` pads or cuts to this many bytes.
    pub(super) width: Option<usize>,
    /// The name as written, if it is a field without a transformer.
    pub(super) name: Option<String>,
    /// Bytes after the `%`.
    pub(super) length: usize,
}

/// Deprecated parts, and where they stand.
pub(super) type Warnings = Vec<(String, Range<usize>)>;

/// `rest` follows the `%` at the byte `at`.
pub(super) fn token(rest: &str, at: usize, warnings: &mut Warnings) -> Result<Token, SyntaxError> {
    let digits = rest.len()
        - rest
            .trim_start_matches(|next: char| next.is_ascii_digit())
            .len();
    let width = rest.get(..digits).filter(|width| !width.is_empty());
    let width = width.map(|width| width.parse().unwrap_or(MAX_WIDTH).min(MAX_WIDTH));
    let named = rest.get(digits..).unwrap_or_default();
    let macros = Macros::new();
    let mut end = longest(named);
    let mut first = None;
    while end > 0 {
        let candidate = named.get(..end).unwrap_or_default();
        if let Ok((written, length)) = parser::operand(candidate)
            && length == end
        {
            let mut checker = Checker::new(&macros, 0);
            match checker.operand(&written, &Text::default()) {
                Ok(operand) => {
                    let span = at..at + 1 + digits + length;
                    let deprecated = checker.warnings.into_iter();
                    warnings.extend(deprecated.map(|one| (one.message, span.clone())));
                    let name = match (&written, &operand) {
                        (ast::Operand::Field(name), Operand::Field { .. }) => {
                            Some(name.to_string())
                        }
                        _ => None,
                    };
                    return Ok(Token {
                        operand,
                        width,
                        name,
                        length: digits + length,
                    });
                }
                Err(mistake) => first = first.or(Some(mistake)),
            }
        }
        end = shorter(named, end);
    }
    let shown = named.get(..longest(named).max(1)).unwrap_or("%");
    let span = at..at + 1 + digits + longest(named);
    let error = match first {
        Some(mistake) => SyntaxError {
            message: format!("invalid formatting token: {}", mistake.message),
            span,
            help: mistake.help.map(|help| help.replace("mean `", "mean `%")),
        },
        None => SyntaxError::new(
            format!("invalid formatting token `%{}`", shown.trim_end()),
            span,
        )
        .help("write a field after `%`; the sign itself cannot be printed"),
    };
    Err(error)
}

/// As far as a name, its argument and the parentheses of a call can go.
fn longest(text: &str) -> usize {
    let name = |next: char| next.is_ascii_alphanumeric() || next == '.' || next == '_';
    let end = text.find(|next| !name(next)).unwrap_or(text.len());
    match text.get(end..).and_then(|rest| rest.chars().next()) {
        Some('[') => {
            let close = text.get(end..).and_then(|rest| rest.find(']'));
            close.map_or(end, |close| end + close + 1)
        }
        Some('(') => parser::operand(text).map_or(end, |(_, length)| length.max(end)),
        _ => end,
    }
}

/// Without the argument, then without the last character.
fn shorter(text: &str, end: usize) -> usize {
    let text = text.get(..end).unwrap_or_default();
    match text.find(['[', '(']) {
        Some(open) => open,
        None => text.char_indices().next_back().map_or(0, |(at, _)| at),
    }
}

/// The fields that a transformer reads, by name: its result has none.
pub(super) fn inner(operand: &Operand) -> Vec<(String, Operand)> {
    let mut fields = Vec::new();
    operand.fields(&mut |field, argument| {
        let name = match argument {
            Argument::None => field.name.to_owned(),
            Argument::Index(index) => format!("{}[{index}]", field.name),
            Argument::Key(key) => format!("{}[{key}]", field.name),
        };
        let operand = Operand::Field {
            field,
            argument: argument.clone(),
        };
        fields.push((name, operand));
    });
    fields
}
