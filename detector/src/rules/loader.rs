//! Rule files to a ruleset: every mistake is reported, not the first.

use std::{collections::BTreeMap, ops::Range};

use super::{
    Rule, Ruleset,
    ast::{Check, Expression, Operator},
    compiler::{Condition, Constant},
    diagnostic::{Diagnostic, Severity},
    fields::{self, Type},
    lexer::SyntaxError,
    output::Template,
    parser,
    yaml::{self, Node, Value},
};
use crate::alert::Priority;

const PARSE: &str = "LOAD_ERR_YAML_PARSE";
const SHAPE: &str = "LOAD_ERR_YAML_VALIDATE";
const CONDITION: &str = "LOAD_ERR_COMPILE_CONDITION";
const OUTPUT: &str = "LOAD_ERR_COMPILE_OUTPUT";
const VALIDATE: &str = "LOAD_ERR_VALIDATE";
const UNKNOWN_KEY: &str = "LOAD_UNKNOWN_KEY";

const KEYS: [&str; 11] = [
    "rule",
    "macro",
    "list",
    "desc",
    "condition",
    "output",
    "priority",
    "tags",
    "enabled",
    "items",
    "override",
];
/// Macros within macros, lists within lists.
const MAX_EXPANSION: usize = 64;

pub struct SourceFile {
    pub name: String,
    pub text: String,
}

pub struct Loaded {
    /// `None` if any diagnostic is an error.
    pub ruleset: Option<Ruleset>,
    pub diagnostics: Vec<Diagnostic>,
}

/// A scalar and where it stands.
#[derive(Clone)]
struct Place {
    file: usize,
    span: Range<usize>,
}

struct Loader<'a> {
    files: &'a [SourceFile],
    diagnostics: Vec<Diagnostic>,
    lists: BTreeMap<String, Vec<String>>,
    macros: BTreeMap<String, Expression>,
    rules: Vec<(String, Place, Node)>,
}

pub fn load(files: &[SourceFile]) -> Loaded {
    let mut loader = Loader {
        files,
        diagnostics: Vec::new(),
        lists: BTreeMap::new(),
        macros: BTreeMap::new(),
        rules: Vec::new(),
    };
    for file in 0..files.len() {
        loader.read(file);
    }
    let mut rules = Vec::new();
    for (name, place, item) in std::mem::take(&mut loader.rules) {
        rules.extend(loader.rule(name, &place, &item));
    }
    let failed = loader
        .diagnostics
        .iter()
        .any(|one| one.severity == Severity::Error);
    Loaded {
        ruleset: (!failed).then(|| Ruleset::new(rules)),
        diagnostics: loader.diagnostics,
    }
}

