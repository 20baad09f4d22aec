//! A condition's tokens, each with its place (FALCO.md's token table: bare words, quoted strings,
//! parentheses, commas and symbol operators).

use std::ops::Range;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    Open,
    Close,
    Comma,
    /// `= == != < <= > >=`
    Operator(&'static str),
    Word(String),
    Quoted(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned {
    pub token: Token,
    pub span: Range<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    pub message: String,
    pub span: Range<usize>,
    pub help: Option<String>,
}

const OPERATORS: [&str; 7] = ["<=", ">=", "!=", "==", "<", ">", "="];

pub fn tokens(text: &str) -> Result<Vec<Spanned>, SyntaxError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..)
        && let Some(first) = rest.chars().next()
    {
        let (token, length) = match first {
            _ if first.is_ascii_whitespace() || first == '\u{8}' => {
                at += 1;
                continue;
            }
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            '"' | '\'' => quoted(rest, first, at)?,
            _ => match OPERATORS
                .iter()
                .find(|operator| rest.starts_with(**operator))
            {
                Some(operator) => (Token::Operator(operator), operator.len()),
                None => word(rest),
            },
        };
        tokens.push(Spanned {
            token,
            span: at..at + length,
        });
        at += length;
    }
    Ok(tokens)
}

fn word(rest: &str) -> (Token, usize) {
    let field = rest.starts_with(|first: char| first.is_ascii_lowercase());
    let end = rest
        .char_indices()
        .skip(1)
        .find(|(_, next)| {
            next.is_ascii_whitespace()
                || "()\"'=,".contains(*next)
                || (field && matches!(next, '<' | '>' | '!'))
        })
        .map_or(rest.len(), |(index, _)| index);
    (Token::Word(rest.get(..end).unwrap_or(rest).to_owned()), end)
}

fn quoted(rest: &str, quote: char, at: usize) -> Result<(Token, usize), SyntaxError> {
    let mut value = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((index, next)) = characters.next() {
        if next == quote {
            return Ok((Token::Quoted(value), index + 1));
        }
        if next != '\\' {
            value.push(next);
            continue;
        }
        match characters.next() {
            Some((_, 'n')) => value.push('\n'),
            Some((_, 't')) => value.push('\t'),
            Some((_, 'r')) => value.push('\r'),
            Some((_, 'b')) => value.push('\u{8}'),
            Some((_, 'f')) => value.push('\u{c}'),
            Some((_, same @ ('\\' | '/'))) => value.push(same),
            Some((_, ' ')) => value.push('\\'),
            Some((_, same)) if same == quote => value.push(same),
            _ => {
                return Err(SyntaxError {
                    message: "this escape is not known".to_owned(),
                    span: at + index..at + index + 1,
                    help: Some(r"known are \b \f \n \r \t \\ \/ and the quote itself".to_owned()),
                });
            }
        }
    }
    Err(SyntaxError {
        message: "this string does not end".to_owned(),
        span: at..at + rest.len(),
        help: Some(format!("close it with {quote}")),
    })
}
