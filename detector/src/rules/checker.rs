//! A parsed condition to a checked one: macros put in place, fields looked up, operators allowed
//! for their types, constants converted.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use super::{
    ast::{self, Argument as Written, Check, Expression, Modifier, Operator, Right, Transformer},
    compiler::{Condition, Test},
    constants,
    fields::{self, Argument, Field, Type},
    operand::Operand,
    pattern::Prefixes,
    predicate::{Many, Predicate, Set},
    text::{Place, Text},
};

/// Conditions within macros within conditions: bounds the stack.
const MAX_DEPTH: usize = 500;

pub(super) struct Macro {
    pub text: Text,
    pub expression: Option<Expression>,
    /// Of the first definition, among all items.
    pub position: usize,
    /// Of the newest definition or append: a macro sees only the macros before it.
    pub visibility: usize,
    /// File of the first definition.
    pub file: usize,
    pub place: Place,
}

pub(super) type Macros = BTreeMap<String, Macro>;

/// What is wrong, where, and how the reading got there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mistake {
    pub code: &'static str,
    pub message: String,
    pub place: Place,
    pub help: Option<String>,
    /// The macros that lead there, outermost first.
    pub via: Vec<(String, Place)>,
}

pub(super) struct Checker<'a> {
    pub macros: &'a Macros,
    /// The rule's file: macros of later files are not defined for it.
    pub file: usize,
    pub warnings: Vec<Mistake>,
    pub used: Vec<String>,
    depth: usize,
    /// The macros that are being put in place.
    stack: Vec<(String, Place)>,
}

type Checked<T> = Result<T, Mistake>;

pub(super) const CONDITION: &str = "LOAD_ERR_COMPILE_CONDITION";
pub(super) const VALIDATE: &str = "LOAD_ERR_VALIDATE";
const SUSPICIOUS: &str = "LOAD_COMPILE_CONDITION";
/// Our own.
const NAME_TOO_LONG: &str = "RULE_NAME_TOO_LONG";
/// TASK_COMM_LEN without its terminator.
const MAX_COMM: usize = 15;
const DEPRECATED: &str = "LOAD_DEPRECATED_ITEM";

impl<'a> Checker<'a> {
    pub(super) fn new(macros: &'a Macros, file: usize) -> Self {
        Self {
            macros,
            file,
            warnings: Vec::new(),
            used: Vec::new(),
            depth: 0,
            stack: Vec::new(),
        }
    }

    fn mistake(&self, text: &Text, span: &Range<usize>, message: impl Into<String>) -> Mistake {
        Mistake {
            code: CONDITION,
            message: message.into(),
            place: text.place(span),
            help: None,
            via: self.stack.clone(),
        }
    }

    fn helped(
        &self,
        text: &Text,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) -> Mistake {
        Mistake {
            help: help.into(),
            ..self.mistake(text, span, message)
        }
    }

    fn warn(&mut self, text: &Text, span: &Range<usize>, message: String, help: &str) {
        let warning = Mistake {
            code: SUSPICIOUS,
            ..self.helped(text, span, message, help.to_owned())
        };
        self.warnings.push(warning);
    }