impl Loader<'_> {
    fn report(&mut self, place: &Place, code: &'static str, message: String, help: Option<String>) {
        let Some(file) = self.files.get(place.file) else {
            return;
        };
        let before = file.text.get(..place.span.start).unwrap_or_default();
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        self.diagnostics.push(Diagnostic {
            severity: if code == UNKNOWN_KEY {
                Severity::Warning
            } else {
                Severity::Error
            },
            code,
            message,
            file: file.name.clone(),
            span: place.span.clone(),
            line: before.matches('\n').count() + 1,
            column,
            help,
        });
    }

    fn read(&mut self, file: usize) {
        let Some(source) = self.files.get(file) else {
            return;
        };
        let documents = match yaml::parse(&source.text) {
            Ok(documents) => documents,
            Err((message, at)) => {
                return self.report(&Place { file, span: at..at }, PARSE, message, None);
            }
        };
        for document in documents {
            let place = Place {
                file,
                span: document.span.clone(),
            };
            match document.value {
                Value::Sequence(items) => items.into_iter().for_each(|item| self.item(file, item)),
                Value::Text(text) if text.is_empty() || text == "~" => {}
                _ => self.report(
                    &place,
                    SHAPE,
                    "a rules file is a sequence of items".to_owned(),
                    Some("begin each item with `- rule:`, `- macro:` or `- list:`".to_owned()),
                ),
            }
        }
    }

    fn item(&mut self, file: usize, item: Node) {
        let place = Place {
            file,
            span: item.span.clone(),
        };
        let Value::Map(pairs) = &item.value else {
            return self.report(&place, SHAPE, "an item is a map".to_owned(), None);
        };
        for (key, _) in pairs {
            let name = key.text().unwrap_or_default();
            if !KEYS.contains(&name) {
                let place = Place {
                    file,
                    span: key.span.clone(),
                };
                let message = format!("the key `{name}` is not known and has no effect");
                self.report(&place, UNKNOWN_KEY, message, None);
            }
        }
        let append = item.get("override").is_some_and(|keys| {
            let text = keys
                .get("items")
                .or_else(|| keys.get("condition"))
                .and_then(Node::text);
            text == Some("append")
        });
        if let Some(name) = item.get("list").and_then(Node::text) {
            let Some(Value::Sequence(items)) = item.get("items").map(|node| &node.value) else {
                return self.report(
                    &place,
                    SHAPE,
                    "a list needs `items: [...]`".to_owned(),
                    None,
                );
            };
            let items = items.iter().filter_map(Node::text).map(str::to_owned);
            if append && !self.lists.contains_key(name) {
                let message = format!("the list `{name}` is not defined before this append");
                return self.report(&place, VALIDATE, message, None);
            }
            let list = self.lists.entry(name.to_owned()).or_default();
            if !append {
                list.clear();
            }
            list.extend(items);
        } else if let Some(name) = item.get("macro").and_then(Node::text) {
            if let Some(condition) = self.condition(file, &item) {
                self.macros.insert(name.to_owned(), condition);
            }
        } else if let Some(name) = item.get("rule").and_then(Node::text) {
            let name = name.to_owned();
            self.rules.retain(|(known, ..)| *known != name);
            self.rules.push((name, place, item));
        } else {
            let message = "this item is no rule, macro or list".to_owned();
            self.report(&place, SHAPE, message, None);
        }
    }

    fn required<'n>(&mut self, place: &Place, item: &'n Node, key: &str) -> Option<&'n Node> {
        let found = item
            .get(key)
            .filter(|node| node.text().is_some_and(|text| !text.is_empty()));
        if found.is_none() {
            let message = format!("the key `{key}` is missing or empty");
            self.report(
                place,
                SHAPE,
                message,
                Some(format!("add `{key}: ...` to this item")),
            );
        }
        found
    }

    fn condition(&mut self, file: usize, item: &Node) -> Option<Expression> {
        let place = Place {
            file,
            span: item.span.clone(),
        };
        let node = self.required(&place, item, "condition")?;
        let text = node.text()?;
        match parser::parse(text) {
            Ok(expression) => Some(expression),
            Err(SyntaxError {
                message,
                span,
                help,
            }) => {
                let place = self.inside(file, node, &span);
                self.report(&place, CONDITION, message, help);
                None
            }
        }
    }

    /// A place inside a scalar that stands in the file as it is; else the scalar.
    fn inside(&self, file: usize, node: &Node, span: &Range<usize>) -> Place {
        let source = self
            .files
            .get(file)
            .and_then(|file| file.text.get(node.span.start..));
        let text = node.text().unwrap_or_default();
        let span = match source.and_then(|source| source.find(text)) {
            Some(at) if at <= 1 => {
                let start = node.span.start + at;
                start + span.start..start + span.end
            }
            _ => node.span.clone(),
        };
        Place { file, span }
    }

    fn rule(&mut self, name: String, place: &Place, item: &Node) -> Option<Rule> {
        let written = self.required(place, item, "condition")?.clone();
        let desc = self.required(place, item, "desc")?.text()?.to_owned();
        let output = self.required(place, item, "output")?;
        let priority = self.required(place, item, "priority")?;
        let Some(level) = priority.text().and_then(Priority::parse) else {
            let help = "use EMERGENCY, ALERT, CRITICAL, ERROR, WARNING, NOTICE, INFO or DEBUG";
            let place = Place {
                file: place.file,
                span: priority.span.clone(),
            };
            let message = "the priority is not known".to_owned();
            self.report(&place, SHAPE, message, Some(help.to_owned()));
            return None;
        };
        let template = match Template::parse(output.text()?.trim()) {
            Ok(template) => template,
            Err(field) => {
                let help =
                    fields::suggestion(&field).map(|near| format!("did you mean `%{near}`?"));
                let place = Place {
                    file: place.file,
                    span: output.span.clone(),
                };
                self.report(&place, OUTPUT, format!("`%{field}` names no field"), help);
                return None;
            }
        };
        let expression = self.condition(place.file, item)?;
        let compiled = match self.compile(&expression, 0) {
            Ok(compiled) => compiled,
            Err(SyntaxError {
                message,
                span,
                help,
            }) => {
                let place = self.inside(place.file, &written, &span);
                self.report(&place, CONDITION, message, help);
                return None;
            }
        };
        let mut tags: Vec<String> = match item.get("tags").map(|node| &node.value) {
            Some(Value::Sequence(tags)) => tags
                .iter()
                .filter_map(Node::text)
                .map(str::to_owned)
                .collect(),
            _ => Vec::new(),
        };
        tags.sort();
        tags.dedup();
        let enabled = item.get("enabled").and_then(Node::text) != Some("false");
        Some(Rule {
            name,
            desc,
            condition: written.text()?.to_owned(),
            priority: level,
            source: "syscall".to_owned(),
            tags,
            enabled,
            asks_result: compiled.asks_result(),
            compiled,
            template,
        })
    }

    fn compile(&self, expression: &Expression, depth: usize) -> Result<Condition, SyntaxError> {
        let all = |terms: &[Expression]| {
            terms
                .iter()
                .map(|term| self.compile(term, depth))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(match expression {
            Expression::And(terms) => Condition::And(all(terms)?),
            Expression::Or(terms) => Condition::Or(all(terms)?),
            Expression::Not(inner) => Condition::Not(Box::new(self.compile(inner, depth)?)),
            Expression::Macro { name, span } => {
                let wrong = |message: String| SyntaxError {
                    message,
                    span: span.clone(),
                    help: None,
                };
                let body = self
                    .macros
                    .get(name)
                    .ok_or_else(|| wrong(format!("the macro `{name}` is not defined")))?;
                if depth > MAX_EXPANSION {
                    return Err(wrong(format!("the macro `{name}` refers to itself")));
                }
                self.compile(body, depth + 1).map_err(|error| SyntaxError {
                    span: span.clone(),
                    message: format!("in the macro `{name}`: {}", error.message),
                    help: error.help,
                })?
            }
            Expression::Check(check) => self.check(check)?,
        })
    }

    fn check(&self, check: &Check) -> Result<Condition, SyntaxError> {
        let field = fields::find(&check.field).ok_or_else(|| SyntaxError {
            message: format!(
                "`{}` is no field of a connect, accept or listen",
                check.field
            ),
            span: check.field_span.clone(),
            help: fields::suggestion(&check.field).map(|near| format!("did you mean `{near}`?")),
        })?;
        let text_only = matches!(
            check.operator,
            Operator::Contains | Operator::StartsWith | Operator::EndsWith
        );
        if text_only && field.kind != Type::Text {
            return Err(SyntaxError {
                message: format!("`{}` is no text: this operator does not apply", field.name),
                span: check.field_span.clone(),
                help: Some("use = != in, or < <= > >= for numbers".to_owned()),
            });
        }
        let mut constants = Vec::new();
        for value in &check.values {
            let mut texts = Vec::new();
            let list = !value.quoted && check.operator == Operator::In;
            match self.lists.get(&value.text).filter(|_| list) {
                Some(items) => self.expand(items, 0, &mut texts),
                None => texts.push(value.text.clone()),
            }
            for text in texts {
                constants.push(constant(field.kind, &text).ok_or_else(|| SyntaxError {
                    message: format!("`{text}` is no value for `{}`", field.name),
                    span: value.span.clone(),
                    help: None,
                })?);
            }
        }
        Ok(Condition::Check {
            field,
            operator: check.operator,
            constants,
        })
    }

    fn expand(&self, items: &[String], depth: usize, texts: &mut Vec<String>) {
        for item in items {
            match self.lists.get(item) {
                Some(inner) if depth < MAX_EXPANSION => self.expand(inner, depth + 1, texts),
                _ => texts.push(item.clone()),
            }
        }
    }
}

fn constant(kind: Type, text: &str) -> Option<Constant> {
    Some(match kind {
        Type::Text => Constant::Text(text.to_owned()),
        Type::Number => Constant::Number(text.parse().ok()?),
        Type::Port => Constant::Number(text.parse::<u16>().ok()?.into()),
        Type::Bool => Constant::Bool(text.parse().ok()?),
        Type::Ip => Constant::Ip(text.parse().ok()?),
    })
}
