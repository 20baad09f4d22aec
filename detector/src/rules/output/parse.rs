//! What stands after a `%`: a field or a call, as long as it can be.

use super::{
    super::{
        ast,
        checker::{Checker, Macros, Mistake},
        fields::{self, Argument},
        lexer::SyntaxError,
        operand::Operand,
        parser,
        text::Text,
    },
    builder::Warnings,
};

/// The longest padding of `%20field`.
const MAX_WIDTH: usize = 1024;
/// No field has a longer name.
const MAX_NAME: usize = 64;
/// The longest argument in brackets.
const MAX_ARGUMENT: usize = 1024;

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

/// `rest` follows the `%` at the byte `at`.
pub(super) fn token(rest: &str, at: usize, warnings: &mut Warnings) -> Result<Token, SyntaxError> {
    let digits = rest.len()
        - rest
            .trim_start_matches(|next: char| next.is_ascii_digit())
            .len();
    let width = rest.get(..digits).filter(|width| !width.is_empty());
    let width = width.map(|width| width.parse().unwrap_or(MAX_WIDTH).min(MAX_WIDTH));
    let named = rest.get(digits..).unwrap_or_default();
    let longest = longest(named);
    let spanned = |length: usize| at..at + 1 + digits + length;
    // Why the longest is none, where nothing shorter is one either.
    let mut mistake = None;
    for end in ends(named, longest) {
        let candidate = named.get(..end).unwrap_or_default();
        if !may_be_operand(candidate) {
            continue;
        }
        match operand(candidate) {
            Some(Ok((written, operand, deprecated))) => {
                warnings.extend(deprecated.into_iter().map(|one| (one, spanned(end))));
                let name = match &written {
                    ast::Operand::Field(name) => Some(name.to_string()),
                    ast::Operand::Call(_) => None,
                };
                return Ok(Token {
                    operand,
                    width,
                    name,
                    length: digits + end,
                });
            }
            Some(Err(error)) => mistake = mistake.or(Some(error)),
            None => {}
        }
    }
    let whole = named.get(..longest).unwrap_or_default();
    let mistake = mistake.or_else(|| operand(whole)?.err());
    let span = spanned(longest);
    Err(match mistake {
        Some(mistake) => SyntaxError {
            message: format!("invalid formatting token: {}", mistake.message),
            span,
            help: mistake.help.map(|help| help.replace("mean `", "mean `%")),
        },
        None => {
            let first = named.chars().next().map_or(0, char::len_utf8);
            let shown = named.get(..longest.max(first)).unwrap_or_default();
            let message = format!("invalid formatting token `%{}`", shown.trim_end());
            SyntaxError::new(message, span)
                .help("write a field after `%`; the sign itself cannot be printed")
        }
    })
}

type Checked = (ast::Operand, Operand, Vec<String>);

/// The whole text as an operand, with what is deprecated of it.
fn operand(text: &str) -> Option<Result<Checked, Mistake>> {
    let (written, length) = parser::operand(text).ok()?;
    if length != text.len() {
        return None;
    }
    let macros = Macros::new();
    let mut checker = Checker::new(&macros);
    let checked = checker.operand(&written, &Text::default());
    let deprecated = checker
        .warnings
        .into_iter()
        .map(|one| one.message)
        .collect();
    Some(checked.map(|operand| (written, operand, deprecated)))
}

/// Whether it is worth to look closer: looking for what an unknown name may have meant is slow.
fn may_be_operand(text: &str) -> bool {
    let name = text.split(['[', '(']).next().unwrap_or_default();
    text.contains('(') || fields::find(name).is_some() || fields::is_dotted(name)
}

/// As far as a name, its argument and the parentheses of a call can go.
fn longest(text: &str) -> usize {
    let end = name_end(text);
    let rest = text.get(end..).unwrap_or_default();
    match rest.bytes().next() {
        Some(b'[') => {
            let argument = rest.bytes().take(MAX_ARGUMENT);
            let close = argument.into_iter().position(|byte| byte == b']');
            close.map_or(end, |close| end + close + 1)
        }
        Some(b'(') => parser::operand(text).map_or(end, |(_, length)| length.max(end)),
        _ => end,
    }
}

fn name_end(text: &str) -> usize {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_');
    text.bytes()
        .take(MAX_NAME)
        .take_while(|byte| is_name(byte))
        .count()
}

/// What is tried, the longest first: all of it, then without the argument, then ever fewer
/// characters of the name.
fn ends(text: &str, longest: usize) -> impl Iterator<Item = usize> {
    let name = name_end(text);
    let whole = (longest > name).then_some(longest);
    whole.into_iter().chain((1..=name).rev())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_not_cut() {
        let longest = fields::CATALOGUE.iter().map(|field| field.name.len()).max();
        assert!(longest < Some(MAX_NAME));
        for name in ["container.image.repository", "evt.arg.pidns_init_start_ts"] {
            let found = token(&format!("{name}x"), 0, &mut Vec::new()).unwrap();
            assert_eq!(found.name.as_deref(), Some(name));
        }
    }
}
