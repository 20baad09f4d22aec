//! One item of a file: which kind it is, and lists and macros. Rules are read in `rule_item`.

use super::{
    super::{
        checker::Macro,
        spelling,
        text::{Place, Text},
        yaml::{Node, Value},
    },
    DEPRECATED, SHAPE, UNKNOWN_ITEM, UNKNOWN_KEY, VALIDATE,
    items::{Collection, List},
    report::Report,
    rule_item, twice, versions,
};

pub(in super::super) const KINDS: [&str; 5] = [
    "required_engine_version",
    "required_plugin_versions",
    "list",
    "macro",
    "rule",
];

/// An item, its file and its place.
pub(super) struct Item<'n> {
    pub(super) file: usize,
    pub(super) node: &'n Node,
    pub(super) place: Place,
}

pub(super) fn item(file: usize, node: &Node, collection: &mut Collection, report: &mut Report<'_>) {
    let errors = report.errors();
    let known = of_kind(file, node, collection, report);
    if !known || report.errors() > errors {
        collection.mentioned.add_all(node);
    }
}

/// Whether it is of a known kind.
fn of_kind(file: usize, node: &Node, collection: &mut Collection, report: &mut Report<'_>) -> bool {
    let place = Place {
        file,
        span: node.span.clone(),
    };
    let pairs = match &node.value {
        Value::Null => return true,
        Value::Map(pairs) => pairs,
        _ => {
            let help = "begin it with `- rule: name`".to_owned();
            report.error(&place, SHAPE, "an item is a map", help);
            return false;
        }
    };
    collection.position += 1;
    twice::keys(file, node, report);
    let kind = KINDS.into_iter().find(|kind| node.get(kind).is_some());
    let Some((kind, value)) = kind.and_then(|kind| Some((kind, node.get(kind)?))) else {
        let first = pairs.first().map(|(key, _)| key);
        let span = first.map_or_else(|| node.span.clone(), |key| key.span.clone());
        let word = first.and_then(Node::text).unwrap_or_default();
        let help = spelling::did_you_mean(word, KINDS)
            .unwrap_or_else(|| "begin it with `- rule:`, `- macro:` or `- list:`".to_owned());
        let message = "this item is no rule, macro or list, and has no effect";
        report.warning(&Place { file, span }, UNKNOWN_ITEM, message, help);
        return false;
    };
    // What an item lacks is told at its first line.
    let named = pairs.iter().find(|(key, _)| key.text() == Some(kind));
    let span = named.map_or_else(
        || node.span.clone(),
        |(key, value)| key.span.start..value.span.end.max(key.span.end),
    );
    let place = Place { file, span };
    let item = Item { file, node, place };
    item.unknown_keys(pairs, keys_of(kind), report);
    match kind {
        "required_engine_version" => versions::engine(file, value, report),
        "required_plugin_versions" => versions::plugins(file, value, report),
        _ => {
            let name = item.required(kind, report);
            match (kind, name) {
                (_, None) => {}
                ("list", Some(name)) => list(&item, &name, collection, report),
                ("macro", Some(name)) => define_macro(&item, &name, collection, report),
                (_, Some(name)) => rule_item::read(&item, &name, collection, report),
            }
        }
    }
    true
}

/// What an item of a kind may have.
pub(in super::super) fn keys_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "list" => &["list", "items", "append", "override"],
        "macro" => &["macro", "condition", "append", "override"],
        "rule" => rule_item::KEYS,
        "required_engine_version" => &["required_engine_version"],
        _ => &["required_plugin_versions"],
    }
}

