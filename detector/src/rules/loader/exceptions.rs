//! A rule's exceptions: read, appended to, and written as a condition
//! (Falco, `rule_loader_collector.cpp` and `rule_loader_compiler.cpp`).

use super::{
    super::{
        ast::{Modifier, Operator},
        checker,
        text::{Place, Text},
        yaml::{Node, Value},
    },
    SHAPE, VALIDATE, lists,
    report::Report,
};

const NOT_UNIQUE: &str = "LOAD_EXCEPTION_NAME_NOT_UNIQUE";
const NO_VALUES: &str = "LOAD_APPEND_NO_VALUES";

#[derive(Clone)]
pub(super) struct Exception {
    name: String,
    place: Place,
    /// One entry in the scalar form.
    fields: Vec<String>,
    comps: Vec<String>,
    scalar: bool,
    values: Vec<Node>,
}

/// How the entries relate to those that the rule has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Define,
    Append,
}

/// A scalar, or a sequence of them.
fn texts(node: &Node) -> Option<(bool, Vec<String>)> {
    match &node.value {
        Value::Text(text) => Some((true, vec![text.clone()])),
        Value::Sequence(items) => {
            let texts: Option<Vec<String>> = items
                .iter()
                .map(|item| item.text().map(str::to_owned))
                .collect();
            texts.map(|texts| (false, texts))
        }
        _ => None,
    }
}

/// All entries of one item; `None` if any was refused.
pub(super) fn read(
    file: usize,
    node: &Node,
    mode: Mode,
    known: &[Exception],
    report: &mut Report<'_>,
) -> Option<Vec<Exception>> {
    let place = |span: &std::ops::Range<usize>| Place {
        file,
        span: span.clone(),
    };
    let entries = match &node.value {
        Value::Null => return Some(Vec::new()),
        Value::Sequence(entries) => entries,
        _ => {
            let help = "write `- name: ...`, `fields: ...` and `values: ...`".to_owned();
            report.error(
                &place(&node.span),
                SHAPE,
                "exceptions are a sequence of maps",
                help,
            );
            return None;
        }
    };
    let mut read: Vec<Exception> = Vec::new();
    let mut good = true;
    for entry in entries {
        let at = place(&entry.span);
        match one(entry, &at, mode, known, report) {
            Some(exception) => {
                if read.iter().any(|other| other.name == exception.name) {
                    let message = format!(
                        "the exception `{}` is written twice: both count",
                        exception.name
                    );
                    report.warning(&at, NOT_UNIQUE, message, None);
                }
                read.push(exception);
            }
            None => good = false,
        }
    }
    good.then_some(read)
}

fn one(
    entry: &Node,
    at: &Place,
    mode: Mode,
    known: &[Exception],
    report: &mut Report<'_>,
) -> Option<Exception> {
    if !matches!(entry.value, Value::Map(_)) {
        report.error(at, SHAPE, "an exception is a map", None);
        return None;
    }
    let Some(name) = entry.get("name").and_then(Node::text).map(str::to_owned) else {
        report.error(at, SHAPE, "an exception needs a `name`", None);
        return None;
    };
    let values = match entry.get("values").map(|node| &node.value) {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Sequence(values)) => values.clone(),
        Some(_) => {
            let help = "write `values: [...]`".to_owned();
            report.error(at, SHAPE, "the values of an exception are a sequence", help);
            return None;
        }
    };
    let given = |key| {
        entry
            .get(key)
            .filter(|node| !matches!(node.value, Value::Null))
    };
    if mode == Mode::Append && values.is_empty() {
        let message = format!("the exception `{name}` is appended without values");
        report.warning(at, NO_VALUES, message, None);
    }
    if mode == Mode::Append
        && let Some(existing) = known.iter().find(|other| other.name == name)
    {
        if given("fields").is_some() || given("comps").is_some() {
            let message =
                format!("the exception `{name}` is defined already: only `values` are appended");
            report.error(
                at,
                VALIDATE,
                message,
                "leave out `fields` and `comps`".to_owned(),
            );
            return None;
        }
        return Some(Exception {
            values,
            ..existing.clone()
        });
    }
    let Some((scalar, fields)) = given("fields").and_then(texts) else {
        let code = if mode == Mode::Append {
            VALIDATE
        } else {
            SHAPE
        };
        report.error(
            at,
            code,
            format!("the exception `{name}` needs `fields`"),
            None,
        );
        return None;
    };
    if mode == Mode::Append && values.is_empty() {
        let message = format!("the new exception `{name}` needs `values`");
        report.error(at, VALIDATE, message, None);
        return None;
    }
    let comps = match given("comps").map(texts) {
        None => vec![if scalar { "in" } else { "=" }.to_owned(); fields.len()],
        Some(Some((same, comps))) if same == scalar => {
            comps.iter().map(|comp| comp.trim().to_owned()).collect()
        }
        Some(_) => {
            let message = "`fields` and `comps` are both one text, or both sequences";
            report.error(at, VALIDATE, message, None);
            return None;
        }
    };
    let exception = Exception {
        name,
        place: at.clone(),
        fields,
        comps,
        scalar,
        values,
    };
    if let Some((message, help)) = exception.problem() {
        report.error(at, VALIDATE, message, help);
        return None;
    }
    Some(exception)
}

