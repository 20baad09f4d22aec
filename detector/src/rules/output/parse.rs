//! What stands after a `%`: a field or a call, as long as it can be.

use super::{
    super::{
        ast,
        checker::{Checker, Macros, Mistake},
        fields,
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
    pub(super) named: Named,
    /// Bytes after the `%`.
    pub(super) length: usize,
}

/// What stands among the fields: a transformer's result has no name.
pub(super) enum Named {
    /// As it is written.
    Field(String),
    /// What the transformer reads, each as it is written.
    Call(Vec<(String, Operand)>),
}

/// `rest` follows the `%` at the byte `at`.
pub(super) fn token(rest: &str, at: usize, warnings: &mut Warnings) -> Result<Token, SyntaxError> {
    let digits = rest.len()
        - rest
            .trim_start_matches(|next: char| next.is_ascii_digit())
            .len();
    let width = rest.get(..digits).filter(|width| !width.is_empty());
    let width = width.map(|width| width.parse().unwrap_or(MAX_WIDTH).min(MAX_WIDTH));
    let width = width.filter(|width| *width > 0);
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
                let named = match &written {
                    ast::Operand::Field(name) => Named::Field(name.to_string()),
                    ast::Operand::Call(_) => Named::Call(inner(&written, &operand)),
                };
                return Ok(Token {
                    operand,
                    width,
                    named,
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
            // One mistake, not two.
            let doubled = usize::from(shown == "%");
            let error = SyntaxError::new(message, span.start..span.end + doubled);
            let called = named.get(name_end(named)..).unwrap_or_default();
            if !shown.is_empty() && called.starts_with('(') {
                let known = ast::Transformer::ALL.iter().map(|one| one.as_str());
                let known: Vec<&str> = known.collect();
                return Err(error.help(format!("transformers are {}", known.join(" "))));
            }
            error.help("write a field after `%`; the sign itself cannot be printed")
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
        Some(b'(') => call_end(text).map_or(end, |length| length.max(end)),
        _ => end,
    }
}

/// Behind its last parenthesis: brackets there are text, but for those of `getopt`.
fn call_end(text: &str) -> Option<usize> {
    let parsed = match parser::operand(text) {
        Ok((ast::Operand::Call(call), length)) => {
            if call.argument.is_none() || call.transformer == ast::Transformer::Getopt {
                return Some(length);
            }
            length
        }
        Ok((ast::Operand::Field(_), length)) => return Some(length),
        // The mistake may be in the brackets.
        Err(error) => error.span.end,
    };
    let text = text.get(..parsed)?;
    let (mut depth, mut quote, mut escaped) = (0usize, None, false);
    for (at, sign) in text.char_indices() {
        match (quote, sign) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), sign) if sign == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(sign),
            (None, '(') => depth += 1,
            (None, ')') if depth == 1 => return Some(at + 1),
            (None, ')') => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
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

/// The fields that a transformer reads, each as it is written.
fn inner(written: &ast::Operand, checked: &Operand) -> Vec<(String, Operand)> {
    let mut names = Vec::new();
    operand_names(written, &mut names);
    let mut names = names.into_iter();
    let mut fields = Vec::new();
    checked.fields(&mut |field, argument| {
        let argument = argument.clone();
        let operand = Operand::Field { field, argument };
        fields.extend(names.next().map(|name| (name, operand)));
    });
    fields
}

fn operand_names(written: &ast::Operand, names: &mut Vec<String>) {
    match written {
        ast::Operand::Field(field) => names.push(field.to_string()),
        ast::Operand::Call(call) => argument_names(&call.arguments, names),
    }
}

fn argument_names(written: &[ast::Argument], names: &mut Vec<String>) {
    for argument in written {
        match argument {
            ast::Argument::Constant(_) => {}
            ast::Argument::List(items) => argument_names(items, names),
            ast::Argument::Operand(operand) => operand_names(operand, names),
        }
    }
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
            assert!(matches!(found.named, Named::Field(found) if found == name));
        }
    }
}
