//! Puts a template together: parts in order, fields by name.

use std::{collections::HashMap, ops::Range};

use super::{ISO8601, Named, Operand, Part, Source, SyntaxError, TIME, Template, fields, parse};
use crate::alert::Name;

/// Deprecated parts, and where they stand.
pub(super) type Warnings = Vec<(String, Range<usize>)>;

/// Mistakes of one output beside its first: more would tell nothing new.
const MAX_MORE: usize = 32;

/// What is wrong with an output: Falco looks at the first alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistakes {
    pub first: SyntaxError,
    pub more: Vec<SyntaxError>,
}

impl From<SyntaxError> for Mistakes {
    fn from(first: SyntaxError) -> Self {
        let more = Vec::new();
        Self { first, more }
    }
}

const CONTAINER_INFO: &str = "container.info";

pub(super) struct Builder<'b> {
    parts: Vec<Part>,
    fields: Vec<Named>,
    places: HashMap<String, usize>,
    /// Names that something else than the field of that name will stand under.
    taken: &'b [&'b str],
    warnings: Warnings,
}

impl<'b> Builder<'b> {
    /// `time` is the name of the time that stands before the message.
    pub(super) fn new(time: &str, taken: &'b [&'b str]) -> Self {
        let mut builder = Self {
            parts: Vec::new(),
            fields: Vec::new(),
            places: HashMap::new(),
            taken,
            warnings: Vec::new(),
        };
        builder.place(time.to_owned(), Source::Time);
        builder
    }

    /// What is wrong ends no reading: what follows it may be wrong too.
    pub(super) fn text(&mut self, text: &str) -> Result<(), Mistakes> {
        let mut mistakes: Option<Mistakes> = None;
        // "Print even if a value is missing": Falco adds it to every template.
        let mut at = usize::from(text.starts_with('*'));
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let percent = rest.find('%').unwrap_or(rest.len());
            if percent > 0 {
                let plain = rest.get(..percent).unwrap_or_default();
                self.parts.push(Part::Text(plain.to_owned()));
                at += percent;
                continue;
            }
            let rest = text.get(at + 1..).unwrap_or_default();
            if rest.starts_with(CONTAINER_INFO) {
                let end = at + 1 + CONTAINER_INFO.len();
                let message = "`%container.info` is deprecated and prints nothing".to_owned();
                self.warnings.push((message, at..end));
                at = end;
                continue;
            }
            match parse::token(rest, at, &mut self.warnings) {
                Ok(token) => {
                    at += 1 + token.length;
                    self.add(token);
                }
                Err(mistake) => {
                    at = mistake.span.end;
                    match &mut mistakes {
                        None => mistakes = Some(mistake.into()),
                        Some(told) if told.more.len() < MAX_MORE => told.more.push(mistake),
                        Some(_) => break,
                    }
                }
            }
        }
        mistakes.map_or(Ok(()), Err)
    }

    fn add(&mut self, token: parse::Token) {
        let parse::Token {
            operand,
            width,
            named,
            ..
        } = token;
        let part = match named {
            parse::Named::Field(name) if is_time(&name) => {
                self.place(name, Source::Time);
                Part::Value { operand, width }
            }
            // A number among the fields, filled up in a message.
            parse::Named::Field(name) if matches!(&operand, Operand::Field { field, .. } if field.padded) =>
            {
                self.place(name, Source::Operand(operand.clone()));
                Part::Value { operand, width }
            }
            parse::Named::Field(name) if self.taken.contains(&name.as_str()) => {
                Part::Value { operand, width }
            }
            parse::Named::Field(name) => Part::Field {
                index: self.place(name, Source::Operand(operand)),
                width,
            },
            parse::Named::Call(fields) => {
                for (name, operand) in fields {
                    let source = if is_time(&name) {
                        Source::Time
                    } else {
                        Source::Operand(operand)
                    };
                    self.place(name, source);
                }
                Part::Value { operand, width }
            }
        };
        self.parts.push(part);
    }

    /// The place of the field; a name that is there already means the same.
    fn place(&mut self, name: String, source: Source) -> usize {
        if let Some(place) = self.places.get(&name) {
            return *place;
        }
        let place = self.fields.len();
        self.fields.push(Named {
            name: Name::new(name.as_str()),
            source,
        });
        self.places.insert(name, place);
        place
    }

    /// What stands under this name from now on.
    pub(super) fn set(&mut self, name: &str, source: Source) {
        let known = self.places.get(name).copied();
        match known.and_then(|place| self.fields.get_mut(place)) {
            Some(field) => field.source = source,
            None => {
                self.place(name.to_owned(), source);
            }
        }
    }

    pub(super) fn finish(self, written: String) -> (Template, Warnings) {
        let template = Template {
            written,
            parts: self.parts,
            fields: self.fields,
        };
        (template, self.warnings)
    }
}

/// Times that are numbers among the fields, and texts in a message.
pub(super) fn is_time(name: &str) -> bool {
    matches!(
        name,
        TIME | ISO8601 | "evt.time.s" | "evt.datetime" | "evt.datetime.s" | "evt.outputtime"
    )
}

/// Of deprecated fields that an output names without printing them: Falco tells of the name alone.
pub(super) fn deprecated(text: &str, told: &Warnings) -> Warnings {
    let fields = fields::CATALOGUE.iter().filter(|field| field.deprecated);
    let told = |at: &Range<usize>| {
        told.iter()
            .any(|(_, told)| told.start <= at.start && at.end <= told.end)
    };
    let mut found: Warnings = Vec::new();
    for field in fields {
        let Some(at) = text.find(field.name) else {
            continue;
        };
        let place = at..at + field.name.len();
        if !told(&place) && !found.iter().any(|(_, one)| one.start == at) {
            found.push((format!("the field `{}` is deprecated", field.name), place));
        }
    }
    found
}