    pub(super) fn check(&mut self, expression: &Expression, text: &Text) -> Checked<Condition> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let message = "macros and parentheses are nested too deeply";
            return Err(self.mistake(text, &(0..1), message));
        }
        let checked = match expression {
            Expression::And(terms) => Condition::And(self.all(terms, text)?),
            Expression::Or(terms) => Condition::Or(self.all(terms, text)?),
            Expression::Not(inner) => Condition::Not(Box::new(self.check(inner, text)?)),
            Expression::Macro { name, span } => self.macro_body(name, span, text)?,
            Expression::Check(check) => self.test(check, text)?,
        };
        self.depth -= 1;
        Ok(checked)
    }

    fn all(&mut self, terms: &[Expression], text: &Text) -> Checked<Vec<Condition>> {
        terms.iter().map(|term| self.check(term, text)).collect()
    }

    fn macro_body(&mut self, name: &str, span: &Range<usize>, text: &Text) -> Checked<Condition> {
        let undefined = |checker: &Self, help: Option<String>| Mistake {
            code: VALIDATE,
            ..checker.helped(text, span, format!("undefined macro `{name}`"), help)
        };
        let Some(body) = self.macros.get(name) else {
            let help = format!("define `- macro: {name}`, or write a field such as `proc.name`");
            return Err(undefined(self, Some(help)));
        };
        if body.file > self.file {
            let help = "it is defined in a later file: load that file first".to_owned();
            return Err(undefined(self, Some(help)));
        }
        if self.stack.iter().any(|(open, _)| open == name) {
            return Err(Mistake {
                code: VALIDATE,
                ..self.mistake(text, span, format!("reference loop in macro `{name}`"))
            });
        }
        let outer = self
            .stack
            .last()
            .and_then(|(outer, _)| self.macros.get(outer));
        if outer.is_some_and(|outer| body.position >= outer.visibility) {
            let help = "a macro sees only the macros that stand before it".to_owned();
            return Err(undefined(self, Some(help)));
        }
        self.used.push(name.to_owned());
        let Some(expression) = &body.expression else {
            // Its own syntax error is reported where it stands.
            return Ok(Condition::Constant(false));
        };
        self.stack.push((name.to_owned(), text.place(span)));
        let checked = self.check(expression, &body.text);
        self.stack.pop();
        checked
    }

    fn test(&mut self, check: &Check, text: &Text) -> Checked<Condition> {
        let mut left = self.operand(&check.left, text)?;
        // Falco compares with the environment of any ancestor here, whatever the number.
        if let Operand::Field { field, argument } = &mut left
            && field.name == "proc.aenv"
            && matches!(argument, Argument::Index(_))
        {
            *argument = Argument::None;
        }
        let operator = check.operator;
        let kind = left.kind();
        if !is_allowed(operator, kind) {
            let message = format!(
                "`{operator}` does not apply to the {} `{}`",
                kind.as_str(),
                check.left
            );
            let allowed: Vec<&str> = Operator::ALL
                .iter()
                .filter(|one| is_allowed(**one, kind))
                .map(|one| one.as_str())
                .collect();
            let help = format!("use one of {}", allowed.join(" "));
            return Err(self.helped(text, &check.span, message, help));
        }
        let addresses = matches!(kind, Type::Ip | Type::Net);
        if check.modifier.is_some()
            && addresses
            && !matches!(operator, Operator::Equal | Operator::NotEqual)
        {
            let message = format!("`{operator}` takes no modifier with addresses");
            return Err(self.mistake(text, &check.span, message));
        }
        let predicate = match &check.right {
            Right::Nothing => Predicate::Exists,
            Right::Operand(right) => self.right(&left, operator, right, text)?,
            Right::Constants(constants) => {
                self.constants(&left, operator, check.modifier, constants, text)?
            }
        };
        Ok(Condition::Test(Arc::new(Test {
            left,
            predicate,
            written: check.to_string(),
        })))
    }

    fn constants(
        &mut self,
        left: &Operand,
        operator: Operator,
        modifier: Option<Modifier>,
        written: &[ast::Constant],
        text: &Text,
    ) -> Checked<Predicate> {
        for constant in written {
            constants::checked_length(&constant.text)
                .map_err(|message| self.mistake(text, &constant.span, message))?;
            self.suspicious(operator, constant, text);
        }
        if operator == Operator::Pmatch {
            let patterns = written.iter().map(|constant| constant.text.as_str());
            return Ok(Predicate::Paths(Prefixes::new(patterns)));
        }
        let field = match left {
            Operand::Field { field, .. } => Some(*field),
            _ => None,
        };
        if let Some(field) = field {
            self.too_long(field, operator, written, text);
        }
        let mut converted = Vec::with_capacity(written.len());
        for constant in written {
            let one = constants::convert(field, left.kind(), operator, &constant.text)
                .map_err(|(message, help)| self.helped(text, &constant.span, message, help))?;
            converted.push(one);
        }
        Ok(match (operator, modifier) {
            (Operator::In, _) => Predicate::In(Set::new(converted)),
            (Operator::Intersects, _) => Predicate::Intersects(Set::new(converted)),
            (_, Some(modifier)) => Predicate::Many(Many::new(modifier, operator, converted)),
            (_, None) => match converted.pop() {
                Some(one) => Predicate::Compare(operator, one),
                None => Predicate::In(Set::new(Vec::new())),
            },
        })
    }

    /// The kernel cuts a thread's name (`comm`, include/linux/sched.h): a longer one is never equal.
    fn too_long(
        &mut self,
        field: &Field,
        operator: Operator,
        written: &[ast::Constant],
        text: &Text,
    ) {
        let named = matches!(field.name, "proc.name" | "proc.pname" | "proc.aname");
        let equal = matches!(
            operator,
            Operator::Equal | Operator::In | Operator::Intersects
        );
        if !named || !equal {
            return;
        }
        for constant in written.iter().filter(|one| one.text.len() > MAX_COMM) {
            let (long, name) = (&constant.text, field.name);
            let cut = long.get(..MAX_COMM).unwrap_or(long);
            let message =
                format!("`{long}` is never equal to `{name}`, which has {MAX_COMM} bytes");
            let help = format!("write `{cut}`, or compare `proc.exepath`");
            let warning = Mistake {
                code: NAME_TOO_LONG,
                ..self.helped(text, &constant.span, message, help)
            };
            self.warnings.push(warning);
        }
    }

    /// What is allowed but was probably not meant (Falco, `filter.cpp`).
    fn suspicious(&mut self, operator: Operator, constant: &ast::Constant, text: &Text) {
        let written = &constant.text;
        if let Ok((operand, end)) = super::parser::operand(written)
            && end == written.len()
        {
            let field = match &operand {
                ast::Operand::Field(field) => {
                    fields::resolve(&field.name, field.argument.as_deref()).is_ok()
                }
                ast::Operand::Call(_) => true,
            };
            if field {
                let message =
                    format!("`{written}` is compared as a plain text, although it names a field");
                let help = match operand {
                    ast::Operand::Field(_) => {
                        format!("write `val({written})` to compare with the field")
                    }
                    ast::Operand::Call(_) => {
                        "write it without quotes to compare with its result".to_owned()
                    }
                };
                self.warn(text, &constant.span, message, &help);
            }
        }
        if operator == Operator::Regex && constants::is_simple_regex(written) {
            let message = "this regex has no pattern that simpler operators do not have".to_owned();
            let help = "`=`, `startswith`, `endswith` and `contains` are faster";
            self.warn(text, &constant.span, message, help);
        }
    }

    fn right(
        &mut self,
        left: &Operand,
        operator: Operator,
        written: &ast::Operand,
        text: &Text,
    ) -> Checked<Predicate> {
        let span = written.span();
        let right = self.operand(written, text)?;
        if matches!(operator, Operator::Pmatch | Operator::Regex) {
            let message = format!("`{operator}` compares with constants only");
            return Err(self.mistake(text, span, message));
        }
        let plain = |operand: &Operand| match operand {
            Operand::Field { field, .. } => field.is_plain(),
            _ => true,
        };
        for side in [left, &right] {
            if let Operand::Field { field, .. } = side
                && (!plain(side) || field.name == "evt.type")
            {
                let message = format!("`{}` cannot be compared with another field", field.name);
                return Err(self.mistake(text, span, message));
            }
        }
        if left.kind() != right.kind() {
            let (one, other) = (left.kind().as_str(), right.kind().as_str());
            let message = format!("a {one} cannot be compared with a {other}");
            return Err(self.mistake(text, span, message));
        }
        Ok(Predicate::Operand(operator, right))
    }

    fn field(
        &mut self,
        written: &ast::FieldReference,
        text: &Text,
    ) -> Checked<(&'static Field, Argument)> {
        let resolved = fields::resolve(&written.name, written.argument.as_deref())
            .map_err(|(message, help)| self.helped(text, &written.span, message, help))?;
        if resolved.0.deprecated {
            let message = format!("the field `{}` is deprecated", written.name);
            let mistake = Mistake {
                code: DEPRECATED,
                ..self.mistake(text, &written.span, message)
            };
            self.warnings.push(mistake);
        }
        Ok(resolved)
    }

    pub(super) fn operand(&mut self, written: &ast::Operand, text: &Text) -> Checked<Operand> {
        let call = match written {
            ast::Operand::Field(field) => {
                let (field, argument) = self.field(field, text)?;
                return Ok(Operand::Field { field, argument });
            }
            ast::Operand::Call(call) => call,
        };
        if call.argument.is_some() && call.transformer != Transformer::Getopt {
            let message = format!("`{}` takes no argument in brackets", call.transformer);
            return Err(self.mistake(text, &call.span, message));
        }
        let arguments = call
            .arguments
            .iter()
            .map(|argument| self.argument(argument, text))
            .collect::<Checked<Vec<_>>>()?;
        if let Err(message) = accepts(call.transformer, &arguments) {
            return Err(self.mistake(text, &call.span, message));
        }
        Ok(Operand::Call {
            transformer: call.transformer,
            arguments,
            option: call.argument.clone(),
        })
    }

    fn argument(&mut self, written: &Written, text: &Text) -> Checked<Operand> {
        Ok(match written {
            Written::Constant(constant) => Operand::Constant(constant.text.clone()),
            Written::List(items) => Operand::List(
                items
                    .iter()
                    .map(|item| self.argument(item, text))
                    .collect::<Checked<_>>()?,
            ),
            Written::Operand(operand) => {
                let checked = self.operand(operand, text)?;
                if let Operand::Field { field, .. } = &checked
                    && (!field.is_plain() || field.name == "evt.type")
                {
                    let message = format!("`{}` takes no transformer", field.name);
                    return Err(self.mistake(text, operand.span(), message));
                }
                checked
            }
        })
    }
}