impl Item<'_> {
    pub(super) fn at(&self, node: &Node) -> Place {
        Place {
            file: self.file,
            span: node.span.clone(),
        }
    }

    /// Of a key's value; of the key if that is nothing, of the item if there is none.
    pub(super) fn place_of(&self, key: &str) -> Place {
        let Value::Map(pairs) = &self.node.value else {
            return self.place.clone();
        };
        match pairs.iter().find(|(name, _)| name.text() == Some(key)) {
            Some((_, value)) if !value.span.is_empty() => self.at(value),
            Some((name, _)) => self.at(name),
            None => self.place.clone(),
        }
    }

    fn unknown_keys(&self, pairs: &[(Node, Node)], keys: &[&str], report: &mut Report<'_>) {
        for (key, _) in pairs {
            let name = key.text().unwrap_or_default();
            if !keys.contains(&name) {
                let message = format!("the key `{name}` is not known here and has no effect");
                let help = spelling::did_you_mean(name, keys.iter().copied())
                    .unwrap_or_else(|| format!("known are {}", keys.join(", ")));
                report.warning(&self.at(key), UNKNOWN_KEY, message, help);
            }
        }
    }

    /// A value that is there, is a text, and is not empty.
    pub(super) fn required(&self, key: &str, report: &mut Report<'_>) -> Option<Text> {
        let node = self.node.get(key);
        let found = node.and_then(|node| report.text(self.file, node));
        if let Some(text) = found
            && !text.as_str().is_empty()
        {
            return Some(text);
        }
        let (message, help) = match node.map(|node| &node.value) {
            Some(Value::Sequence(_) | Value::Map(_)) => (
                format!("the value of `{key}` is a text"),
                format!("write one text; with `{key}: >` it may go over several lines"),
            ),
            Some(_) => (
                format!("the key `{key}` is empty"),
                format!("write a text after `{key}:`, more indented if it is on the next line"),
            ),
            None => (
                format!("the key `{key}` is missing"),
                format!("add `{key}: ...` to this item"),
            ),
        };
        report.error(&self.place_of(key), SHAPE, message, help);
        None
    }

    /// yaml-cpp's booleans, quoted or not: in lower case, in upper case, or with a capital; 1 and 0
    /// are none.
    pub(super) fn flag(&self, key: &str, default: bool, report: &mut Report<'_>) -> Option<bool> {
        let Some(node) = self.node.get(key) else {
            return Some(default);
        };
        let text = node.text().unwrap_or_default();
        let cased = text == text.to_lowercase()
            || text == text.to_uppercase()
            || text
                .get(1..)
                .is_some_and(|rest| rest == rest.to_lowercase());
        match text.to_lowercase().as_str() {
            "true" | "yes" | "y" | "on" if cased => Some(true),
            "false" | "no" | "n" | "off" if cased => Some(false),
            _ => {
                let message = format!("`{key}` is true or false, not `{text}`");
                let help = "write true or false; yes, no, on and off will do too".to_owned();
                report.error(&self.place_of(key), SHAPE, message, help);
                None
            }
        }
    }

    /// The sequence of texts under a key.
    pub(super) fn texts(&self, key: &str, report: &mut Report<'_>) -> Option<Vec<Text>> {
        let Some(node) = self.node.get(key) else {
            report.error(
                &self.place,
                SHAPE,
                format!("the key `{key}` is missing"),
                format!("add `{key}: [...]` to this item"),
            );
            return None;
        };
        let Value::Sequence(items) = &node.value else {
            let message = format!("`{key}` is a sequence of texts");
            let help = format!("write `{key}: [a, b]`");
            report.error(&self.place_of(key), SHAPE, message, help);
            return None;
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            let Some(text) = report.text(self.file, item) else {
                let message = format!("an element of `{key}` is no text");
                let help = match &item.value {
                    Value::Null => "write one, in quotes if it is empty, or leave it out",
                    _ => "write a text, in quotes if it has any of : , [ ] { }",
                };
                let place = if item.span.is_empty() {
                    self.at(node)
                } else {
                    self.at(item)
                };
                report.error(&place, SHAPE, message, help.to_owned());
                continue;
            };
            texts.push(text);
        }
        (texts.len() == items.len()).then_some(texts)
    }

    /// The first empty text of a sequence after one that is not.
    fn empty(&self, key: &str, mut filled: bool) -> Option<Place> {
        let Value::Sequence(items) = &self.node.get(key)?.value else {
            return None;
        };
        let empty = items.iter().find(|item| match item.text() {
            Some("") => filled,
            _ => {
                filled = true;
                false
            }
        });
        empty.map(|item| self.at(item))
    }

    /// The deprecated `append: true`.
    pub(super) fn appends(&self, report: &mut Report<'_>) -> Option<bool> {
        let append = self.flag("append", false, report)?;
        if append {
            let node = self.node.get("append").unwrap_or(self.node);
            let help = "write `override: {condition: append}`, naming each key".to_owned();
            report.warning(&self.at(node), DEPRECATED, "`append` is deprecated", help);
        }
        Some(append)
    }

    /// The entries of `override` that are good: key, and whether it appends.
    pub(super) fn overrides(
        &self,
        appendable: &[&str],
        replaceable: &[&str],
        report: &mut Report<'_>,
    ) -> Option<Vec<(String, bool)>> {
        let pairs = match self.node.get("override").map(|node| (node, &node.value)) {
            None | Some((_, Value::Null)) => return Some(Vec::new()),
            Some((_, Value::Map(pairs))) => pairs,
            Some((node, value)) => {
                let code = match value {
                    Value::Sequence(_) => VALIDATE,
                    _ => SHAPE,
                };
                let help = "write `override: {items: append}`".to_owned();
                report.error(&self.at(node), code, "`override` is a map", help);
                return None;
            }
        };
        let mut good = true;
        let mut overrides = Vec::new();
        for (key, value) in pairs {
            let name = key.text().unwrap_or_default();
            let operation = value.text().unwrap_or_default();
            let can = |keys: &[&str]| keys.contains(&name);
            let allowed = match operation {
                "append" => can(appendable),
                "replace" => can(replaceable),
                _ => false,
            };
            if allowed && self.node.get(name).is_some() {
                overrides.push((name.to_owned(), operation == "append"));
                continue;
            }
            good = false;
            if matches!(value.value, Value::Sequence(_) | Value::Map(_)) {
                let message = "an operation of `override` is a text";
                let help = format!("write `{name}: append` or `{name}: replace`");
                report.error(&self.at(value), VALIDATE, message, help);
                continue;
            }
            let (message, help) = if allowed {
                let help = format!("add `{name}: ...` to this item");
                (
                    format!("`override` names `{name}`, which is not given"),
                    help,
                )
            } else {
                let operations = match (can(appendable), can(replaceable)) {
                    (true, true) => "append or replace",
                    (true, false) => "append",
                    (false, true) => "replace",
                    (false, false) => {
                        let message = format!("`{name}` cannot be overridden");
                        let help = spelling::did_you_mean(name, replaceable.iter().copied())
                            .unwrap_or_else(|| format!("what can: {}", replaceable.join(", ")));
                        report.error(&self.at(key), SHAPE, message, help);
                        continue;
                    }
                };
                let message = format!("`{operation}` is no operation for `{name}`");
                (message, format!("write {operations}"))
            };
            let wrong = if allowed || value.span.is_empty() {
                key
            } else {
                value
            };
            report.error(&self.at(wrong), SHAPE, message, help);
        }
        let both = !overrides.is_empty() && self.flag("append", false, report) == Some(true);
        if both {
            let help = "leave out `append`".to_owned();
            let place = self.place_of("append");
            let message = "`append` and `override` exclude each other";
            report.error(&place, SHAPE, message, help);
        }
        (good && !both).then_some(overrides)
    }

    /// Whether what is given under a key is appended; nothing if the item is refused.
    fn operation(&self, key: &str, report: &mut Report<'_>) -> Option<bool> {
        let append = self.appends(report)?;
        let overrides = self.overrides(&[key], &[key], report)?;
        Some(append || overrides.iter().any(|(_, append)| *append))
    }
}

