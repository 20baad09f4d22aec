//! The sides of a check: fields, transformer calls, `val()`.

use super::{
    super::ast::{Argument, Call, Constant, FieldReference, Operand, Transformer},
    Parsed, Parser, SyntaxError, help,
};

impl Parser<'_> {
    /// A transformer call, or a field.
    pub(super) fn operand(&mut self) -> Parsed<Option<Operand>> {
        if let Some(call) = self.call()? {
            return Ok(Some(Operand::Call(call)));
        }
        Ok(self.field()?.map(Operand::Field))
    }

    fn field(&mut self) -> Parsed<Option<FieldReference>> {
        let start = self.lexer.position();
        let Some(name) = self.lexer.field_name() else {
            return Ok(None);
        };
        let argument = self.lexer.argument()?;
        Ok(Some(FieldReference {
            name: name.to_owned(),
            argument,
            span: self.lexer.since(start),
        }))
    }

    fn call(&mut self) -> Parsed<Option<Call>> {
        let start = self.lexer.position();
        let rest = self.lexer.rest();
        let opens = |one: &&Transformer| {
            rest.strip_prefix(one.as_str())
                .is_some_and(|rest| rest.starts_with('('))
        };
        let Some(transformer) = Transformer::ALL.iter().find(opens).copied() else {
            return Ok(None);
        };
        self.lexer.eat(transformer.as_str());
        let arguments = self.deeper(|parser| parser.arguments(Self::argument))?;
        let argument = self.lexer.argument()?;
        if arguments.is_empty() {
            let span = self.lexer.since(start);
            return Err(
                SyntaxError::new(format!("`{transformer}` needs an argument"), span)
                    .help(format!("write a field in it: `{transformer}(proc.name)`")),
            );
        }
        Ok(Some(Call {
            transformer,
            arguments,
            argument,
            span: self.lexer.since(start),
        }))
    }

    /// `( a, b )`, possibly empty.
    pub(super) fn arguments<T>(&mut self, each: fn(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        if !self.lexer.eat("(") {
            return Err(self.expected("`(` expected", None));
        }
        self.lexer.blanks();
        let mut items = Vec::new();
        if self.lexer.eat(")") {
            return Ok(items);
        }
        loop {
            self.lexer.blanks();
            items.push(each(self)?);
            self.lexer.blanks();
            if self.lexer.eat(",") {
                continue;
            }
            if self.lexer.eat(")") {
                return Ok(items);
            }
            let help = help::within_set(self.lexer.rest());
            return Err(self.expected("`,` or `)` expected", help));
        }
    }

    fn argument(&mut self) -> Parsed<Argument> {
        if self.lexer.rest().starts_with('(') {
            return self
                .deeper(|parser| parser.arguments(Self::item))
                .map(Argument::List);
        }
        self.item()
    }

    /// An element of a transformer's list: no list within a list.
    fn item(&mut self) -> Parsed<Argument> {
        let start = self.lexer.position();
        let text = match self.lexer.number().map(str::to_owned) {
            Some(number) => Some(number),
            None => self.lexer.quoted()?,
        };
        if let Some(text) = text {
            let span = self.lexer.since(start);
            return Ok(Argument::Constant(Constant { text, span }));
        }
        match self.operand()? {
            Some(operand) => Ok(Argument::Operand(operand)),
            None => Err(self
                .misplaced("a field, a transformer, a number or a quoted text expected")
                .help("a text needs quotes here")),
        }
    }

    /// `val(field)` or a transformer call; a bare field name is a text.
    pub(super) fn right_operand(&mut self) -> Parsed<Option<Operand>> {
        if !self.lexer.rest().starts_with("val(") {
            return Ok(self.call()?.map(Operand::Call));
        }
        self.lexer.eat("val(");
        self.lexer.blanks();
        let Some(field) = self.field()? else {
            return Err(self
                .misplaced("a field expected")
                .help("`val()` takes one plain field"));
        };
        self.lexer.blanks();
        if self.lexer.eat(")") {
            return Ok(Some(Operand::Field(field)));
        }
        let help = "close it: `val(field)`".to_owned();
        Err(self.expected("`)` expected", Some(help)))
    }
}
