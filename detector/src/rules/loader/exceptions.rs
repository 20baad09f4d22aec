//! A rule's exceptions: read, and appended to (Falco, `rule_loader_collector.cpp`). `excepted`
//! writes them as a condition.

use std::{collections::HashMap, ops::Deref};

use super::{
    super::{
        ast::{Modifier, Operator},
        checker, spelling,
        text::{Place, Text},
        yaml::{Node, Value},
    },
    SHAPE, VALIDATE,
    excepted::Refusal,
    report::Report,
};

const NOT_UNIQUE: &str = "LOAD_EXCEPTION_NAME_NOT_UNIQUE";
const NO_VALUES: &str = "LOAD_APPEND_NO_VALUES";
/// Our own: Falco reads past it in silence.
const UNKNOWN_KEY: &str = "RULE_EXCEPTION_KEY";
/// Our own likewise.
const NO_VALUE: &str = "RULE_EXCEPTION_VALUE";
pub(in super::super) const KEYS: [&str; 4] = ["name", "fields", "comps", "values"];
/// Sequences within those of the values that have a meaning.
const SET: usize = 2;
const SHAPES: &str = "write `- name: ...`, `fields: ...` and `values: ...`";

#[derive(Debug, Clone)]
pub(super) struct Exception {
    pub(super) name: String,
    pub(super) place: Place,
    /// One entry in the scalar form.
    pub(super) fields: Vec<Text>,
    pub(super) comps: Vec<Text>,
    pub(super) scalar: bool,
    pub(super) values: Vec<Given>,
}

/// In their order. Of those that share a name the first has more values appended to it.
#[derive(Debug, Clone, Default)]
pub(super) struct Exceptions {
    all: Vec<Exception>,
    first: HashMap<String, usize>,
}

impl Deref for Exceptions {
    type Target = [Exception];

    fn deref(&self) -> &[Exception] {
        &self.all
    }
}

impl Exceptions {
    fn named(&self, name: &str) -> Option<&Exception> {
        self.all.get(*self.first.get(name)?)
    }

    fn push(&mut self, exception: Exception) {
        let (name, index) = (exception.name.clone(), self.all.len());
        self.first.entry(name).or_insert(index);
        self.all.push(exception);
    }

    /// By name: values are added to those that exist, new entries come at the end.
    pub(super) fn append(&mut self, new: Self) {
        for exception in new.all {
            let known = self.first.get(&exception.name);
            match known.and_then(|index| self.all.get_mut(*index)) {
                Some(existing) => existing.values.extend(exception.values),
                None => self.push(exception),
            }
        }
    }
}

/// A part of the values as written.
#[derive(Debug, Clone)]
pub(super) enum Given {
    Text(Text),
    Sequence(Vec<Given>, Place),
    /// Null, a map, or too deep a sequence: a text of nothing.
    Other(Place),
}

impl Given {
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Text(text) => text.place(&(0..text.as_str().len())),
            Self::Sequence(_, place) | Self::Other(place) => place.clone(),
        }
    }

    pub(super) fn texts(&self, each: &mut dyn FnMut(&Text)) {
        match self {
            Self::Text(text) => each(text),
            Self::Sequence(items, _) => items.iter().for_each(|item| item.texts(each)),
            Self::Other(_) => {}
        }
    }
}

/// How the entries relate to those that the rule has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Define,
    Append,
}

/// All entries of one item but those that are refused: the others are looked at all the same.
pub(super) fn read(
    file: usize,
    node: &Node,
    mode: Mode,
    known: &Exceptions,
    report: &mut Report<'_>,
) -> Exceptions {
    let mut read = Exceptions::default();
    let entries = match &node.value {
        Value::Null => return read,
        Value::Sequence(entries) => entries,
        _ => {
            let place = Place {
                file,
                span: node.span.clone(),
            };
            let message = "exceptions are a sequence of maps";
            report.error(&place, SHAPE, message, SHAPES.to_owned());
            return read;
        }
    };
    for entry in entries {
        let mut entry = Entry {
            file,
            node: entry,
            report,
        };
        let Some(exception) = entry.read(mode, known) else {
            continue;
        };
        if read.named(&exception.name).is_some() {
            let message = format!(
                "the exception `{}` is written twice: both count",
                exception.name
            );
            let help = "give each a name of its own, or put all values in one".to_owned();
            report.warning(&exception.place, NOT_UNIQUE, message, help);
        }
        read.push(exception);
    }
    read
}

/// One entry that is being read.
struct Entry<'e, 'a> {
    file: usize,
    node: &'e Node,
    report: &'e mut Report<'a>,
}

impl Entry<'_, '_> {
    fn at(&self, node: &Node) -> Place {
        Place {
            file: self.file,
            span: node.span.clone(),
        }
    }

    /// Of a key that is there, else of the entry's name, else of its first key.
    fn place(&self, key: &str) -> Place {
        let first = match &self.node.value {
            Value::Map(pairs) => pairs.first().map_or(self.node, |(key, _)| key),
            _ => self.node,
        };
        let found = self.node.get(key).or_else(|| self.node.get("name"));
        self.at(found.unwrap_or(first))
    }

