//! Recursive descent over Falco's condition grammar: `not` binds tightest, then `and`, then `or`.

use std::ops::Range;

use super::{
    ast::{Check, Expression, Operator, Value},
    lexer::{self, Spanned, SyntaxError, Token},
};

/// Falco's limit for rule files.
const MAX_DEPTH: usize = 1000 / 4;

struct Parser<'a> {
    tokens: &'a [Spanned],
    at: usize,
    end: usize,
    depth: usize,
}

pub fn parse(text: &str) -> Result<Expression, SyntaxError> {
    let tokens = lexer::tokens(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        end: text.len(),
        depth: 0,
    };
    let expression = parser.or()?;
    match parser.peek() {
        None => Ok(expression),
        Some(_) => Err(parser.error("`and`, `or` or the end of the condition expected")),
    }
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|spanned| &spanned.token)
    }

    fn span(&self) -> Range<usize> {
        self.tokens
            .get(self.at)
            .map_or(self.end..self.end, |spanned| spanned.span.clone())
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(found)) if found == word)
    }

    fn error(&self, message: &str) -> SyntaxError {
        let help = matches!(self.peek(), Some(Token::Word(word)) if word.contains("&&") || word.contains("||"))
            .then(|| "write `and` and `or` in words".to_owned());
        SyntaxError {
            message: message.to_owned(),
            span: self.span(),
            help,
        }
    }

    fn or(&mut self) -> Result<Expression, SyntaxError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("the condition is nested too deeply"));
        }
        let mut terms = vec![self.and()?];
        while self.is_word("or") {
            self.at += 1;
            terms.push(self.and()?);
        }
        self.depth -= 1;
        Ok(single(terms, Expression::Or))
    }

    fn and(&mut self) -> Result<Expression, SyntaxError> {
        let mut terms = vec![self.not()?];
        while self.is_word("and") {
            self.at += 1;
            terms.push(self.not()?);
        }
        Ok(single(terms, Expression::And))
    }

    fn not(&mut self) -> Result<Expression, SyntaxError> {
        let mut negated = false;
        while self.is_word("not") {
            self.at += 1;
            negated = !negated;
        }
        let inner = self.operand()?;
        Ok(if negated {
            Expression::Not(Box::new(inner))
        } else {
            inner
        })
    }

    fn operand(&mut self) -> Result<Expression, SyntaxError> {
        let span = self.span();
        match self.peek().cloned() {
            Some(Token::Open) => {
                self.at += 1;
                let inner = self.or()?;
                self.close()?;
                Ok(inner)
            }
            Some(Token::Word(word)) if matches!(word.as_str(), "and" | "or") => {
                Err(self.error("a check is missing here"))
            }
            Some(Token::Word(field)) if field.contains('.') => {
                self.at += 1;
                self.check(field, span)
            }
            Some(Token::Word(name)) => {
                self.at += 1;
                Ok(Expression::Macro { name, span })
            }
            Some(_) => Err(self.error("a field, a macro or `(` expected")),
            None => Err(self.error("the condition ends too early")),
        }
    }

    fn close(&mut self) -> Result<(), SyntaxError> {
        if self.peek() == Some(&Token::Close) {
            self.at += 1;
            return Ok(());
        }
        Err(self.error("`)` expected"))
    }

    fn check(
        &mut self,
        field: String,
        field_span: Range<usize>,
    ) -> Result<Expression, SyntaxError> {
        let operator = match self.peek() {
            Some(Token::Operator(symbol)) => Operator::parse(symbol),
            Some(Token::Word(word)) => Operator::parse(word),
            _ => None,
        };
        let Some(operator) = operator else {
            let mut error = self.error("an operator expected");
            error.help = Some(
                "supported are = == != < <= > >= in contains startswith endswith exists".to_owned(),
            );
            return Err(error);
        };
        self.at += 1;
        let values = match operator {
            Operator::Exists => Vec::new(),
            Operator::In => self.set()?,
            _ => vec![self.value()?],
        };
        Ok(Expression::Check(Check {
            field,
            field_span,
            operator,
            values,
        }))
    }

    fn value(&mut self) -> Result<Value, SyntaxError> {
        let span = self.span();
        let (text, quoted) = match self.peek() {
            Some(Token::Word(text)) => (text.clone(), false),
            Some(Token::Quoted(text)) => (text.clone(), true),
            _ => return Err(self.error("a value expected")),
        };
        self.at += 1;
        Ok(Value { text, quoted, span })
    }

    fn set(&mut self) -> Result<Vec<Value>, SyntaxError> {
        if self.peek() != Some(&Token::Open) {
            return Err(self.error("`(` expected after `in`"));
        }
        self.at += 1;
        let mut values = Vec::new();
        if self.peek() != Some(&Token::Close) {
            values.push(self.value()?);
            while self.peek() == Some(&Token::Comma) {
                self.at += 1;
                values.push(self.value()?);
            }
        }
        self.close()?;
        Ok(values)
    }
}

fn single(mut terms: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match terms.pop() {
        Some(only) if terms.is_empty() => only,
        last => {
            terms.extend(last);
            join(terms)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(expression: &Expression) -> String {
        let join = |name: &str, terms: &[Expression]| {
            let inner: Vec<String> = terms.iter().map(shape).collect();
            format!("{name}({})", inner.join(" "))
        };
        match expression {
            Expression::And(terms) => join("and", terms),
            Expression::Or(terms) => join("or", terms),
            Expression::Not(inner) => format!("!{}", shape(inner)),
            Expression::Macro { name, .. } => name.clone(),
            Expression::Check(check) => check.field.clone(),
        }
    }

    #[test]
    fn precedence_is_falcos() {
        for (text, expected) in [
            ("a or b and c", "or(a and(b c))"),
            ("not a and b", "and(!a b)"),
            ("not not a", "a"),
            ("(a or b) and c", "and(or(a b) c)"),
            (
                "proc.name=x and fd.sport in (1,2)",
                "and(proc.name fd.sport)",
            ),
            ("evt.num>0 or a", "or(evt.num a)"),
        ] {
            assert_eq!(shape(&parse(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_are_placed() {
        for (text, at) in [
            ("", 0),
            ("a and", 5),
            ("a b", 2),
            ("proc.name is x", 10),
            ("fd.sport in 443", 12),
            ("fd.sport in (1,)", 15),
            ("(a", 2),
            ("proc.name = \"x", 12),
        ] {
            assert_eq!(parse(text).unwrap_err().span.start, at, "{text}");
        }
        assert!(parse(&"(".repeat(100_000)).is_err());
    }
}
