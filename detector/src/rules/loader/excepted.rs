//! What a rule's exceptions except, as a condition (Falco, `rule_loader_compiler.cpp`). Every part
//! keeps the place where it was written.

use super::{
    super::text::{Place, Text},
    exceptions::{Exception, Given, comparison},
    lists::quoted,
};

/// A message, its place and a help.
pub(super) type Refusal = (String, Place, Option<String>);

/// `(condition) and not exception and not ...`.
pub(super) fn join(condition: &Text, exceptions: &[Exception]) -> Result<Text, Refusal> {
    let mut parts = Vec::new();
    for exception in exceptions {
        if !exception.values.is_empty() {
            parts.push((exception, exception.condition()?));
        }
    }
    if parts.is_empty() {
        return Ok(condition.clone());
    }
    let mut whole = Text::at("(", &condition.place(&(0..1)));
    whole.push(condition);
    whole.push_str(")");
    for (exception, part) in parts {
        whole.push(&Text::at(" and not ", &exception.place));
        whole.push(&part);
    }
    Ok(whole)
}

fn in_parentheses(inner: &Text, place: &Place) -> Text {
    let mut text = Text::at("(", place);
    text.push(inner);
    text.push(&Text::at(")", place));
    text
}

/// `field comp value`.
fn check(field: &Text, comp: &Text, value: &Text) -> Text {
    let mut text = field.clone();
    text.push_str(" ");
    text.push(comp);
    text.push_str(" ");
    text.push(value);
    text
}

fn between(parts: &[Text], word: &str, place: &Place) -> Text {
    let mut text = Text::default();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            text.push(&Text::at(word, place));
        }
        text.push(part);
    }
    text
}

/// Each value of the exceptions as a condition of its own, and where it is written.
pub(super) fn values(exceptions: &[Exception]) -> Vec<(Place, Text)> {
    let each = |exception: &Exception| -> Vec<(Place, Text)> {
        let one = |value: &Given| Some((value.place(), exception.one(value).ok()?));
        exception.values.iter().filter_map(one).collect()
    };
    exceptions.iter().flat_map(each).collect()
}

impl Exception {
    fn one(&self, value: &Given) -> Result<Text, Refusal> {
        if !self.scalar {
            return self.tuple(value);
        }
        self.sets(std::slice::from_ref(value))
    }

    /// `field comp (values)`.
    fn sets(&self, values: &[Given]) -> Result<Text, Refusal> {
        let nested = "the values of one field are texts, not sequences";
        let help = "write `values: [a, b]`, or `fields: [...]` for tuples";
        let set = self.set(values, nested, help)?;
        let (field, comp) = (self.fields.first(), self.comps.first());
        Ok(match (field, comp) {
            (Some(field), Some(comp)) => check(field, comp, &set),
            _ => Text::default(),
        })
    }

    /// What is excepted.
    fn condition(&self) -> Result<Text, Refusal> {
        if self.scalar {
            return self.sets(&self.values);
        }
        let tuples = self.values.iter().map(|tuple| self.tuple(tuple));
        let tuples = tuples.collect::<Result<Vec<_>, _>>()?;
        let any = between(&tuples, " or ", &self.place);
        Ok(in_parentheses(&any, &self.place))
    }

    /// `(a, b)`.
    fn set(&self, items: &[Given], message: &str, help: &str) -> Result<Text, Refusal> {
        let text = |item: &Given| match item {
            Given::Text(text) => Ok(text.clone()),
            other => Err((message.to_owned(), other.place(), Some(help.to_owned()))),
        };
        let texts = items.iter().map(text).collect::<Result<Vec<_>, _>>()?;
        let quoted: Vec<Text> = texts.iter().map(quoted).collect();
        let set = between(&quoted, ", ", &self.place);
        Ok(in_parentheses(&set, &self.place))
    }

    fn tuple(&self, tuple: &Given) -> Result<Text, Refusal> {
        let name = &self.name;
        let count = self.fields.len();
        let refused = |message: String| {
            let fields: Vec<&str> = self.fields.iter().map(Text::as_str).collect();
            let help = format!(
                "write `[...]` with a value for each of {}",
                fields.join(", ")
            );
            (message, tuple.place(), Some(help))
        };
        let Given::Sequence(values, place) = tuple else {
            return Err(refused(format!(
                "each value of the exception `{name}` is a sequence"
            )));
        };
        if values.len() != count {
            let found = values.len();
            return Err(refused(format!(
                "the exception `{name}` has {count} fields, and this value {found}"
            )));
        }
        let checks = self.fields.iter().zip(&self.comps).zip(values);
        let checks = checks
            .map(|((field, comp), value)| Ok(check(field, comp, &self.value(comp, value)?)))
            .collect::<Result<Vec<_>, Refusal>>()?;
        Ok(in_parentheses(&between(&checks, " and ", place), place))
    }

    /// A sequence is a set; a lone text where the operator takes a set is one too.
    fn value(&self, comp: &Text, value: &Given) -> Result<Text, Refusal> {
        let name = &self.name;
        match value {
            Given::Sequence(items, _) => {
                let message = format!("a value of the exception `{name}` is too deep");
                self.set(items, &message, "write texts within these brackets")
            }
            Given::Text(text) => {
                let set = comparison(comp.as_str()).is_some_and(|(_, set)| set);
                let own = set && !text.as_str().starts_with('(');
                Ok(if own {
                    in_parentheses(&quoted(text), &value.place())
                } else {
                    quoted(text)
                })
            }
            Given::Other(place) => {
                let message = format!("a value of the exception `{name}` is missing");
                let help = "write a text; an empty one is \"\\\"\\\"\"".to_owned();
                Err((message, place.clone(), Some(help)))
            }
        }
    }
}
