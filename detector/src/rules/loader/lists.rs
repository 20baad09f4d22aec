//! Lists are put in place as text, before a condition is parsed, as Falco does
//! (`rule_loader_compiler.cpp`): in list position or not, within quotes too if blanks bound the
//! name. What this means for lists within lists is in docs/falco-compat.md.

use super::{
    super::text::Text,
    items::{Collection, List},
};

/// Bytes of a condition after expansion.
const MAX_EXPANDED: usize = 1 << 20;

fn bounds(character: Option<char>) -> bool {
    character.is_none_or(|one| one.is_whitespace() || "(),=".contains(one))
}

/// A text with a blank is quoted, unless it brings its own quotes.
pub(super) fn quoted(item: &str) -> String {
    if item.contains(char::is_whitespace) && !item.starts_with(['"', '\'']) {
        return format!("\"{item}\"");
    }
    item.to_owned()
}

impl Collection {
    /// An item that names a list defined before is replaced by that list's own items, once.
    pub(super) fn flattened_lists(&mut self) -> Vec<(String, Vec<String>)> {
        let mut used = Vec::new();
        let flatten = |list: &List| {
            let mut items = Vec::new();
            for item in &list.items {
                let other = self
                    .lists
                    .iter()
                    .position(|other| other.name == *item && other.position < list.visibility);
                match other.and_then(|index| Some((index, self.lists.get(index)?))) {
                    Some((index, other)) => {
                        used.push(index);
                        items.extend(other.items.iter().cloned());
                    }
                    None => items.push(item.clone()),
                }
            }
            (list.name.clone(), items)
        };
        let flattened = self.lists.iter().map(flatten).collect();
        for index in used {
            if let Some(list) = self.lists.get_mut(index) {
                list.used = true;
            }
        }
        flattened
    }
}

/// Every list is tried in the order of definition. The names of those that occur are noted.
pub(super) fn expand(
    text: &mut Text,
    lists: &[(String, Vec<String>)],
    used: &mut Vec<usize>,
) -> Result<(), String> {
    for (index, (name, items)) in lists.iter().enumerate() {
        let mut from = 0;
        let mut with = None;
        while let Some(at) = text
            .as_str()
            .get(from..)
            .and_then(|rest| rest.find(name.as_str()))
        {
            let (start, end) = (from + at, from + at + name.len());
            let before = text.as_str().get(..start).unwrap_or_default();
            let after = text.as_str().get(end..).unwrap_or_default();
            if name.is_empty()
                || !bounds(before.chars().next_back())
                || !bounds(after.chars().next())
            {
                from = start + name.len().max(1);
                if !text.as_str().is_char_boundary(from) {
                    break;
                }
                continue;
            }
            if used.last() != Some(&index) {
                used.push(index);
            }
            if items.is_empty() {
                let (start, end) = with_comma(text.as_str(), start, end);
                text.replace(start..end, "");
                from = start;
                continue;
            }
            let with = with.get_or_insert_with(|| {
                let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
                items.join(", ")
            });
            if text.as_str().len() + with.len() > MAX_EXPANDED {
                return Err(format!(
                    "with the list `{name}` the condition is longer than {MAX_EXPANDED} bytes"
                ));
            }
            text.replace(start..end, with);
            from = start + with.len();
        }
    }
    Ok(())
}

/// An empty list takes one comma with it: the one after it, else the one before.
fn with_comma(text: &str, start: usize, end: usize) -> (usize, usize) {
    let after = text.get(end..).unwrap_or_default();
    let next = after.trim_start();
    if let Some(rest) = next.strip_prefix(',') {
        return (start, text.len() - rest.trim_start().len());
    }
    let before = text.get(..start).unwrap_or_default().trim_end();
    match before.strip_suffix(',') {
        Some(rest) => (rest.len(), end),
        None => (start, end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::text::Place;

    fn expanded(condition: &str, lists: &[(&str, &[&str])]) -> String {
        let place = Place {
            file: 0,
            span: 0..9,
        };
        let mut text = Text::at(condition, &place);
        let lists: Vec<(String, Vec<String>)> = lists
            .iter()
            .map(|(name, items)| {
                let items = items.iter().map(|item| (*item).to_owned()).collect();
                ((*name).to_owned(), items)
            })
            .collect();
        expand(&mut text, &lists, &mut Vec::new()).unwrap();
        text.as_str().to_owned()
    }

    #[test]
    fn names_are_replaced_as_text() {
        let lists: &[(&str, &[&str])] = &[("c", &["b"]), ("b", &["x y", "z"]), ("e", &[])];
        for (condition, expected) in [
            ("proc.name in (c)", "proc.name in (\"x y\", z)"),
            (
                "proc.name in (a, b, bb)",
                "proc.name in (a, \"x y\", z, bb)",
            ),
            ("proc.name = b", "proc.name = \"x y\", z"),
            ("proc.name=b", "proc.name=\"x y\", z"),
            ("proc.name in (\"b\")", "proc.name in (\"b\")"),
            ("proc.name = \"q b q\"", "proc.name = \"q \"x y\", z q\""),
            ("in (e)", "in ()"),
            ("in (e, k)", "in (k)"),
            ("in (k, e)", "in (k)"),
            ("in (k, e, l)", "in (k, l)"),
        ] {
            assert_eq!(expanded(condition, lists), expected, "{condition}");
        }
    }

    #[test]
    fn expansion_is_bounded() {
        let place = Place {
            file: 0,
            span: 0..9,
        };
        let mut text = Text::at(&"a ".repeat(1000), &place);
        let lists = [("a".to_owned(), vec!["b".repeat(2000)])];
        assert!(expand(&mut text, &lists, &mut Vec::new()).is_err());
    }
}
