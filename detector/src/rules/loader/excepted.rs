//! What a rule's exceptions except, as a condition (Falco, `rule_loader_compiler.cpp`). Every part
//! keeps the place where it was written.

use super::{
    super::text::{Place, Text},
    exceptions::{Exception, Given, comparison},
    lists::quoted,
};

/// A message, its place and a help.
pub(super) type Refusal = (String, Place, Option<String>);

/// A condition with its exceptions.
pub(super) struct Joined {
    /// `(condition) and not exception and not ...`.
    pub(super) condition: Text,
    /// Each value of the exceptions as a condition of its own, and where it is written.
    pub(super) values: Vec<(Place, Text)>,
    /// The values that are none: they are left out.
    pub(super) refused: Vec<Refusal>,
}

pub(super) fn join(condition: &Text, exceptions: &[Exception]) -> Joined {
    let mut joined = Joined {
        condition: condition.clone(),
        values: Vec::new(),
        refused: Vec::new(),
    };
    let mut given = exceptions.iter().filter(|one| !one.values.is_empty());
    let Some(first) = given.next() else {
        return joined;
    };
    joined.condition = Text::at("(", &condition.place(&(0..1)));
    joined.condition.push(condition);
    joined.condition.push_str(")");
    for exception in std::iter::once(first).chain(given) {
        exception.push_to(&mut joined);
    }
    joined
}

impl Exception {
    /// Each value that is one, alone and with the others.
    fn push_to(&self, joined: &mut Joined) {
        let mut good = Vec::with_capacity(self.values.len());
        for value in &self.values {
            let mut alone = Text::default();
            let pushed = match self.scalar {
                true => self.push_alone(value, &mut alone),
                false => self.push_tuple(value, &mut alone),
            };
            match pushed {
                Ok(()) => good.push((value, alone)),
                Err(refusal) => joined.refused.push(refusal),
            }
        }
        if good.is_empty() {
            return;
        }
        let out = &mut joined.condition;
        out.push_at(" and not ", &self.place);
        if self.scalar {
            self.push_set(good.iter().map(|(value, _)| *value), out);
        } else {
            out.push_at("(", &self.place);
            for (index, (_, alone)) in good.iter().enumerate() {
                if index > 0 {
                    out.push_at(" or ", &self.place);
                }
                out.push(alone);
            }
            out.push_at(")", &self.place);
        }
        let places = good
            .into_iter()
            .map(|(value, alone)| (value.place(), alone));
        joined.values.extend(places);
    }

    fn push_alone(&self, value: &Given, out: &mut Text) -> Result<(), Refusal> {
        if let Given::Sequence(_, place) = value {
            let message = "the values of one field are texts, not sequences".to_owned();
            let help = "write `values: [a, b]`, or `fields: [...]` for tuples";
            return Err((message, place.clone(), Some(help.to_owned())));
        }
        self.push_set(std::iter::once(value), out);
        Ok(())
    }

    /// `field comp (values)`.
    fn push_set<'v>(&self, values: impl Iterator<Item = &'v Given>, out: &mut Text) {
        let (Some(field), Some(comp)) = (self.fields.first(), self.comps.first()) else {
            return;
        };
        push_left(field, comp, out);
        out.push_at("(", &self.place);
        for (index, value) in values.enumerate() {
            if index > 0 {
                out.push_at(", ", &self.place);
            }
            value.push_text(out);
        }
        out.push_at(")", &self.place);
    }

    fn push_tuple(&self, tuple: &Given, out: &mut Text) -> Result<(), Refusal> {
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
        out.push_at("(", place);
        let checks = self.fields.iter().zip(&self.comps).zip(values);
        for (index, ((field, comp), value)) in checks.enumerate() {
            if index > 0 {
                out.push_at(" and ", place);
            }
            push_left(field, comp, out);
            value.push_compared(comp, out);
        }
        out.push_at(")", place);
        Ok(())
    }
}

/// `field comp `.
fn push_left(field: &Text, comp: &Text, out: &mut Text) {
    out.push(field);
    out.push_str(" ");
    out.push(comp);
    out.push_str(" ");
}

impl Given {
    /// What no text is, is one of nothing.
    fn push_text(&self, out: &mut Text) {
        if let Self::Text(text) = self {
            out.push(&quoted(text));
        }
    }

    /// A sequence is a set. Where the operator takes a set, a lone text stands in parentheses as it
    /// is written: it may be several, or a list.
    fn push_compared(&self, comp: &Text, out: &mut Text) {
        let takes_set = comparison(comp.as_str()).is_some_and(|(_, set)| set);
        match self {
            Self::Sequence(items, place) => {
                out.push_at("(", place);
                let start = out.as_str().len();
                for item in items {
                    // Leading empty ones leave nothing, not even a comma.
                    if out.as_str().len() > start {
                        out.push_at(", ", place);
                    }
                    item.push_text(out);
                }
                out.push_at(")", place);
            }
            Self::Text(text) if takes_set && text.as_str().starts_with('(') => out.push(text),
            Self::Text(text) if takes_set => {
                let place = self.place();
                out.push_at("(", &place);
                out.push(text);
                out.push_at(")", &place);
            }
            Self::Other(place) if takes_set => out.push_at("()", place),
            Self::Text(_) | Self::Other(_) => self.push_text(out),
        }
    }
}