/// A number as C writes it: hexadecimal after `0x`, octal after `0`.
pub(super) fn unsigned(text: &str) -> Option<u32> {
    let text = text.trim_ascii_end();
    let (digits, radix) = match text.strip_prefix('0') {
        Some(rest) => match rest.strip_prefix(['x', 'X']) {
            Some(digits) => (digits, 16),
            None if rest.is_empty() => (text, 10),
            None => (rest, 8),
        },
        None => (text, 10),
    };
    u32::from_str_radix(digits, radix).ok()
}

fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    characters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && characters.all(|one| one.is_ascii_alphanumeric() || one == '_')
}

/// Of what is appended to.
pub(super) fn undefined<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    spelling::did_you_mean(name, known)
        .unwrap_or_else(|| "define it before, or load the file that defines it first".to_owned())
}

fn list(item: &Item<'_>, name: &Text, collection: &mut Collection, report: &mut Report<'_>) {
    let place = name.place(&(0..name.as_str().len()));
    let text = name.as_str();
    if text.contains(|one: char| matches!(one, ' ' | '\t'..='\r') || "()\"'=,".contains(one)) {
        let message = format!("`{text}` is no good name of a list");
        let help = "leave out blanks, quotes, parentheses, = and commas".to_owned();
        report.warning(&place, "LOAD_INVALID_LIST_NAME", message, help);
    }
    let given = (item.operation("items", report), item.texts("items", report));
    let (append, items, refused) = match given {
        (Some(append), Some(items)) => (append, items, false),
        // What was defined before stays as it is.
        _ if collection.list(text).is_some() => return,
        _ => (false, Vec::new(), true),
    };
    let position = collection.position;
    let filled = |items: &[Text]| items.iter().any(|item| !item.as_str().is_empty());
    match collection.list(text) {
        Some(list) => {
            if !append {
                list.items.clear();
                list.empty = None;
                list.refused = false;
            }
            let empty = item.empty("items", filled(&list.items));
            list.empty = list.empty.take().or(empty);
            list.items.extend(items);
            list.visibility = position;
        }
        None if append && report.may_be_defined(&place) => {}
        None if append => {
            let names = collection.lists.iter().map(|list| list.name.as_str());
            let help = undefined(text, names);
            let message = format!("the list `{text}` is not defined before this append");
            report.error(&place, VALIDATE, message, help);
        }
        None => collection.add_list(List {
            name: text.to_owned(),
            items,
            empty: item.empty("items", false),
            position,
            visibility: position,
            place,
            used: false,
            refused,
        }),
    }
}

