//! Lists are put in place as text, before a condition is parsed, as Falco does
//! (`rule_loader_compiler.cpp`): in list position or not, within quotes too if blanks bound the
//! name. What this means for lists within lists is in docs/falco-compat.md.

use std::{
    borrow::Cow,
    cell::Cell,
    collections::{HashMap, HashSet},
    ops::Range,
};

use super::{
    super::{
        ast::{Expression, Right},
        parser,
        text::{Copied, Place, Text},
    },
    items::{Collection, List},
};

/// Bytes of a condition after expansion.
const MAX_EXPANDED: usize = 1 << 20;
/// The same of all conditions together: each takes about fifty times as much memory.
const MAX_BROUGHT: usize = 1 << 23;
/// Lists in one condition: those that bring in nothing do not make it longer.
const MAX_PUT: usize = 1 << 20;

/// Whether a name ends at this character; at the text's end it does.
pub(super) fn bounds(character: Option<char>) -> bool {
    character.is_none_or(|one| " \t\n\r(),=".contains(one))
}

/// A text with a blank is quoted, unless it brings its own quotes.
pub(super) fn quoted(item: &Text) -> Text {
    let text = item.as_str();
    if text.contains(' ') && !text.starts_with(['"', '\'']) {
        return item.quoted();
    }
    item.clone()
}

/// The texts with a comma and a blank between them, as long as there is something before them.
fn joined<'a>(items: impl Iterator<Item = &'a Text>) -> Text {
    let mut joined = Text::default();
    for item in items {
        if !joined.as_str().is_empty() {
            joined.push_between(", ");
        }
        joined.push(&quoted(item));
    }
    joined
}

/// An item that is no value where it is put in place.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) place: Place,
    /// Of nothing if it is empty.
    pub(super) item: String,
}

impl List {
    fn wrong(&self) -> Option<Wrong> {
        let wrong = self.items.iter().find(|item| !is_value(item));
        let wrong = wrong.map(|item| Wrong {
            place: item.place(&(0..item.as_str().len())),
            item: item.as_str().to_owned(),
        });
        let empty = self.empty.clone().map(|place| Wrong {
            place,
            item: String::new(),
        });
        wrong.or(empty)
    }
}

/// Or several, or nothing at all.
fn is_value(item: &Text) -> bool {
    let text = quoted(item);
    let text = text.as_str();
    if !text.contains(|one| bounds(Some(one)) || "'\"".contains(one)) {
        return true;
    }
    matches!(
        parser::parse(&format!("proc.name in ({text})")),
        Ok(Expression::Check(check)) if matches!(check.right, Right::Constants(_))
    )
}

/// The lists in the order of definition, each as the text that takes the place of its name.
#[derive(Debug, Default)]
pub(super) struct Lists {
    lists: Vec<(String, Text)>,
    /// Of each.
    wrong: Vec<Option<Wrong>>,
    /// Those whose items are not all known.
    refused: HashSet<usize>,
    by_name: HashMap<String, usize>,
    /// Those whose name is no word, so that only a search finds it.
    by_search: Vec<usize>,
    /// Bytes that lists brought into all texts so far.
    brought: Cell<usize>,
}

impl Lists {
    fn new(lists: Vec<(String, Text)>) -> Self {
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
            wrong: Vec::new(),
            refused: HashSet::new(),
            by_name,
            by_search,
            brought: Cell::new(0),
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.lists.iter().map(|(name, _)| name.as_str())
    }

    /// Whether all items of these lists are known.
    pub(super) fn known(&self, lists: &HashSet<usize>) -> bool {
        self.refused.is_disjoint(lists)
    }

    pub(super) fn wrong(&self, name: &str) -> Option<&Wrong> {
        let search = || self.by_search.iter().copied();
        let named = |index: &usize| self.lists.get(*index).is_some_and(|(one, _)| one == name);
        let index = self.by_name.get(name).copied();
        let index = index.or_else(|| search().find(named))?;
        self.wrong.get(index)?.as_ref()
    }

