//! A parsed condition to a checked one: macros put in place, fields looked up, operators allowed
//! for their types, constants converted.

mod allowed;
mod event_types;
mod macros;
mod suspicion;
mod values;

use std::{
    collections::{BTreeMap, HashSet},
    ops::Range,
    sync::Arc,
};

use super::{
    ast::{self, Argument as Written, Check, Expression, Modifier, Operator, Right, Transformer},
    compiler::{Condition, Test},
    constants,
    fields::{self, Argument, Field, Type},
    operand::Operand,
    pattern::Prefixes,
    predicate::{Many, Predicate, Set},
    text::{Place, Step, Text},
};

/// Conditions within macros within conditions: bounds the stack.
const MAX_DEPTH: usize = 500;
/// Parts of a condition with its macros in place: a macro that uses another twice doubles it, and a
/// few of them in a row would fill the memory.
const MAX_PARTS: usize = 100_000;
/// Mistakes of one condition beside its first: more would tell nothing new.
const MAX_MORE: usize = 32;

pub(super) struct Macro {
    pub text: Text,
    pub expression: Option<Expression>,
    /// Of the first definition, among all items.
    pub position: usize,
    /// Of the newest definition or append: a macro sees only the macros before it.
    pub visibility: usize,
    /// File of the first definition: what earlier files have written does not see it.
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
    /// The macros and lists that lead there, outermost first.
    pub via: Vec<Step>,
}

pub(super) struct Checker<'a> {
    pub macros: &'a Macros,
    /// The names of all lists, which are in place already: a word may be meant for one.
    pub lists: &'a [&'a str],
    pub warnings: Vec<Mistake>,
    /// Beside the one that is returned: those of the terms after it.
    pub more: Vec<Mistake>,
    pub used: Vec<String>,
    /// Macros that are not looked into again, where nothing but their mistakes is asked for.
    pub visited: Option<HashSet<String>>,
    /// A macro that was visited or does not parse stands for nothing: the whole is not known.
    pub broken: bool,
    depth: usize,
    pub parts: usize,
    /// The macros that are being put in place.
    stack: Vec<Step>,
}

type Checked<T> = Result<T, Mistake>;

pub(super) const CONDITION: &str = "LOAD_ERR_COMPILE_CONDITION";
pub(super) const VALIDATE: &str = "LOAD_ERR_VALIDATE";
const DEPRECATED: &str = "LOAD_DEPRECATED_ITEM";
/// What a step through a macro is told as.
pub(super) const MACRO: &str = "macro";

impl<'a> Checker<'a> {
    pub(super) fn new(macros: &'a Macros) -> Self {
        Self {
            macros,
            lists: &[],
            warnings: Vec::new(),
            more: Vec::new(),
            used: Vec::new(),
            visited: None,
            broken: false,
            depth: 0,
            parts: 0,
            stack: Vec::new(),
        }
    }

