//! What was found in rule files, in the shape that `falco -V` writes with `json_output` (Falco,
//! `falco_load_result.cpp`, `rule_json_schema.h`).

use std::ops::Range;

use serde_json::{Value as Json, json};

use super::{
    Diagnostic, SourceFile, codes,
    diagnostic::Severity,
    lines::Lines,
    loader::{CONDITION, EXCEPTION_KEYS, KINDS, LEVELS, SHAPE, keys_of},
    text::Text,
    yaml::{self, Node, Value},
};

/// Falco's cut of a line.
const MAX_SNIPPET: usize = 160;
/// Falco's cut of a condition that names a location.
const MAX_NAME: usize = 17;

pub fn falco(files: &[SourceFile], diagnostics: &[Diagnostic]) -> Json {
    let results: Vec<Json> = files
        .iter()
        .map(|file| Loaded::new(file).json(diagnostics))
        .collect();
    json!({ "falco_load_results": results })
}

struct Loaded<'f> {
    file: &'f SourceFile,
    lines: Lines<'f>,
    /// The items of all documents; none if it is not YAML.
    items: Vec<Node>,
}

impl<'f> Loaded<'f> {
    fn new(file: &'f SourceFile) -> Self {
        let documents = yaml::parse(&file.text).unwrap_or_default();
        let items = documents
            .into_iter()
            .flat_map(|document| match document.value {
                Value::Sequence(items) => items,
                _ => Vec::new(),
            });
        Self {
            file,
            lines: Lines::new(&file.text),
            items: items.collect(),
        }
    }

    fn json(&self, diagnostics: &[Diagnostic]) -> Json {
        let own = |one: &&Diagnostic| one.file == self.file.name;
        let of = |severity: Severity| -> Vec<Json> {
            let own = diagnostics.iter().filter(own);
            let own = own.filter(|one| one.severity == severity);
            let mut own: Vec<&Diagnostic> = own.collect();
            own.sort_by_key(|one| one.order);
            own.into_iter().map(|one| self.entry(one)).collect()
        };
        let errors = of(Severity::Error);
        let shapes = diagnostics.iter().filter(own);
        let shapes = shapes.filter(|one| one.code == SHAPE);
        let mut schema: Vec<String> = shapes.map(|one| one.message.clone()).collect();
        self.items
            .iter()
            .for_each(|item| schema_of(item, &mut schema));
        json!({
            "name": self.file.name,
            "successful": errors.is_empty(),
            "schema_valid": schema.is_empty(),
            "schema_warnings": schema,
            "errors": errors,
            "warnings": of(Severity::Warning),
        })
    }

    fn entry(&self, one: &Diagnostic) -> Json {
        let message = match &one.help {
            Some(help) => format!("{}: {help}", one.message),
            None => one.message.clone(),
        };
        json!({
            "code": one.code,
            "codedesc": codes::label(one.code),
            "message": message,
            "context": {
                "locations": self.locations(one),
                "snippet": snippet(one, &self.file.text),
            },
        })
    }

    /// From the file to the place, outermost first.
    fn locations(&self, one: &Diagnostic) -> Vec<Json> {
        let mut way = vec![self.location("rules content", "", 0)];
        let at = one.span.start;
        let Some(item) = self.items.iter().find(|item| within(&item.span, at)) else {
            if at > 0 {
                way.push(self.location("rules content item", "", at));
            }
            return way;
        };
        let kind = KINDS.into_iter().find(|kind| item.get(kind).is_some());
        let name = kind.and_then(|kind| item.get(kind)?.text());
        let item_start = item.span.start;
        let kind = kind.unwrap_or("rules content item");
        way.push(self.location(kind, name.unwrap_or_default(), item_start));
        if let Some((key, value)) = pair(item, at) {
            self.within(kind, key, value, one, &mut way);
        }
        way
    }

    /// From a key of an item on.
    fn within(&self, kind: &str, key: &str, value: &Node, one: &Diagnostic, way: &mut Vec<Json>) {
        let start = value.span.start;
        match (kind, key) {
            ("rule" | "macro", "condition") => {
                let kind = format!("{kind} condition");
                way.push(self.location(&kind, "", start));
                way.extend((one.code == CONDITION).then(|| self.expression(value, one)));
            }
            ("rule", "output" | "priority") => {
                way.push(self.location(&format!("rule {key}"), "", start));
            }
            ("rule", "exceptions") => {
                way.push(self.location("exceptions", "", start));
                self.exception(value, one.span.start, way);
            }
            (_, "override") => way.push(self.location("override", "", start)),
            // The item itself has its name there.
            (kind, key) if kind == key => {}
            ("list", "items") => {
                way.push(self.location("value for", key, start));
                if let Some(item) = element(value, one.span.start) {
                    way.push(self.location("list item", "", item.span.start));
                }
            }
            _ => way.push(self.location("value for", key, start)),
        }
    }