    /// Every list is put in place in the order of definition: what a list brings in is looked
    /// through for later lists only. Those that occur are noted as used. What is wrong is told once
    /// if it is wrong of all texts together.
    pub(super) fn expand(
        &self,
        text: &mut Text,
        used: &mut HashSet<usize>,
    ) -> Result<(), Option<String>> {
        if self.brought.get() > MAX_BROUGHT {
            return Err(None);
        }
        let written = text.as_str().len();
        self.put_all(text, used)?;
        let more = text.as_str().len().saturating_sub(written);
        self.brought.set(self.brought.get().saturating_add(more));
        if self.brought.get() > MAX_BROUGHT {
            return Err(Some(format!(
                "lists bring more than {MAX_BROUGHT} bytes into all conditions together"
            )));
        }
        Ok(())
    }

    fn put_all(&self, text: &mut Text, used: &mut HashSet<usize>) -> Result<(), String> {
        let mut next = 0;
        for index in &self.by_search {
            self.put_words(text, next..*index, used)?;
            if let Some((name, with)) = self.lists.get(*index)
                && put(text, name, with)?
            {
                used.insert(*index);
            }
            next = index + 1;
        }
        self.put_words(text, next..self.lists.len(), used)
    }

    /// Those of these lists whose name is a word: in one go, as a word of what one brings in ends
    /// where that ends.
    fn put_words(
        &self,
        text: &mut Text,
        lists: Range<usize>,
        used: &mut HashSet<usize>,
    ) -> Result<(), String> {
        if self.next_word(text.as_str(), 0, &lists).is_none() {
            return Ok(());
        }
        let mut put = text.emptied();
        let mut length = text.as_str().len();
        let mut times = 0;
        let mut open = vec![Open {
            copied: Copied::back(text),
            at: 0,
            lists: lists.clone(),
        }];
        while let Some(Open { copied, at, lists }) = open.last_mut() {
            let Some((word, index, (name, with))) = self.next_word(copied.as_str(), *at, lists)
            else {
                put.push_copied(copied, *at..copied.as_str().len());
                open.pop();
                continue;
            };
            used.insert(index);
            put.push_copied(copied, *at..word.start);
            *at = word.end;
            let start = put.as_str().len();
            put.push_copied(copied, word);
            let lists = index + 1..lists.end;
            if copied.as_str().len() == *at {
                open.pop();
            }
            length = bounded(length, name, with)?;
            times += 1;
            if times > MAX_PUT {
                return Err(format!("more than {MAX_PUT} lists are put in place"));
            }
            if with.as_str().is_empty() {
                put.truncate(start);
                take_comma(&mut put, &mut open);
                continue;
            }
            open.push(Open {
                copied: put.open_list(start, with),
                at: 0,
                lists,
            });
        }
        *text = put;
        Ok(())
    }

    /// The next word from a byte on that is the name of one of these lists.
    fn next_word(
        &self,
        text: &str,
        from: usize,
        lists: &Range<usize>,
    ) -> Option<(Range<usize>, usize, &(String, Text))> {
        let mut start = from;
        for word in text.get(from..)?.split(|one| bounds(Some(one))) {
            let end = start + word.len();
            if let Some(index) = self.by_name.get(word).filter(|one| lists.contains(one)) {
                return Some((start..end, *index, self.lists.get(*index)?));
            }
            start = end + 1;
        }
        None
    }
}

/// A text that is being copied, with lists put in place.
struct Open<'t> {
    copied: Copied<'t>,
    /// What is copied so far.
    at: usize,
    /// Those that are put in place in it.
    lists: Range<usize>,
}

impl Open<'_> {
    fn rest(&self) -> &str {
        self.copied.as_str().get(self.at..).unwrap_or_default()
    }

    /// Whether there is more than blanks.
    fn skip_blanks(&mut self) -> bool {
        let rest = self.rest().trim_start().len();
        self.at = self.copied.as_str().len() - rest;
        rest > 0
    }
}

/// The length of the text once the items are in the place of the name.
fn bounded(length: usize, name: &str, with: &Text) -> Result<usize, String> {
    let longer = length.saturating_add(with.as_str().len());
    let longer = longer.saturating_sub(name.len());
    if longer > MAX_EXPANDED {
        return Err(format!(
            "with the list `{name}` the condition is longer than {MAX_EXPANDED} bytes"
        ));
    }
    Ok(longer)
}