/// The operator of a comparison, and whether it takes a set.
fn comparison(text: &str) -> Option<(Operator, bool)> {
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
    fn problem(&self) -> Option<(String, Option<String>)> {
        let name = &self.name;
        if self.fields.len() != self.comps.len() {
            return Some((
                format!("the exception `{name}` has as many `comps` as `fields`"),
                None,
            ));
        }
        for comp in &self.comps {
            let Some((_, set)) = comparison(comp) else {
                let message =
                    format!("`{comp}` is no comparison operator of the exception `{name}`");
                return Some((
                    message,
                    Some("use an operator such as = in startswith".to_owned()),
                ));
            };
            if self.scalar && !set {
                let message = format!("one field is compared with a set, and `{comp}` takes none");
                let help = "use in, pmatch, intersects, or an operator with oneof, anyof or allof";
                return Some((message, Some(help.to_owned())));
            }
        }
        self.fields.iter().find_map(|field| {
            let problem = checker::field_problem(field)?;
            Some((format!("in the exception `{name}`: {problem}"), None))
        })
    }

    /// What is excepted, as a condition; nothing without values.
    fn condition(&self) -> Result<Option<String>, String> {
        if self.values.is_empty() {
            return Ok(None);
        }
        if self.scalar {
            let values = self
                .values
                .iter()
                .map(|node| node.text().map(lists::quoted))
                .collect::<Option<Vec<_>>>()
                .ok_or("the values of one field are texts, not sequences")?;
            let (field, comp) = (self.fields.first(), self.comps.first());
            let (Some(field), Some(comp)) = (field, comp) else {
                return Ok(None);
            };
            return Ok(Some(format!("{field} {comp} ({})", values.join(", "))));
        }
        let tuples = self
            .values
            .iter()
            .map(|tuple| self.tuple(tuple))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Some(format!("({})", tuples.join(" or "))))
    }

    fn tuple(&self, tuple: &Node) -> Result<String, String> {
        let name = &self.name;
        let Value::Sequence(values) = &tuple.value else {
            return Err(format!(
                "each value of the exception `{name}` is a sequence"
            ));
        };
        if values.len() != self.fields.len() {
            let count = self.fields.len();
            return Err(format!(
                "each value of the exception `{name}` has {count} elements"
            ));
        }
        let checks = self.fields.iter().zip(&self.comps).zip(values);
        let checks = checks
            .map(|((field, comp), value)| {
                let set = comparison(comp).is_some_and(|(_, set)| set);
                let value = match &value.value {
                    Value::Sequence(items) => {
                        let items = items
                            .iter()
                            .map(|item| item.text().map(lists::quoted))
                            .collect::<Option<Vec<_>>>()
                            .ok_or_else(|| {
                                format!("a value of the exception `{name}` is too deep")
                            })?;
                        format!("({})", items.join(", "))
                    }
                    Value::Text(text) if set && !text.starts_with('(') => {
                        format!("({})", lists::quoted(text))
                    }
                    Value::Text(text) => lists::quoted(text),
                    _ => return Err(format!("a value of the exception `{name}` is missing")),
                };
                Ok(format!("{field} {comp} {value}"))
            })
            .collect::<Result<Vec<_>, String>>()?;
        Ok(format!("({})", checks.join(" and ")))
    }
}

/// By name: values are added to those that exist, new entries come at the end.
pub(super) fn append(known: &mut Vec<Exception>, new: Vec<Exception>) {
    for exception in new {
        match known.iter_mut().find(|other| other.name == exception.name) {
            Some(existing) => existing.values.extend(exception.values),
            None => known.push(exception),
        }
    }
}

/// `(condition) and not exception and not ...`; a mistake keeps the place of its exception.
pub(super) fn join(condition: &Text, exceptions: &[Exception]) -> Result<Text, (String, Place)> {
    let mut parts = Vec::new();
    for exception in exceptions {
        let part = exception
            .condition()
            .map_err(|message| (message, exception.place.clone()))?;
        parts.extend(part.map(|part| Text::at(&format!(" and not {part}"), &exception.place)));
    }
    if parts.is_empty() {
        return Ok(condition.clone());
    }
    let first = condition.place(&(0..1));
    let mut joined = Text::at("(", &first);
    joined.push(condition);
    joined.push_str(")");
    for part in &parts {
        joined.push(part);
    }
    Ok(joined)
}