fn accepts(transformer: Transformer, arguments: &[Operand]) -> Result<(), String> {
    let kinds: Vec<Type> = arguments.iter().map(Operand::kind).collect();
    let texts = |kinds: &[Type]| kinds.iter().all(|kind| *kind == Type::Text);
    let good = match transformer {
        Transformer::Concat => kinds.len() >= 2 && texts(&kinds),
        Transformer::Join => matches!(kinds.as_slice(), [Type::Text, Type::List]),
        Transformer::Getopt => matches!(kinds.as_slice(), [Type::List, Type::Text]),
        Transformer::Len => matches!(kinds.as_slice(), [Type::Text | Type::Bytes | Type::List]),
        Transformer::B64 => matches!(kinds.as_slice(), [Type::Text | Type::Bytes]),
        Transformer::ToLower | Transformer::ToUpper | Transformer::Basename => {
            matches!(kinds.as_slice(), [Type::Text])
        }
    };
    if good {
        return Ok(());
    }
    let wants = match transformer {
        Transformer::Concat => "two or more texts",
        Transformer::Join => "a separator and a list in parentheses",
        Transformer::Getopt => "a list and the known options",
        Transformer::Len => "one text or list",
        _ => "one text",
    };
    let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    Err(format!(
        "`{transformer}` takes {wants}, not ({})",
        names.join(", ")
    ))
}