    fn exception(&self, exceptions: &Node, at: usize, way: &mut Vec<Json>) {
        let Some(entry) = element(exceptions, at) else {
            return;
        };
        let name = entry.get("name").and_then(Node::text).unwrap_or_default();
        way.push(self.location("exception", name, entry.span.start));
        let Some((key, value)) = pair(entry, at) else {
            return;
        };
        if key == "values" {
            way.push(self.location("exception values", "", value.span.start));
            if let Some(value) = element(value, at) {
                way.push(self.location("exception value", "", value.span.start));
            }
        } else if key != "name" {
            way.push(self.location("value for", key, value.span.start));
        }
    }

    fn location(&self, kind: &str, name: &str, at: usize) -> Json {
        let (line, column) = self.lines.line_and_column(at);
        json!({
            "item_type": kind,
            "item_name": name,
            "position": {
                "name": self.file.name,
                "line": line - 1,
                "column": column - 1,
                "offset": at,
            },
        })
    }

    /// The place in the condition itself, which names it.
    fn expression(&self, value: &Node, one: &Diagnostic) -> Json {
        let text = value.text().unwrap_or_default();
        let aligned = Text::aligned(text, 0, &self.file.text, value.span.clone());
        let offset = aligned.offset(0, one.span.start);
        let (line, column) = Lines::new(text).line_and_column(offset);
        let start: String = text.chars().take(MAX_NAME).collect();
        json!({
            "item_type": "condition expression",
            "item_name": "",
            "position": {
                "name": format!("\"{}...\"", start.replace('\n', " ")),
                "line": line - 1,
                "column": column - 1,
                "offset": offset,
            },
        })
    }
}

/// An empty node is at one byte.
fn within(span: &Range<usize>, at: usize) -> bool {
    span.contains(&at) || span.start == at
}

/// The key and value of a map that a byte is in.
fn pair(node: &Node, at: usize) -> Option<(&str, &Node)> {
    let Value::Map(pairs) = &node.value else {
        return None;
    };
    let covers = |(key, value): &&(Node, Node)| within(&key.span, at) || within(&value.span, at);
    let (key, value) = pairs.iter().find(covers)?;
    Some((key.text()?, value))
}

fn element(node: &Node, at: usize) -> Option<&Node> {
    match &node.value {
        Value::Sequence(items) => items.iter().find(|item| within(&item.span, at)),
        _ => None,
    }
}

/// What Falco's schema of rule files refuses and its loader does not.
fn schema_of(item: &Node, schema: &mut Vec<String>) {
    let Value::Map(pairs) = &item.value else {
        return;
    };
    let known = |name: &str| KINDS.iter().any(|kind| keys_of(kind).contains(&name));
    for (key, _) in pairs {
        let name = key.text().unwrap_or_default();
        if !known(name) {
            schema.push(format!("the key `{name}` is not known"));
        }
    }
    if let Some(priority) = item.get("priority").and_then(Node::text)
        && !LEVELS.contains(&priority)
        && priority != "INFORMATIONAL"
    {
        schema.push(format!(
            "the priority `{priority}` is none of {}, in capitals",
            LEVELS.join(" ")
        ));
    }
    let exceptions = item.get("exceptions").map(|node| &node.value);
    let Some(Value::Sequence(exceptions)) = exceptions else {
        return;
    };
    for exception in exceptions {
        let Value::Map(pairs) = &exception.value else {
            continue;
        };
        for (key, _) in pairs {
            let name = key.text().unwrap_or_default();
            if !EXCEPTION_KEYS.contains(&name) {
                schema.push(format!("the key `{name}` of an exception is not known"));
            }
        }
    }
}

/// The line, and a mark under the column.
fn snippet(one: &Diagnostic, text: &str) -> String {
    let before = text.get(..one.span.start).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |end| end + 1);
    let line = text.get(start..).unwrap_or_default();
    let line = line.lines().next().unwrap_or_default();
    // A place far into a long line: the part around it.
    let skipped = one.column.saturating_sub(MAX_SNIPPET / 2);
    let cut: String = line.chars().skip(skipped).take(MAX_SNIPPET).collect();
    let before = (one.column - 1).saturating_sub(skipped);
    format!("{cut}\n{:before$}^\n", "")
}