impl Collection {
    /// An item that names a list defined before is replaced by that list's own items, once.
    pub(super) fn flattened_lists(&mut self) -> Lists {
        let by_name: HashMap<&str, usize> = (self.lists.iter().enumerate())
            .map(|(index, list)| (list.name.as_str(), index))
            .collect();
        let mut used = Vec::new();
        let mut refused = HashSet::new();
        let mut flattened = Vec::with_capacity(self.lists.len());
        for (number, list) in self.lists.iter().enumerate() {
            if list.refused {
                refused.insert(number);
            }
            let mut items: Vec<Cow<'_, Text>> = Vec::with_capacity(list.items.len());
            for item in &list.items {
                let other = by_name.get(item.as_str());
                match other.and_then(|index| Some((*index, self.lists.get(*index)?))) {
                    Some((index, other)) if other.position < list.visibility => {
                        used.push(index);
                        if other.refused {
                            refused.insert(number);
                        }
                        items.extend(other.items.iter().map(|inner| {
                            let mut placed = item.clone();
                            let copied = placed.open_list(0, inner);
                            placed.push_copied(&copied, 0..inner.as_str().len());
                            Cow::Owned(placed)
                        }));
                    }
                    _ => items.push(Cow::Borrowed(item)),
                }
            }
            let with = joined(items.iter().map(|item| &**item));
            flattened.push((list.name.clone(), with));
        }
        for index in used {
            if let Some(list) = self.lists.get_mut(index) {
                list.used = true;
            }
        }
        Lists {
            wrong: self.lists.iter().map(List::wrong).collect(),
            refused,
            ..Lists::new(flattened)
        }
    }
}

/// Whether the name occurs, bounded; `with` takes its place.
fn put(text: &mut Text, name: &str, with: &Text) -> Result<bool, String> {
    let whole = text.as_str();
    let mut end = 0;
    let mut length = whole.len();
    let mut starts = Vec::new();
    for (start, _) in whole.match_indices(name) {
        let before = whole
            .get(..start)
            .and_then(|before| before.chars().next_back());
        let after = whole.get(start + name.len()..);
        let after = after.and_then(|after| after.chars().next());
        if start >= end && bounds(before) && bounds(after) {
            length = bounded(length, name, with)?;
            starts.push(start);
            end = start + name.len();
        }
    }
    if starts.is_empty() {
        return Ok(false);
    }
    let mut put = text.emptied();
    let mut open = [Open {
        copied: Copied::back(text),
        at: 0,
        lists: 0..0,
    }];
    for start in starts {
        let [Open { copied, at, .. }] = &mut open;
        put.push_copied(copied, *at..start);
        *at = start + name.len();
        if with.as_str().is_empty() {
            take_comma(&mut put, &mut open);
            continue;
        }
        let named = put.as_str().len();
        put.push_copied(copied, start..*at);
        let items = put.open_list(named, with);
        put.push_copied(&items, 0..with.as_str().len());
    }
    let [Open { copied, at, .. }] = &open;
    put.push_copied(copied, *at..copied.as_str().len());
    *text = put;
    Ok(true)
}

/// An empty list takes one comma with it: the one after it, with the blanks around that, else the
/// one before.
fn take_comma(before: &mut Text, after: &mut [Open<'_>]) {
    let mut rests = after.iter().rev().map(Open::rest);
    let next = rests.find_map(|rest| rest.trim_start().chars().next());
    if next != Some(',') {
        if let Some(rest) = before.as_str().trim_end().strip_suffix(',') {
            before.truncate(rest.len());
        }
        return;
    }
    let mut taken = false;
    for open in after.iter_mut().rev() {
        if open.skip_blanks() && !taken {
            taken = true;
            open.at += 1;
            open.skip_blanks();
        }
        if taken && !open.rest().is_empty() {
            return;
        }
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
        let lists: Vec<(String, Text)> = lists
            .iter()
            .map(|(name, items)| {
                let items: Vec<Text> = items.iter().map(|item| Text::at(item, &place)).collect();
                ((*name).to_owned(), joined(items.iter()))
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
            ("heads", &["", "", "a", "", "b c"]),
            ("tab", &["b\tc"]),
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
            ("in (heads)", "in (a, , \"b c\")"),
            ("in (tab)", "in (b\tc)"),
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
        let lists = Lists::new(vec![("a".to_owned(), Text::at(&"b".repeat(2000), &place))]);
        assert!(lists.expand(&mut text, &mut HashSet::new()).is_err());
    }
}
