//! What becomes of two trees: of the main file and another, and of a setting.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::node::{Entry, Map, Node, Place, Value};

/// What becomes of a key that both have (Falco, `strategy` of `config_files`). Maps are gone into in
/// any case, key by key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The items of the later list follow those of the earlier; of any other value the later counts.
    #[default]
    Append,
    /// The later counts.
    Override,
    /// The earlier counts.
    AddOnly,
}

pub(super) fn merge(base: &mut Node, later: Node, strategy: Strategy) {
    match (&mut base.value, later.value) {
        (Value::Map(base), Value::Map(later)) => {
            for entry in later.entries {
                match base.get_mut(&entry.key) {
                    Some(earlier) => merge(&mut earlier.value, entry.value, strategy),
                    None => base.entries.push(entry),
                }
            }
        }
        (Value::List(base), Value::List(later)) if strategy == Strategy::Append => {
            base.extend(later);
        }
        // A key below which all is commented out says nothing of the others.
        (Value::Map(_), Value::Null) => {}
        (Value::List(_), Value::Null) if strategy == Strategy::Append => {}
        (_, value) if strategy != Strategy::AddOnly => {
            base.place = later.place;
            base.value = value;
        }
        _ => {}
    }
}

/// One step of `sinks[0].http.url`.
pub(super) enum Step {
    Key(String, Place),
    /// `[0]`
    Item(usize, Place),
    /// `[]`: one more item.
    More,
}

/// Why a setting cannot be put where its key says.
pub(super) struct NoSuchPlace {
    pub(super) place: Place,
    pub(super) message: String,
}

/// Puts a value in; maps are merged, lists replaced.
pub(super) fn put(root: &mut Node, path: Vec<Step>, value: Node) -> Result<(), NoSuchPlace> {
    let mut node = root;
    for step in path {
        if matches!(node.value, Value::Null) {
            node.value = match step {
                Step::Key(..) => Value::Map(Map::default()),
                Step::Item(..) | Step::More => Value::List(Vec::new()),
            };
        }
        let what = node.what();
        node = match (step, &mut node.value) {
            (Step::Key(key, place), Value::Map(map)) => entry(map, key, place, &value.place)?,
            (Step::Item(number, place), Value::List(items)) => {
                let count = items.len();
                let message = format!("the list has {count} items, counted from 0");
                items
                    .get_mut(number)
                    .ok_or(NoSuchPlace { place, message })?
            }
            (Step::More, Value::List(items)) => {
                items.push(nothing(&value.place));
                items.last_mut().ok_or_else(|| no_place(&value.place))?
            }
            (Step::Key(_, place) | Step::Item(_, place), _) => {
                let message = format!("what is before this is {what}");
                return Err(NoSuchPlace { place, message });
            }
            (Step::More, _) => {
                return Err(NoSuchPlace {
                    place: value.place,
                    message: format!("what this is to be added to is {what}"),
                });
            }
        };
    }
    merge(node, value, Strategy::Override);
    Ok(())
}

fn no_place(place: &Place) -> NoSuchPlace {
    NoSuchPlace {
        place: place.clone(),
        message: "there is no such place".to_owned(),
    }
}

fn nothing(place: &Place) -> Node {
    Node {
        place: place.clone(),
        value: Value::Null,
    }
}

fn entry<'m>(
    map: &'m mut Map,
    key: String,
    key_place: Place,
    value: &Place,
) -> Result<&'m mut Node, NoSuchPlace> {
    let at = map.entries.iter().position(|entry| entry.key == key);
    let at = at.unwrap_or_else(|| {
        let value = nothing(value);
        map.entries.push(Entry {
            key,
            key_place: key_place.clone(),
            value,
        });
        map.entries.len() - 1
    });
    let entry = map.entries.get_mut(at);
    let entry = entry.ok_or_else(|| no_place(&key_place))?;
    // Named where it was written last.
    entry.key_place = key_place;
    Ok(&mut entry.value)
}
