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
        let texts = values.iter().map(|value| match value {
            Given::Sequence(_, place) => {
                let message = "the values of one field are texts, not sequences".to_owned();
                let help = "write `values: [a, b]`, or `fields: [...]` for tuples";
                Err((message, place.clone(), Some(help.to_owned())))
            }
            value => Ok(value.text()),
        });
        let set = between(&texts.collect::<Result<Vec<_>, _>>()?, ", ", &self.place);
        let set = in_parentheses(&set, &self.place);
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
        let checks: Vec<Text> = checks
            .map(|((field, comp), value)| check(field, comp, &value.compared(comp)))
            .collect();
        Ok(in_parentheses(&between(&checks, " and ", place), place))
    }
}

impl Given {
    /// What no text is, is one of nothing.
    fn text(&self) -> Text {
        match self {
            Self::Text(text) => quoted(text),
            Self::Sequence(..) | Self::Other(_) => Text::at("", &self.place()),
        }
    }

    /// A sequence is a set. Where the operator takes a set, a lone text stands in parentheses as it
    /// is written: it may be several, or a list.
    fn compared(&self, comp: &Text) -> Text {
        let takes_set = comparison(comp.as_str()).is_some_and(|(_, set)| set);
        match self {
            Self::Sequence(items, place) => {
                let texts: Vec<Text> = items.iter().map(Self::text).collect();
                let written = texts.iter().skip_while(|text| text.as_str().is_empty());
                let written: Vec<Text> = written.cloned().collect();
                in_parentheses(&between(&written, ", ", place), place)
            }
            Self::Text(text) if takes_set && text.as_str().starts_with('(') => text.clone(),
            Self::Text(text) if takes_set => in_parentheses(text, &self.place()),
            Self::Other(place) if takes_set => in_parentheses(&self.text(), place),
            Self::Text(_) | Self::Other(_) => self.text(),
        }
    }
}
