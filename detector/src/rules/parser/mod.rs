//! Recursive descent over Falco's condition grammar: `not` binds tightest, then `and`, then `or`.
//! The order in which alternatives are tried, and where a blank is asked for, is Falco's
//! (`userspace/libsinsp/filter/parser.cpp`).

mod help;
mod operand;

use super::{
    ast::{Check, Constant, Expression, Modifier, Operand, Operator, Right, Span},
    lexer::{Lexer, SyntaxError, is_blank},
};

/// Parentheses and calls within each other; Falco counts 1000 steps, about four a level.
const MAX_DEPTH: usize = 250;

const SYMBOLS: [&str; 3] = ["==", "=", "!="];
const ORDERS: [&str; 4] = ["<=", "<", ">=", ">"];
const LISTS: [&str; 3] = ["intersects", "in", "pmatch"];

struct Parser<'a> {
    lexer: Lexer<'a>,
    depth: usize,
}

type Parsed<T> = Result<T, SyntaxError>;

pub fn parse(text: &str) -> Parsed<Expression> {
    let mut parser = Parser::new(text);
    let expression = parser.or()?;
    parser.lexer.blanks();
    if parser.lexer.at_end() {
        return Ok(expression);
    }
    let (before, rest) = parser.lexer.around();
    let help = help::after_check(before, rest);
    let message = "`and`, `or` or the end of the condition expected";
    Err(SyntaxError::new(message, parser.lexer.here()).help(help))
}