    fn refuse<T>(
        &mut self,
        key: &str,
        code: &'static str,
        message: String,
        help: impl Into<Option<String>>,
    ) -> Option<T> {
        let place = self.place(key);
        self.report.error(&place, code, message, help);
        None
    }

    fn read(&mut self, mode: Mode, known: &Exceptions) -> Option<Exception> {
        let Value::Map(pairs) = &self.node.value else {
            let message = "an exception is a map".to_owned();
            return self.refuse("", SHAPE, message, SHAPES.to_owned());
        };
        self.unknown_keys(pairs);
        let named = self.node.get("name");
        let name = named.and_then(|node| self.report.text(self.file, node));
        let Some(name) = name.filter(|name| !name.as_str().is_empty()) else {
            let message = "an exception needs a `name`".to_owned();
            return self.refuse("name", SHAPE, message, "add `name: ...`".to_owned());
        };
        let place = name.place(&(0..name.as_str().len()));
        let name = name.as_str().to_owned();
        let good = ["fields", "comps", "values"].map(|key| self.none_empty(key));
        let values = self.values().filter(|_| !good.contains(&false))?;
        if mode == Mode::Append && self.node.get("values").is_none() {
            let message = format!("the exception `{name}` is appended without values");
            let help = "add `values: [...]`".to_owned();
            self.report.warning(&place, NO_VALUES, message, help);
        }
        if mode == Mode::Append
            && let Some(existing) = known.named(&name)
        {
            return self.more(existing, values);
        }
        let Some((scalar, fields)) = self.texts("fields") else {
            let code = match (mode, self.node.get("fields")) {
                (Mode::Define, None) => SHAPE,
                _ => VALIDATE,
            };
            let message = format!("the exception `{name}` needs `fields`");
            let help = "write `fields: proc.name`, or `fields: [proc.name, fd.sport]`".to_owned();
            return self.refuse("fields", code, message, help);
        };
        if mode == Mode::Append && values.is_empty() {
            let message = format!("the new exception `{name}` needs `values`");
            return self.refuse(
                "values",
                VALIDATE,
                message,
                "add `values: [...]`".to_owned(),
            );
        }
        let comps = self.comps(scalar, &fields)?;
        let exception = Exception {
            name,
            place,
            fields,
            comps,
            scalar,
            values,
        };
        let problems = exception.problems();
        let good = problems.is_empty();
        for (message, place, help) in problems {
            self.report.error(&place, VALIDATE, message, help);
        }
        good.then_some(exception)
    }

    fn unknown_keys(&mut self, pairs: &[(Node, Node)]) {
        for (key, _) in pairs {
            let name = key.text().unwrap_or_default();
            if !KEYS.contains(&name) {
                let message = format!("the key `{name}` is not known in an exception");
                let help = spelling::did_you_mean(name, KEYS)
                    .unwrap_or_else(|| format!("known are {}", KEYS.join(", ")));
                let place = self.at(key);
                self.report.warning(&place, UNKNOWN_KEY, message, help);
            }
        }
    }

    fn values(&mut self) -> Option<Vec<Given>> {
        match self.node.get("values").map(|node| &node.value) {
            None => Some(Vec::new()),
            Some(Value::Sequence(values)) => {
                Some(values.iter().map(|one| self.value(one, 0)).collect())
            }
            Some(_) => {
                let message = "the values of an exception are a sequence".to_owned();
                let help = "write `values: [...]`, or leave it out".to_owned();
                self.refuse("values", SHAPE, message, help)
            }
        }
    }

    /// A part of the values: a tuple, a set within one, or a text.
    fn value(&mut self, node: &Node, depth: usize) -> Given {
        let place = self.at(node);
        if let Value::Sequence(items) = &node.value
            && depth < SET
        {
            let items = items.iter().map(|one| self.value(one, depth + 1));
            return Given::Sequence(items.collect(), place);
        }
        if let Some(text) = self.report.text(self.file, node) {
            return Given::Text(text);
        }
        let place = match node.span.is_empty() {
            true => self.place("values"),
            false => place,
        };
        let message = "this value of an exception is no text: it stands for nothing";
        let help = "write a text, or leave it out".to_owned();
        self.report.warning(&place, NO_VALUE, message, help);
        Given::Other(place)
    }

    /// A text of no characters, at any depth: it is refused wherever it stands.
    fn none_empty(&mut self, key: &str) -> bool {
        let Some(empty) = self.node.get(key).and_then(empty_text) else {
            return true;
        };
        let message = format!("a text of `{key}` is empty");
        let help = "leave it out; a value that is to be empty is written '\"\"'".to_owned();
        self.report.error(&self.at(empty), SHAPE, message, help);
        false
    }

