//! What the files define, before it is compiled.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{
    super::{
        checker::Macros,
        text::{Place, Text},
        yaml::{Node, Value},
    },
    exceptions::Exceptions,
    lists::bounds,
};
use crate::alert::Priority;

pub(super) struct List {
    pub(super) name: String,
    pub(super) items: Vec<Text>,
    /// The first empty one after another: it leaves a comma too many.
    pub(super) empty: Option<Place>,
    /// Of the first definition, among all items.
    pub(super) position: usize,
    /// Of the newest definition or append.
    pub(super) visibility: usize,
    pub(super) place: Place,
    pub(super) used: bool,
    /// Its items are not known: nothing is told of what uses it.
    pub(super) refused: bool,
}

pub(super) struct RuleItem {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) condition: Text,
    pub(super) output: Text,
    pub(super) desc: Text,
    /// `None` if it is not known, which was reported.
    pub(super) priority: Option<Priority>,
    pub(super) source: String,
    pub(super) enabled: bool,
    pub(super) warn_evttypes: bool,
    pub(super) skip_if_unknown_filter: bool,
    pub(super) tags: BTreeSet<String>,
    pub(super) exceptions: Exceptions,
}

/// The words of what was refused or skipped: the lists and macros among them are probably used.
#[derive(Default)]
pub(super) struct Mentioned(HashSet<String>);

impl Mentioned {
    pub(super) fn add(&mut self, text: &str) {
        let words = text.split(|one| bounds(Some(one)));
        self.0.extend(words.map(str::to_owned));
    }

    pub(super) fn add_all(&mut self, node: &Node) {
        match &node.value {
            Value::Null => {}
            Value::Text(text) => self.add(text),
            Value::Sequence(items) => items.iter().for_each(|item| self.add_all(item)),
            Value::Map(pairs) => pairs.iter().for_each(|(_, value)| self.add_all(value)),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

#[derive(Default)]
pub(super) struct Collection {
    /// Items read so far.
    pub(super) position: usize,
    /// In the order of first definition.
    pub(super) lists: Vec<List>,
    pub(super) macros: Macros,
    pub(super) rules: Vec<RuleItem>,
    /// Names of rules whose definition was refused: what appends to them is not reported too.
    pub(super) refused: BTreeSet<String>,
    pub(super) mentioned: Mentioned,
    lists_by_name: BTreeMap<String, usize>,
    rules_by_name: BTreeMap<String, usize>,
}

impl Collection {
    pub(super) fn list(&mut self, name: &str) -> Option<&mut List> {
        let index = self.lists_by_name.get(name)?;
        self.lists.get_mut(*index)
    }

    pub(super) fn add_list(&mut self, list: List) {
        self.lists_by_name
            .insert(list.name.clone(), self.lists.len());
        self.lists.push(list);
    }

    pub(super) fn rule(&mut self, name: &str) -> Option<&mut RuleItem> {
        let index = self.rules_by_name.get(name)?;
        self.rules.get_mut(*index)
    }

    /// A redefinition keeps its place in the order.
    pub(super) fn define_rule(&mut self, rule: RuleItem) {
        if let Some(old) = self.rule(&rule.name) {
            *old = rule;
            return;
        }
        self.rules_by_name
            .insert(rule.name.clone(), self.rules.len());
        self.rules.push(rule);
    }
}