fn define_macro(
    item: &Item<'_>,
    name: &Text,
    collection: &mut Collection,
    report: &mut Report<'_>,
) {
    let place = name.place(&(0..name.as_str().len()));
    let text = name.as_str();
    if !is_name(text) {
        let message = format!("`{text}` is no good name of a macro: no condition can refer to it");
        let help = "use a letter, then letters, digits and _".to_owned();
        report.warning(&place, "LOAD_INVALID_MACRO_NAME", message, help);
    }
    let given = (
        item.operation("condition", report),
        item.required("condition", report),
    );
    let (append, condition) = match given {
        (Some(append), Some(condition)) => (append, condition),
        _ if collection.macros.contains_key(text) => return,
        // Empty: nothing is told of what uses it.
        _ => (false, Text::default()),
    };
    let position = collection.position;
    match collection.macros.get_mut(text) {
        Some(body) => {
            if append && body.text.as_str().is_empty() {
                // It was refused, and stays so.
            } else if append {
                body.text.push_str(" ");
                body.text.push(&condition);
            } else {
                body.text = condition;
            }
            body.visibility = position;
        }
        None if append && report.may_be_defined(&place) => {}
        None if append => {
            let help = undefined(text, collection.macros.keys().map(String::as_str));
            let message = format!("the macro `{text}` is not defined before this append");
            report.error(&place, VALIDATE, message, help);
        }
        None => {
            let body = Macro {
                text: condition,
                expression: None,
                position,
                visibility: position,
                file: item.file,
                place,
            };
            collection.macros.insert(text.to_owned(), body);
        }
    }
}