    /// Values for an exception that the rule has.
    fn more(&mut self, existing: &Exception, values: Vec<Given>) -> Option<Exception> {
        for key in ["fields", "comps"] {
            if self.given(key).is_some() {
                let name = &existing.name;
                let message = format!(
                    "the exception `{name}` is defined already: only `values` are appended"
                );
                return self.refuse(key, VALIDATE, message, format!("leave out `{key}`"));
            }
        }
        Some(Exception {
            name: existing.name.clone(),
            place: existing.place.clone(),
            fields: existing.fields.clone(),
            comps: existing.comps.clone(),
            scalar: existing.scalar,
            values,
        })
    }

    /// An empty sequence is nothing.
    fn given(&self, key: &str) -> Option<&Node> {
        let node = self.node.get(key);
        node.filter(|node| match &node.value {
            Value::Null => false,
            Value::Sequence(items) => !items.is_empty(),
            Value::Text(_) | Value::Map(_) => true,
        })
    }

    /// A scalar, or a sequence of them.
    fn texts(&self, key: &str) -> Option<(bool, Vec<Text>)> {
        let node = self.given(key)?;
        if let Value::Sequence(items) = &node.value {
            let text = |item| self.report.text(self.file, item);
            return Some((false, items.iter().map(text).collect::<Option<_>>()?));
        }
        Some((true, vec![self.report.text(self.file, node)?]))
    }

    /// The operators; without any, each takes the place of its field.
    fn comps(&mut self, scalar: bool, fields: &[Text]) -> Option<Vec<Text>> {
        if self.given("comps").is_none() {
            let default = if scalar { "in" } else { "=" };
            let all = |field: &Text| field.place(&(0..field.as_str().len()));
            let comps = fields.iter().map(|field| Text::at(default, &all(field)));
            return Some(comps.collect());
        }
        match self.texts("comps") {
            Some((same, comps)) if same == scalar => {
                Some(comps.iter().map(Text::trimmed).collect())
            }
            _ => {
                let message = "`fields` and `comps` are both one text, or both sequences";
                let help = if scalar {
                    "write `comps: in`"
                } else {
                    "write `comps: [=, in]`, one for each field"
                };
                self.refuse("comps", VALIDATE, message.to_owned(), help.to_owned())
            }
        }
    }
}

fn empty_text(node: &Node) -> Option<&Node> {
    match &node.value {
        Value::Text(text) => text.is_empty().then_some(node),
        Value::Sequence(items) => items.iter().find_map(empty_text),
        Value::Null | Value::Map(_) => None,
    }
}

/// The operator of a comparison, and whether it takes a set.
pub(super) fn comparison(text: &str) -> Option<(Operator, bool)> {
    let mut words = text.split_whitespace();
    let operator = Operator::parse(words.next()?)?;
    let modifier = words.next();
    if words.next().is_some() {
        return None;
    }
    match modifier {
        None => Some((operator, operator.is_list())),
        Some(word) => {
            let known = Modifier::ALL.iter().any(|one| one.as_str() == word);
            let takes = !operator.is_list() && !operator.is_order() && operator != Operator::Exists;
            (known && takes).then_some((operator, true))
        }
    }
}

impl Exception {
    fn problems(&self) -> Vec<Refusal> {
        let name = &self.name;
        let (fields, comps) = (self.fields.len(), self.comps.len());
        let mut problems = Vec::new();
        if fields != comps {
            let message =
                format!("the exception `{name}` has {fields} `fields` and {comps} `comps`");
            let help = "write one operator for each field".to_owned();
            let place = self.comps.last().map_or(self.place.clone(), whole);
            problems.push((message, place, Some(help)));
        }
        problems.extend(
            self.comps
                .iter()
                .filter_map(|comp| self.of_comparison(comp)),
        );
        problems.extend(self.fields.iter().filter_map(|field| {
            let (problem, help) = checker::field_problem(field.as_str())?;
            let message = format!("in the exception `{name}`: {problem}");
            Some((message, whole(field), help))
        }));
        problems
    }

    fn of_comparison(&self, comp: &Text) -> Option<Refusal> {
        let written = comp.as_str();
        let Some((operator, set)) = comparison(written) else {
            let message = format!("`{written}` is no operator for an exception");
            let words = Operator::ALL.iter().map(|one| one.as_str());
            let own = spelling::foreign(written).map(|own| format!("write `{own}`"));
            let near = || spelling::did_you_mean(written, words);
            let help = own.or_else(near).unwrap_or_else(|| {
                "write an operator such as = in startswith, or one with oneof, anyof or allof"
                    .to_owned()
            });
            return Some((message, whole(comp), Some(help)));
        };
        if !self.scalar || set {
            return None;
        }
        let message = format!("one field is compared with a set, and `{written}` takes none");
        let sets = "write in, pmatch, intersects, or an operator with oneof, anyof or allof";
        let help = if operator == Operator::Exists {
            format!("{sets}: `exists` takes no value")
        } else {
            format!("{sets}; or `fields: [...]`, `comps: [{written}]` and `values: [[...]]`")
        };
        Some((message, whole(comp), Some(help)))
    }
}

fn whole(text: &Text) -> Place {
    text.place(&(0..text.as_str().len()))
}