/// A field or a transformer call at the start of a text, and its length: what an output template
/// has after `%`, and what an exception's `fields` hold.
pub fn operand(text: &str) -> Parsed<(Operand, usize)> {
    let mut parser = Parser::new(text);
    let operand = parser.operand()?;
    let end = parser.lexer.position();
    operand
        .map(|operand| (operand, end))
        .ok_or_else(|| parser.misplaced("a field expected"))
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            lexer: Lexer::new(text),
            depth: 0,
        }
    }

    fn misplaced(&self, message: &str) -> SyntaxError {
        let (before, rest) = self.lexer.around();
        let error = SyntaxError::new(message, self.lexer.here());
        match help::general(before, rest) {
            Some(help) => error.help(help),
            None => error,
        }
    }

    /// With a help for this place, unless there is none.
    fn expected(&self, message: &str, help: Option<String>) -> SyntaxError {
        match help {
            Some(help) => SyntaxError::new(message, self.lexer.here()).help(help),
            None => self.misplaced(message),
        }
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(
                SyntaxError::new("the condition is nested too deeply", self.lexer.here()).help(
                    format!("{MAX_DEPTH} levels are allowed: move parts into macros"),
                ),
            );
        }
        let parsed = inner(self)?;
        self.depth -= 1;
        Ok(parsed)
    }

    fn or(&mut self) -> Parsed<Expression> {
        self.deeper(|parser| parser.joined("or", Self::and, Expression::Or))
    }

    fn and(&mut self) -> Parsed<Expression> {
        self.joined("and", Self::not, Expression::And)
    }

    /// Terms and the word between them. `or(` takes the parentheses alone: `a or(b) and c` is an
    /// error in Falco.
    fn joined(
        &mut self,
        word: &str,
        term: fn(&mut Self) -> Parsed<Expression>,
        join: fn(Vec<Expression>) -> Expression,
    ) -> Parsed<Expression> {
        let first = term(self)?;
        let mut terms = Vec::new();
        loop {
            self.lexer.blanks();
            if !self.lexer.eat(word) {
                break;
            }
            terms.push(if self.lexer.blanks() {
                term(self)?
            } else if self.lexer.rest().starts_with('(') {
                self.parenthesised()?
            } else {
                return Err(self.no_blank(word));
            });
        }
        if terms.is_empty() {
            return Ok(first);
        }
        terms.insert(0, first);
        Ok(join(terms))
    }

    fn parenthesised(&mut self) -> Parsed<Expression> {
        let start = self.lexer.position();
        self.lexer.eat("(");
        let open = self.lexer.since(start);
        let inner = self.or()?;
        self.lexer.blanks();
        if self.lexer.eat(")") {
            return Ok(inner);
        }
        Err(self.unclosed(open))
    }

    fn unclosed(&self, open: Span) -> SyntaxError {
        if self.lexer.at_end() {
            let error = SyntaxError::new("this parenthesis is not closed", open);
            return error.help("write `)` where it is to end");
        }
        let (before, rest) = self.lexer.around();
        let help = help::after_check(before, rest);
        SyntaxError::new("`and`, `or` or `)` expected", self.lexer.here()).help(help)
    }

    fn no_blank(&self, word: &str) -> SyntaxError {
        self.misplaced(&format!("a blank or `(` expected after `{word}`"))
    }

    fn not(&mut self) -> Parsed<Expression> {
        let mut negated = false;
        let inner = loop {
            self.lexer.blanks();
            let after = self
                .lexer
                .rest()
                .strip_prefix("not")
                .map(|rest| rest.chars().next());
            match after {
                Some(Some('(')) => {
                    negated = !negated;
                    self.lexer.eat("not");
                    break self.parenthesised()?;
                }
                Some(Some(next)) if next.is_ascii_whitespace() || next == '\u{b}' => {
                    negated = !negated;
                    self.lexer.eat("not");
                    if !self.lexer.blanks() {
                        return Err(self.misplaced("a blank expected after `not`"));
                    }
                }
                _ => break self.check()?,
            }
        };
        Ok(if negated {
            Expression::Not(Box::new(inner))
        } else {
            inner
        })
    }

    fn check(&mut self) -> Parsed<Expression> {
        if self.lexer.rest().starts_with('(') {
            return self.parenthesised();
        }
        self.single_check()
    }

    /// Apart from what goes deeper, as the mistakes are: what it needs is not to be on the stack
    /// once a level.
    fn single_check(&mut self) -> Parsed<Expression> {
        if let Some(left) = self.operand()? {
            return self
                .test(left)
                .map(|check| Expression::Check(Box::new(check)));
        }
        let start = self.lexer.position();
        match self.lexer.identifier() {
            Some("not") => {
                let span = self.lexer.since(start);
                Err(SyntaxError::new("a check is missing after `not`", span)
                    .help("write the check that it turns round, with a blank before it"))
            }
            Some(word @ ("and" | "or")) => {
                let span = self.lexer.since(start);
                let message = format!("a check is missing before `{word}`");
                Err(SyntaxError::new(message, span)
                    .help(format!("write one before it, or leave out `{word}`")))
            }
            Some(name) => Ok(Expression::Macro {
                name: name.to_owned(),
                span: self.lexer.since(start),
            }),
            None => Err(self.missing_check()),
        }
    }

    fn missing_check(&self) -> SyntaxError {
        let mut error = self.misplaced("a field, a macro or `(` expected");
        if self.lexer.rest().starts_with(['"', '\'']) {
            return error.help("a field and the name of a macro stand without quotes");
        }
        error.help.get_or_insert_with(|| {
            let check = "write a check such as `proc.name = curl`, or the name of a macro";
            check.to_owned()
        });
        error
    }

    fn test(&mut self, left: Operand) -> Parsed<Check> {
        self.lexer.blanks();
        let start = self.lexer.position();
        let operator = self.operator(&left)?;
        let span = self.lexer.since(start);
        let (modifier, right) = if operator == Operator::Exists {
            (None, Right::Nothing)
        } else if operator.is_order() {
            self.lexer.blanks();
            (None, self.order_side(operator)?)
        } else if operator.is_list() {
            self.lexer.blanks();
            (None, self.list_side(operator)?)
        } else {
            self.text_side(operator)?
        };
        Ok(Check {
            left,
            operator,
            span,
            modifier,
            right,
        })
    }

    fn operator(&mut self, left: &Operand) -> Parsed<Operator> {
        let rest = self.lexer.rest();
        let word = |operator: &&Operator| {
            let text = operator.as_str();
            !SYMBOLS.contains(&text)
                && !ORDERS.contains(&text)
                && !LISTS.contains(&text)
                && rest
                    .strip_prefix(text)
                    .is_some_and(|after| text == "exists" || after.starts_with(is_blank))
        };
        let starts = |text: &&str| rest.starts_with(*text);
        let text = ORDERS
            .iter()
            .chain(&SYMBOLS)
            .copied()
            .find(starts)
            .or_else(|| Operator::ALL.iter().find(word).map(|one| one.as_str()))
            .or_else(|| LISTS.into_iter().find(starts));
        if let Some(text) = text
            && let Some(operator) = Operator::parse(text)
        {
            self.lexer.eat(text);
            return Ok(operator);
        }
        let help = help::operator(&left.to_string(), rest);
        Err(SyntaxError::new("an operator expected", self.lexer.here()).help(help))
    }

    fn order_side(&mut self, operator: Operator) -> Parsed<Right> {
        if let Some(operand) = self.right_operand()? {
            return Ok(Right::Operand(operand));
        }
        let start = self.lexer.position();
        match self.lexer.number() {
            Some(number) => Ok(Right::Constants(vec![Constant {
                text: number.to_owned(),
                span: self.lexer.since(start),
            }])),
            None => {
                let help = help::number(operator, self.lexer.rest());
                Err(self.expected("a number expected", Some(help)))
            }
        }
    }

    fn list_side(&mut self, operator: Operator) -> Parsed<Right> {
        if self.lexer.rest().starts_with('(') {
            return self.arguments(Self::constant).map(Right::Constants);
        }
        if let Some(operand) = self.right_operand()? {
            return Ok(Right::Operand(operand));
        }
        match self.named()? {
            Some(constant) => Ok(Right::Constants(vec![constant])),
            None => {
                let help = help::set(operator, self.lexer.rest());
                Err(self.expected("`(` expected", Some(help)))
            }
        }
    }

    fn text_side(&mut self, operator: Operator) -> Parsed<(Option<Modifier>, Right)> {
        if self.lexer.blanks()
            && let Some(modifier) = self.modifier()
        {
            let set = if self.lexer.rest().starts_with('(') {
                self.arguments(Self::constant)?
            } else {
                self.named()?.into_iter().collect()
            };
            return Ok((Some(modifier), Right::Constants(set)));
        }
        if let Some(operand) = self.right_operand()? {
            return Ok((None, Right::Operand(operand)));
        }
        match self.text()? {
            Some(constant) => Ok((None, Right::Constants(vec![constant]))),
            None => {
                let help = help::value(operator, self.lexer.rest());
                Err(self.expected("a value expected", help))
            }
        }
    }

    /// A modifier only where a set follows; else the word is a plain text.
    fn modifier(&mut self) -> Option<Modifier> {
        let start = self.lexer.position();
        let word = self.lexer.identifier()?;
        let modifier = Modifier::ALL
            .iter()
            .copied()
            .find(|one| one.as_str() == word);
        if modifier.is_some() && self.lexer.blanks() {
            if self.lexer.rest().starts_with('(') {
                return modifier;
            }
            let before = self.lexer.position();
            let next = self.lexer.identifier();
            self.lexer.rewind(before);
            if next.is_some_and(|next| !matches!(next, "and" | "or" | "not")) {
                return modifier;
            }
        }
        self.lexer.rewind(start);
        None
    }

    /// A word in place of a set is a set of that word.
    fn named(&mut self) -> Parsed<Option<Constant>> {
        let start = self.lexer.position();
        Ok(self.lexer.identifier().map(|name| Constant {
            text: name.to_owned(),
            span: self.lexer.since(start),
        }))
    }

    /// An element of a set.
    fn constant(&mut self) -> Parsed<Constant> {
        let missing = |parser: &Self| {
            let help = "leave out the comma, or write a value; an empty one is \"\"";
            parser.expected("a value expected", Some(help.to_owned()))
        };
        self.text()?.ok_or_else(|| missing(self))
    }

    /// In quotes or bare.
    fn text(&mut self) -> Parsed<Option<Constant>> {
        let start = self.lexer.position();
        let text = match self.lexer.quoted()? {
            Some(text) => Some(text),
            None => self.lexer.bare().map(str::to_owned),
        };
        Ok(text.map(|text| Constant {
            text,
            span: self.lexer.since(start),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Option<String> {
        parse(text).ok().map(|tree| tree.to_string())
    }

    #[test]
    fn precedence_and_blanks_are_falcos() {
        for (text, expected) in [
            ("a or b and c", Some("(a or (b and c))")),
            ("not a and b", Some("(not (a) and b)")),
            ("not not a", Some("a")),
            ("not(a)", Some("not (a)")),
            ("(a or b) and c", Some("((a or b) and c)")),
            ("a or(b)", Some("(a or b)")),
            ("a or(b) and c", None),
            ("a or (b) and c", Some("(a or (b and c))")),
            ("a notb", None),
            ("aand b", None),
            ("notb", Some("notb")),
            ("a andb", None),
            ("", None),
            ("  a\t", Some("a")),
            ("evt.num>0and a", Some("(evt.num > 0 and a)")),
            ("proc.name existsand a", Some("(proc.name exists and a)")),
            ("proc.name=init", Some("proc.name = \"init\"")),
            ("proc.name == a", Some("proc.name = \"a\"")),
            ("proc.name contains(x)", None),
            ("proc.name in(a, b)", Some("proc.name in (\"a\", \"b\")")),
            ("proc.name in ()", Some("proc.name in ()")),
            ("proc.name in a", Some("proc.name in (\"a\")")),
            ("fd.sport in 443", None),
            ("fd.sport in (1,)", None),
            ("fd.sport in (,1)", None),
            ("proc.name in (val(proc.pname))", None),
            (
                "proc.name = val( proc.pname )",
                Some("proc.name = val(proc.pname)"),
            ),
            ("proc.name = val", Some("proc.name = \"val\"")),
            ("proc.name = oneof", Some("proc.name = \"oneof\"")),
            ("proc.name = oneof(a)", None),
            ("proc.name =oneof (a)", None),
            (
                "proc.name = anyof init",
                Some("proc.name = anyof (\"init\")"),
            ),
            (
                "proc.name = anyof and a",
                Some("(proc.name = \"anyof\" and a)"),
            ),
            (
                "proc.name != allof (a, b)",
                Some("proc.name != allof (\"a\", \"b\")"),
            ),
            ("proc.aname[ 2] = a", None),
            ("proc.aname[2]=a", Some("proc.aname[2] = \"a\"")),
            ("proc.name <= b", None),
            ("tolower(proc.name)=a", Some("tolower(proc.name) = \"a\"")),
            ("tolower (proc.name)=a", None),
            ("tolower()=a", None),
            (
                "join(\"-\", (proc.name, 1)) = x",
                Some("join(\"-\", (proc.name, \"1\")) = \"x\""),
            ),
            ("NOT a", None),
        ] {
            assert_eq!(shape(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn mistakes_are_placed() {
        for (text, at) in [
            ("", 0),
            ("a and", 2),
            ("a b", 2),
            ("a && b", 2),
            ("proc.name is x", 10),
            ("fd.sport in 443", 12),
            ("fd.sport in (1,)", 15),
            ("(a", 0),
            ("proc.name = \"x", 12),
        ] {
            assert_eq!(parse(text).unwrap_err().span.start, at, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
        assert!(parse(&nested(MAX_DEPTH - 1)).is_ok());
        assert!(parse(&nested(MAX_DEPTH)).is_err());
        assert!(parse(&"(".repeat(100_000)).is_err());
        assert!(parse(&format!("{}=a", "tolower(".repeat(100_000))).is_err());
        assert_eq!(shape(&"not ".repeat(100_000)), None);
    }
}
