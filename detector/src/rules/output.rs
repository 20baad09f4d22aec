//! Output templates: text with `%field`, rendered for an event (Falco, `eventformatter.cpp`).

use serde_json::{Map, Value as Json};

pub use super::fields::time::local_time;
use super::{
    ast,
    checker::{Checker, Macros, prints},
    fields::{Argument, Context, Field, Get, NOT_AVAILABLE, Type, Value},
    lexer::SyntaxError,
    operand::{Operand, print},
    parser,
    text::Text,
};
use crate::{event::Event, host::Host};

/// Falco's text for what can be compared but not printed.
const NETWORK: &str = "<IPNET>";
/// The longest padding of `%20field`.
const MAX_WIDTH: usize = 1024;

#[derive(Debug)]
enum Part {
    Text(String),
    Value {
        operand: Operand,
        /// `%10field` pads or cuts to this many bytes.
        width: Option<usize>,
        /// The fields within, as written: the keys of `output_fields`.
        keys: Vec<(String, Operand)>,
    },
}

#[derive(Debug)]
pub struct Template(Vec<Part>);

pub struct Rendered {
    /// Without time and priority.
    pub message: String,
    pub fields: Map<String, Json>,
}

/// Deprecated parts, and where they stand.
type Warnings = Vec<(String, std::ops::Range<usize>)>;

impl Template {
    pub fn parse(text: &str) -> Result<(Self, Warnings), SyntaxError> {
        let mut warnings = Vec::new();
        let mut parts = Vec::new();
        // "Print even if a value is missing": Falco adds it to every template.
        let mut at = usize::from(text.starts_with('*'));
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(percent) = rest.find('%') else {
                parts.push(Part::Text(rest.to_owned()));
                break;
            };
            if percent > 0 {
                parts.push(Part::Text(
                    rest.get(..percent).unwrap_or_default().to_owned(),
                ));
            }
            at += percent;
            let rest = text.get(at + 1..).unwrap_or_default();
            if rest.starts_with("container.info") {
                let end = at + 1 + "container.info".len();
                warnings.push((
                    "`%container.info` is deprecated and prints nothing".to_owned(),
                    at..end,
                ));
                at = end;
                continue;
            }
            let (part, length) = value(rest, at, &mut warnings)?;
            parts.push(part);
            at += 1 + length;
        }
        Ok((Self(parts), warnings))
    }

    /// Every field that is printed.
    pub(super) fn fields(&self, each: &mut impl FnMut(&'static Field, &Argument)) {
        for part in &self.0 {
            if let Part::Value { operand, .. } = part {
                operand.fields(each);
            }
        }
    }

    pub fn render(&self, event: &Event, host: &Host) -> Rendered {
        let context = Context { event, host };
        let mut message = String::new();
        let mut map = Map::new();
        map.insert("evt.time".to_owned(), event.time_ns.into());
        for part in &self.0 {
            match part {
                Part::Text(text) => message.push_str(text),
                Part::Value {
                    operand,
                    width,
                    keys,
                } => {
                    write(&mut message, operand, *width, context);
                    for (key, operand) in keys {
                        map.insert(key.clone(), json(operand, context));
                    }
                }
            }
        }
        Rendered {
            message,
            fields: map,
        }
    }
}

/// What follows `%`: the longest part of the text that is a field or a call.
fn value(rest: &str, at: usize, warnings: &mut Warnings) -> Result<(Part, usize), SyntaxError> {
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
                    let keys = keys(&written, &operand);
                    let part = Part::Value {
                        operand,
                        width,
                        keys,
                    };
                    return Ok((part, digits + length));
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

/// A transformer's result has no key of its own, only what it is made of.
fn keys(written: &ast::Operand, operand: &Operand) -> Vec<(String, Operand)> {
    let mut keys = Vec::new();
    match (written, operand) {
        (ast::Operand::Field(name), Operand::Field { field, argument }) => {
            let operand = Operand::Field {
                field,
                argument: argument.clone(),
            };
            keys.push((name.to_string(), operand));
        }
        _ => operand.fields(&mut |field, argument| {
            let name = match argument {
                Argument::None => field.name.to_owned(),
                Argument::Index(index) => format!("{}[{index}]", field.name),
                Argument::Key(key) => format!("{}[{key}]", field.name),
            };
            let operand = Operand::Field {
                field,
                argument: argument.clone(),
            };
            keys.push((name, operand));
        }),
    }
    keys
}

/// The value as an output has it: ancestors without an index are joined, both ends have none.
fn extract<'a>(operand: &'a Operand, context: Context<'a>) -> Option<Value<'a>> {
    if let Operand::Field { field, argument } = operand {
        match (field.get, argument) {
            (Get::Ancestors(get), Argument::None) if field.name == "proc.aenv" => {
                return get(context, 0);
            }
            (Get::Ancestors(get), Argument::None) if field.kind == Type::Text => {
                let names: Vec<String> = (1..=context.event.process.ancestors.len())
                    .filter_map(|index| get(context, index))
                    .map(|value| print(&value))
                    .collect();
                return (!names.is_empty()).then(|| Value::Text(names.join(" ").into()));
            }
            (Get::Ancestors(get), Argument::None) => return get(context, 0),
            (Get::One(_), _) if is_network(field) => return Some(Value::Text(NETWORK.into())),
            _ if !prints(field) => return None,
            _ => {}
        }
    }
    let value = operand.value(context);
    match (operand, value) {
        (Operand::Field { field, .. }, Some(Value::Unsigned(number))) if field.padded => {
            Some(Value::Text(format!("{number:09}").into()))
        }
        (_, value) => value,
    }
}

fn is_network(field: &Field) -> bool {
    field.kind == Type::Net
}

fn write(message: &mut String, operand: &Operand, width: Option<usize>, context: Context<'_>) {
    let value = extract(operand, context);
    let start = message.len();
    match &value {
        None => message.push_str(NOT_AVAILABLE),
        Some(Value::Text(text)) => message.push_str(text),
        Some(other) => message.push_str(&print(other)),
    }
    let Some(width) = width else {
        return;
    };
    let written = message.len() - start;
    if written > width {
        let mut end = start + width;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
    } else {
        message.extend(std::iter::repeat_n(' ', width - written));
    }
}

fn json(operand: &Operand, context: Context<'_>) -> Json {
    if let Operand::Field { field, .. } = operand
        && matches!(field.name, "evt.time" | "evt.time.iso8601" | "evt.datetime")
    {
        return context.event.time_ns.into();
    }
    extract(operand, context).map_or(Json::Null, |value| to_json(&value))
}

fn to_json(value: &Value<'_>) -> Json {
    match value {
        Value::Text(text) => text.as_ref().into(),
        Value::Signed(number) => (*number).into(),
        Value::Unsigned(number) => (*number).into(),
        Value::Double(number) => (*number).into(),
        Value::Bool(value) => (*value).into(),
        Value::Ip(ip) => ip.to_string().into(),
        Value::List(items) => items.iter().map(to_json).collect(),
    }
}
