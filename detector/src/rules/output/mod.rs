//! Output templates: text with `%field`, rendered for an event (Falco, `eventformatter.cpp`).

pub mod append;
mod builder;
mod parse;

use super::{
    fields::{self, Argument, Context, Get, NOT_AVAILABLE, Type, Value},
    lexer::SyntaxError,
    operand::{Operand, print},
};
use crate::{
    alert::{Field, Name},
    event::Event,
    host::Host,
};
pub use builder::Mistakes;
use builder::{Builder, Warnings};

/// What the time before each message is called among the fields.
const TIME: &str = "evt.time";
const ISO8601: &str = "evt.time.iso8601";

#[derive(Debug)]
enum Part {
    Text(String),
    /// `%field`, by its place among the fields: each is read once.
    Field {
        index: usize,
        /// `%10field` pads or cuts to this many bytes.
        width: Option<usize>,
    },
    Value {
        operand: Operand,
        width: Option<usize>,
    },
}

/// What a field of an alert is read from.
#[derive(Debug)]
enum Source {
    /// Nanoseconds, whatever form of time the name stands for.
    Time,
    Operand(Operand),
    /// The message of a template of its own.
    Message(Template),
}

#[derive(Debug)]
struct Named {
    name: Name,
    source: Source,
}

/// Compiled once: what to print in order, and the fields that it is made of.
#[derive(Debug)]
pub struct Template {
    /// Without what was appended.
    written: String,
    parts: Vec<Part>,
    fields: Vec<Named>,
}

impl Template {
    /// Of a rule: it prints something. One that is missing is told of where it should stand.
    pub fn parse(text: &str) -> Result<(Self, Warnings), Mistakes> {
        let (template, warnings) = Self::part(text)?;
        if template.parts.is_empty() && !text.is_empty() && !text.starts_with('*') {
            let nothing = SyntaxError::new("the output prints nothing", 0..text.len());
            return Err(nothing
                .help("write a text, or fields such as %proc.name")
                .into());
        }
        Ok((template, warnings))
    }

    /// What may be empty.
    fn part(text: &str) -> Result<(Self, Warnings), Mistakes> {
        // A NUL byte ends it, as in Falco.
        let shown = text.split('\0').next().unwrap_or_default();
        let mut builder = Builder::new(TIME, &[]);
        builder.text(shown)?;
        let (template, mut warnings) = builder.finish(shown.to_owned());
        warnings.extend(builder::deprecated(shown, &warnings));
        Ok((template, warnings))
    }

    /// Every field that is printed, or told among the fields.
    /// Whether it shows what is known only when a connect has ended.
    pub(super) fn asks_result(&self) -> bool {
        let mut asks = false;
        self.asked(&mut |field, _| asks |= field.of_result);
        asks
    }

    pub(super) fn asked(&self, each: &mut impl FnMut(&'static fields::Field, &Argument)) {
        for part in &self.parts {
            if let Part::Value { operand, .. } = part {
                operand.fields(each);
            }
        }
        for named in &self.fields {
            match &named.source {
                Source::Time => {}
                Source::Operand(operand) => operand.fields(each),
                Source::Message(template) => template.asked(each),
            }
        }
    }

    /// Appends the message, without time and priority, and returns the fields.
    pub fn render<'a>(
        &'a self,
        event: &'a Event,
        host: &'a Host,
        message: &mut String,
    ) -> Vec<Field<'a>> {
        let context = Context { event, host };
        let fields: Vec<Field<'a>> = self
            .fields
            .iter()
            .map(|named| named.read(context))
            .collect();
        for part in &self.parts {
            match part {
                Part::Text(text) => message.push_str(text),
                Part::Field { index, width } => {
                    let field = fields.get(*index);
                    write(
                        message,
                        field.and_then(|field| field.value.as_ref()),
                        *width,
                    );
                }
                Part::Value { operand, width } => {
                    write(message, printed(operand, context).as_ref(), *width);
                }
            }
        }
        fields
    }
}

impl Named {
    fn read<'a>(&'a self, context: Context<'a>) -> Field<'a> {
        Field {
            name: &self.name,
            value: match &self.source {
                Source::Time => Some(Value::Unsigned(context.event.time_ns)),
                Source::Operand(operand) => extract(operand, context),
                Source::Message(template) => {
                    let mut text = String::new();
                    template.render(context.event, context.host, &mut text);
                    Some(Value::Text(text.into()))
                }
            },
        }
    }
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
            (Get::One(get), _) if field.kind == Type::Net => {
                let placeholder = field.placeholder()?;
                return get(context).map(|_address| Value::Text(placeholder.into()));
            }
            // A text among the fields.
            (Get::One(get), _) if field.name == "fd.dev" => {
                return get(context).map(|device| Value::Text(print(&device).into()));
            }
            _ if field.placeholder().is_some() => return None,
            _ => {}
        }
    }
    operand.value(context)
}

/// As `extract`, for a message: some numbers are filled up there.
fn printed<'a>(operand: &'a Operand, context: Context<'a>) -> Option<Value<'a>> {
    let value = extract(operand, context)?;
    match (operand, value) {
        (Operand::Field { field, .. }, Value::Unsigned(number)) if field.padded => {
            Some(Value::Text(format!("{number:09}").into()))
        }
        (_, value) => Some(value),
    }
}

fn write(message: &mut String, value: Option<&Value<'_>>, width: Option<usize>) {
    let start = message.len();
    match value {
        None => message.push_str(NOT_AVAILABLE),
        Some(value) => value.push_to(message),
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
