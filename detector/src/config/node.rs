//! What YAML says, as a tree that knows where each part of it was written. It has secrets in it, so
//! that nothing prints it.

use std::ops::Range;

/// Bytes of one of the texts that the configuration is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Its number.
    pub(super) text: usize,
    pub(super) span: Range<usize>,
}

#[derive(Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Clone)]
pub(super) enum Value {
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Map),
}

/// As it is written, so that `hostname: 007` is what it looks like.
#[derive(Clone)]
pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) kind: Kind,
}

/// What YAML takes a scalar for where no type is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Bool,
    Number,
}

#[derive(Clone, Default)]
pub(super) struct Map {
    pub(super) entries: Vec<Entry>,
    /// Keys that were taken out because of a mistake: what is missing then was told.
    pub(super) refused: Vec<String>,
}

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) value: Node,
}

/// One step into a tree, by number: of the entry of a map, or of the item of a list.
pub(super) type Step = usize;

impl Map {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.key == key)
    }
}

impl Node {
    pub(super) fn text(place: Place, text: String) -> Self {
        let value = Value::Scalar(Scalar {
            text,
            kind: Kind::Text,
        });
        Self { place, value }
    }

    pub(super) fn empty(place: Place) -> Self {
        let value = Value::Map(Map::default());
        Self { place, value }
    }

    /// With an article, for messages.
    pub(super) fn what(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar(scalar) => match scalar.kind {
                Kind::Text => "a text",
                Kind::Bool => "true or false",
                Kind::Number => "a number",
            },
            Value::List(_) => "a list",
            Value::Map(_) => "keys with values",
        }
    }

    /// What is written at `a.b`, or at an item by its number.
    pub(super) fn find(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, step| match &node.value {
            Value::Map(map) => map.get(step).map(|entry| &entry.value),
            Value::List(items) => items.get(step.parse::<usize>().ok()?),
            Value::Null | Value::Scalar(_) => None,
        })
    }

    /// Takes an entry of a map out.
    pub(super) fn take(&mut self, path: &[&str]) -> Option<Entry> {
        let (key, above) = path.split_last()?;
        let mut node = self;
        for step in above {
            let Value::Map(map) = &mut node.value else {
                return None;
            };
            node = &mut map.get_mut(step)?.value;
        }
        let Value::Map(map) = &mut node.value else {
            return None;
        };
        let at = map.entries.iter().position(|entry| entry.key == *key)?;
        Some(map.entries.remove(at))
    }

    pub(super) fn at(&self, path: &[Step]) -> Option<&Self> {
        path.iter().try_fold(self, |node, step| match &node.value {
            Value::Map(map) => map.entries.get(*step).map(|entry| &entry.value),
            Value::List(items) => items.get(*step),
            Value::Null | Value::Scalar(_) => None,
        })
    }

    fn at_mut(&mut self, path: &[Step]) -> Option<&mut Self> {
        path.iter()
            .try_fold(self, |node, step| match &mut node.value {
                Value::Map(map) => map.entries.get_mut(*step).map(|entry| &mut entry.value),
                Value::List(items) => items.get_mut(*step),
                Value::Null | Value::Scalar(_) => None,
            })
    }

    /// Takes out what is mistaken, so that the rest can be looked at; false if that is all.
    pub(super) fn refuse(&mut self, path: &[Step]) -> bool {
        let Some((last, above)) = path.split_last() else {
            return false;
        };
        match self.at_mut(above).map(|node| &mut node.value) {
            Some(Value::Map(map)) if *last < map.entries.len() => {
                let entry = map.entries.remove(*last);
                map.refused.push(entry.key);
                true
            }
            Some(Value::List(items)) if *last < items.len() => {
                items.remove(*last);
                true
            }
            _ => false,
        }
    }

    /// Keys of a map that were taken out.
    pub(super) fn refused(&self) -> &[String] {
        match &self.value {
            Value::Map(map) => &map.refused,
            _ => &[],
        }
    }

    /// Every scalar within, itself included.
    pub(super) fn scalars<'n>(&'n self, each: &mut impl FnMut(&'n Self, &'n Scalar)) {
        match &self.value {
            Value::Null => {}
            Value::Scalar(scalar) => each(self, scalar),
            Value::List(items) => items.iter().for_each(|item| item.scalars(each)),
            Value::Map(map) => map
                .entries
                .iter()
                .for_each(|entry| entry.value.scalars(each)),
        }
    }
}