/// Falco, `filter_compare.cpp`.
pub(super) fn is_allowed(operator: Operator, kind: Type) -> bool {
    match operator {
        Operator::Exists => true,
        _ if kind == Type::Socket => false,
        Operator::In | Operator::Intersects => true,
        Operator::Equal | Operator::NotEqual => kind != Type::List,
        Operator::Less | Operator::LessEqual | Operator::Greater | Operator::GreaterEqual => {
            kind.is_number() || kind == Type::Text
        }
        Operator::Contains | Operator::StartsWith | Operator::EndsWith => {
            matches!(kind, Type::Text | Type::Bytes)
        }
        Operator::Icontains
        | Operator::Glob
        | Operator::Iglob
        | Operator::Pmatch
        | Operator::Regex => kind == Type::Text,
        Operator::Bcontains | Operator::BstartsWith => kind == Type::Bytes,
    }
}

/// Whether a text can be the left side of a check: what an exception's `fields` must be.
pub(super) fn field_problem(written: &str) -> Option<String> {
    let macros = Macros::new();
    match super::parser::operand(written) {
        Ok((operand, end)) if end == written.len() => Checker::new(&macros, 0)
            .operand(&operand, &Text::default())
            .err()
            .map(|mistake| mistake.message),
        Ok(_) => Some(format!("`{written}` is more than one field")),
        Err(error) => Some(error.message),
    }
}
