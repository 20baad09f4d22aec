//! Lists are put in place as text, before a condition is parsed, as Falco does
//! (`rule_loader_compiler.cpp`): in list position or not, within quotes too if blanks bound the
//! name. What this means for lists within lists is in docs/falco-compat.md.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{super::text::Text, items::Collection};

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

/// The lists in the order of definition, with their items flattened.
#[derive(Debug, Default)]
pub(super) struct Lists {
    lists: Vec<(String, Vec<String>)>,
    by_name: HashMap<String, usize>,
    /// Those whose name is no word, so that only a search finds it.
    by_search: Vec<usize>,
}

impl Lists {
    fn new(lists: Vec<(String, Vec<String>)>) -> Self {
        let mut by_name = HashMap::new();
        let mut by_search = Vec::new();
        for (index, (name, _)) in lists.iter().enumerate() {
            if name.contains(|one| bounds(Some(one))) {
                by_search.push(index);
            } else if !name.is_empty() {
                by_name.insert(name.clone(), index);
            }
        }
        Self {
            lists,
            by_name,
            by_search,
        }
    }

    fn named_in<'a>(&'a self, text: &'a str) -> impl Iterator<Item = usize> + 'a {
        text.split(|one| bounds(Some(one)))
            .filter_map(|word| self.by_name.get(word).copied())
    }

    /// Every list is put in place in the order of definition: what a list brings in is looked
    /// through for later lists only. Those that occur are noted as used.
    pub(super) fn expand(&self, text: &mut Text, used: &mut HashSet<usize>) -> Result<(), String> {
        let mut waiting: BTreeSet<usize> = self.named_in(text.as_str()).collect();
        waiting.extend(&self.by_search);
        while let Some(index) = waiting.pop_first() {
            let Some((name, items)) = self.lists.get(index) else {
                break;
            };
            let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
            let with = items.join(", ");
            if put(text, name, &with)? {
                used.insert(index);
                waiting.extend(self.named_in(&with).filter(|later| *later > index));
            }
        }
        Ok(())
    }
}

impl Collection {
    /// An item that names a list defined before is replaced by that list's own items, once.
    pub(super) fn flattened_lists(&mut self) -> Lists {
        let by_name: HashMap<&str, usize> = (self.lists.iter().enumerate())
            .map(|(index, list)| (list.name.as_str(), index))
            .collect();
        let mut used = Vec::new();
        let mut flattened = Vec::with_capacity(self.lists.len());
        for list in &self.lists {
            let mut items = Vec::new();
            for item in &list.items {
                let other = by_name.get(item.as_str());
                match other.and_then(|index| Some((*index, self.lists.get(*index)?))) {
                    Some((index, other)) if other.position < list.visibility => {
                        used.push(index);
                        items.extend(other.items.iter().cloned());
                    }
                    _ => items.push(item.clone()),
                }
            }
            flattened.push((list.name.clone(), items));
        }
        for index in used {
            if let Some(list) = self.lists.get_mut(index) {
                list.used = true;
            }
        }
        Lists::new(flattened)
    }
}

/// Whether the name occurs, bounded; `with` takes its place.
fn put(text: &mut Text, name: &str, with: &str) -> Result<bool, String> {
    let mut from = 0;
    let mut occurs = false;
    while let Some(at) = text.as_str().get(from..).and_then(|rest| rest.find(name)) {
        let (start, end) = (from + at, from + at + name.len());
        let before = text.as_str().get(..start).unwrap_or_default();
        let after = text.as_str().get(end..).unwrap_or_default();
        if !bounds(before.chars().next_back()) || !bounds(after.chars().next()) {
            from = end;
            continue;
        }
        occurs = true;
        if with.is_empty() {
            let (start, end) = with_comma(text.as_str(), start, end);
            text.replace(start..end, "");
            from = start;
            continue;
        }
        if text.as_str().len() + with.len() > MAX_EXPANDED {
            return Err(format!(
                "with the list `{name}` the condition is longer than {MAX_EXPANDED} bytes"
            ));
        }
        text.replace(start..end, with);
        from = start + with.len();
    }
    Ok(occurs)
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
        let lists = Lists::new(lists);
        lists.expand(&mut text, &mut HashSet::new()).unwrap();
        text.as_str().to_owned()
    }

    #[test]
    fn names_are_replaced_as_text() {
        let lists: &[(&str, &[&str])] = &[
            ("c", &["b"]),
            ("b", &["x y", "z"]),
            ("e", &[]),
            ("first", &["last"]),
            ("two words", &["b"]),
            ("last", &["k"]),
        ];
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
            ("in (two words)", "in (b)"),
            ("in (first)", "in (k)"),
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
        let lists = Lists::new(vec![("a".to_owned(), vec!["b".repeat(2000)])]);
        assert!(lists.expand(&mut text, &mut HashSet::new()).is_err());
    }
}