    fn mistake(&self, text: &Text, span: &Range<usize>, message: impl Into<String>) -> Mistake {
        let mut via = self.stack.clone();
        via.extend(text.steps(span));
        Mistake {
            code: CONDITION,
            message: message.into(),
            place: text.place(span),
            help: None,
            via,
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

    pub(super) fn check(&mut self, expression: &Expression, text: &Text) -> Checked<Condition> {
        self.begin(text)?;
        let checked = match expression {
            Expression::And(terms) => self.all(terms, text).map(Condition::And),
            Expression::Or(terms) => self.all(terms, text).map(Condition::Or),
            Expression::Not(inner) => {
                let negated = |inner| Condition::Not(Box::new(inner));
                self.check(inner, text).map(negated)
            }
            Expression::Macro { name, span } => self.macro_body(name, span, text),
            Expression::Check(check) => self.test(check, text),
        };
        if checked.is_ok() {
            self.depth -= 1;
        }
        checked
    }

    /// Apart from what goes deeper, as the refusals of macros are: what they need is not to be on the
    /// stack once a level.
    fn begin(&mut self, text: &Text) -> Checked<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let message = "macros and parentheses are nested too deeply";
            let help = format!("together they go {MAX_DEPTH} deep");
            return Err(self.helped(text, &(0..1), message, help));
        }
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(self.too_many(text));
        }
        Ok(())
    }

    fn too_many(&self, text: &Text) -> Mistake {
        let message = format!("with its macros the condition has more than {MAX_PARTS} parts");
        let help = "a macro that uses another twice doubles it, a regex counts as many: use fewer";
        self.helped(text, &(0..1), message, help.to_owned())
    }

    /// Every term is looked at, whatever is wrong with the one before.
    fn all(&mut self, terms: &[Expression], text: &Text) -> Checked<Vec<Condition>> {
        let mut checked = Vec::with_capacity(terms.len());
        let mut first = None;
        let (depth, stack) = (self.depth, self.stack.len());
        for term in terms {
            match self.check(term, text) {
                Ok(condition) => checked.push(condition),
                Err(mistake) => {
                    self.depth = depth;
                    self.stack.truncate(stack);
                    // The rest would only be more of it.
                    if self.parts > MAX_PARTS {
                        return Err(mistake);
                    }
                    if first.is_none() {
                        first = Some(mistake);
                    } else if self.more.len() < MAX_MORE {
                        self.more.push(mistake);
                    }
                }
            }
        }
        first.map_or(Ok(checked), Err)
    }

    fn test(&mut self, check: &Check, text: &Text) -> Checked<Condition> {
        self.unsafe_na(check, text);
        let mut left = self.operand(&check.left, text)?;
        // Falco compares with the environment of any ancestor here, whatever the number.
        if let Operand::Field { field, argument } = &mut left
            && field.name == "proc.aenv"
            && matches!(argument, Argument::Index(_))
        {
            *argument = Argument::None;
        }
        let operator = check.operator;
        self.transformed_type(&left, check, text)?;
        let kind = left.kind();
        if !allowed::is_allowed(operator, kind) {
            let message = format!(
                "`{operator}` does not apply to the {} `{}`",
                kind.as_str(),
                check.left
            );
            let allowed: Vec<&str> = Operator::ALL
                .iter()
                .filter(|one| allowed::is_allowed(**one, kind))
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
            let help = "write `=` or `!=` before it, or `in (...)`".to_owned();
            return Err(self.helped(text, &check.span, message, help));
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
            constants::checked_length(left.kind(), &constant.text).map_err(|(message, help)| {
                self.helped(text, &constant.span, message, help.to_owned())
            })?;
            self.suspicious(operator, constant, text);
            self.list_within(constant, text);
        }
        if operator.is_list() || modifier.is_some() {
            self.nearly_lists(left, written, text);
        }
        self.event_types(left, written, text)?;
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
            if operator == Operator::Regex {
                self.parts += constants::regex_parts(&constant.text);
                if self.parts > MAX_PARTS {
                    return Err(self.too_many(text));
                }
            }
            let one = constants::convert(field, left.kind(), operator, &constant.text).map_err(
                |(message, help)| {
                    let help = values::help(left, &constant.text).or(help);
                    self.refused(constant, (message, help), text)
                },
            )?;
            self.wraps(left, constant, &one, text);
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

    fn refused(
        &self,
        constant: &ast::Constant,
        (message, help): constants::Refusal,
        text: &Text,
    ) -> Mistake {
        let named = self.macros.contains_key(&constant.text);
        let alone = "it is a macro: write its name alone, without field and operator";
        let list = || self.nearly_list(constant, text);
        let help = match list() {
            _ if named => Some(alone.to_owned()),
            Some(list) => Some(format!("did you mean the list `{list}`?")),
            None => help,
        };
        self.helped(text, &constant.span, message, help)
    }

    fn right(
        &mut self,
        left: &Operand,
        operator: Operator,
        written: &ast::Operand,
        text: &Text,
    ) -> Checked<Predicate> {
        let span = written.span();
        // Falco does not tell of deprecated fields on this side.
        let warnings = self.warnings.len();
        let right = self.operand(written, text)?;
        self.warnings.truncate(warnings);
        if matches!(operator, Operator::Pmatch | Operator::Regex) {
            let message = format!("`{operator}` compares with constants only");
            let help = "write the text itself, or compare with `=` or `startswith`".to_owned();
            return Err(self.helped(text, span, message, help));
        }
        let plain = |operand: &Operand| match operand {
            Operand::Field { field, .. } => field.is_plain(),
            _ => true,
        };
        let derives = matches!(
            operator,
            Operator::Equal | Operator::NotEqual | Operator::In
        );
        let is_typed = derives && event_types::typed(left).is_some();
        for (side, refused) in [(left, is_typed), (&right, false)] {
            if let Operand::Field { field, .. } = side
                && (refused || !plain(side))
            {
                let message = format!("`{}` cannot be compared with another field", field.name);
                let help = "compare it with a constant, or ask for a field with one value such as \
                            `fd.sip` or `proc.pname`";
                return Err(self.helped(text, span, message, help.to_owned()));
            }
        }
        if left.kind() != right.kind() {
            let (one, other) = (left.kind().as_str(), right.kind().as_str());
            let message = format!("a {one} cannot be compared with a {other}");
            let help = "both fields must be of one type: docs/fields.md has them".to_owned();
            return Err(self.helped(text, span, message, help));
        }
        Ok(Predicate::Operand(operator, right))
    }

    fn field(
        &mut self,
        written: &ast::FieldReference,
        text: &Text,
    ) -> Checked<(&'static Field, Argument)> {
        let resolved = fields::resolve(&written.name, written.argument.as_deref()).map_err(
            |(message, help)| {
                let help = help.unwrap_or_else(|| elsewhere(&written.name).to_owned());
                self.helped(text, &written.span, message, help)
            },
        )?;
        if resolved.0.deprecated {
            let message = format!("the field `{}` is deprecated", written.name);
            let help = "leave it out: it has one value only, for old rules' sake".to_owned();
            let mistake = Mistake {
                code: DEPRECATED,
                ..self.helped(text, &written.span, message, help)
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
            let help = "leave the brackets out; `getopt(...)[x]` alone has them".to_owned();
            return Err(self.helped(text, &call.span, message, help));
        }
        let arguments = call
            .arguments
            .iter()
            .map(|argument| self.argument(argument, text))
            .collect::<Checked<Vec<_>>>()?;
        if let Err((message, help)) = allowed::accepts(call.transformer, &arguments) {
            return Err(self.helped(text, &call.span, message, help.to_owned()));
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
                    && !field.is_plain()
                {
                    let message = format!("`{}` takes no transformer", field.name);
                    let help = "compare the field itself, with `icontains` or `iglob` if case is \
                                not to matter";
                    return Err(self.helped(text, operand.span(), message, help.to_owned()));
                }
                checked
            }
        })
    }
}

/// Where to look for a field that is like none.
fn elsewhere(name: &str) -> &'static str {
    if name.starts_with("evt.arg") || name.starts_with("evt.rawarg") {
        return "of these events `evt.arg.res`, `evt.arg.tuple` and `evt.arg.addr` are known";
    }
    "`kubelet-detector rules fields` lists the fields"
}

/// Whether a text can be the left side of a check: what an exception's `fields` must be.
pub(super) fn field_problem(written: &str) -> Option<(String, Option<String>)> {
    let macros = Macros::new();
    match super::parser::operand(written) {
        Ok((operand, end)) if end == written.len() => Checker::new(&macros)
            .operand(&operand, &Text::default())
            .err()
            .map(|mistake| (mistake.message, mistake.help)),
        Ok(_) => Some((
            format!("`{written}` is more than one field"),
            Some("write one field, or a transformer of one, without blanks".to_owned()),
        )),
        Err(error) => Some((error.message, error.help)),
    }
}
