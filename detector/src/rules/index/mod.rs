//! Which rules an event can match, for each kind of event. A column is a field that rules ask for:
//! the event's value leads to the set of rules that accept it, and the sets of all columns are
//! intersected. What is left is judged by its whole condition, unless the columns say all of it.

mod needs;
mod sets;
mod texts;

use std::collections::BTreeMap;

use super::{
    compiler::Condition,
    fields::{Argument, Context, Field, Get, Value},
    spans::{self, Spans},
};
use needs::{Accepts, Key, Need};
use sets::{Interner, SetId, Sets, insert, intersect, remove, toggle, unite};
use texts::TextColumn;

/// With no more rules left they are judged at once: a column costs more.
const FEW: u32 = 1;

#[derive(Debug)]
pub(super) struct Index {
    sets: Sets,
    kinds: Vec<OfKind>,
}

#[derive(Debug)]
struct OfKind {
    /// Every rule that is judged for this kind.
    all: SetId,
    /// Of them those that match whatever all columns accept.
    enough: SetId,
    /// Those that tell more rules apart come first.
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    field: &'static Field,
    argument: Argument,
    /// The rules that accept an event without the field.
    missing: SetId,
    lookup: Lookup,
}

#[derive(Debug)]
enum Lookup {
    Texts(TextColumn),
    Points(PointColumn),
}

/// Between two edges the same rules accept.
#[derive(Debug)]
struct PointColumn {
    edges: Vec<u128>,
    /// One more than edges.
    accepting: Vec<SetId>,
}

/// What a search writes to, kept between events.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) rules: Vec<u64>,
    /// Those of the rules that match, without a look at their conditions.
    matching: Vec<u64>,
    /// Of one value.
    one: Vec<u64>,
    /// Of several values.
    any: Vec<u64>,
}

impl Found {
    /// Whether the columns alone show that the rule matches.
    pub(super) fn matches(&self, rule: usize) -> bool {
        sets::contains(&self.matching, rule)
    }
}

impl Index {
    /// For each kind, the condition of each rule that is judged for it.
    pub(super) fn new(rules: usize, kinds: &[Vec<(usize, &Condition)>]) -> Self {
        let mut interner = Interner::new(rules);
        let kinds = kinds
            .iter()
            .map(|of_kind| OfKind::new(of_kind, &mut interner))
            .collect();
        Self {
            sets: interner.finish(),
            kinds,
        }
    }

    /// Leaves the rules in `found`.
    pub(super) fn find(&self, kind: usize, context: Context<'_>, found: &mut Found) {
        found.rules.clear();
        found.matching.clear();
        let Some(of_kind) = self.kinds.get(kind) else {
            return;
        };
        let all = self.sets.get(of_kind.all);
        found.rules.extend_from_slice(all);
        for spare in [&mut found.one, &mut found.any] {
            spare.resize(all.len(), 0);
        }
        let mut told = true;
        for column in &of_kind.columns {
            let left: u32 = found.rules.iter().map(|word| word.count_ones()).sum();
            if left <= FEW {
                return;
            }
            told &= column.narrow(&self.sets, context, found);
        }
        if told {
            found.matching.extend_from_slice(&found.rules);
            intersect(&mut found.matching, self.sets.get(of_kind.enough));
        }
    }
}

impl OfKind {
    fn new(rules: &[(usize, &Condition)], interner: &mut Interner) -> Self {
        let mut all = interner.empty();
        for (rule, _) in rules {
            insert(&mut all, *rule);
        }
        let mut columns: BTreeMap<Key, Vec<(usize, Need)>> = BTreeMap::new();
        let mut enough = interner.empty();
        for (rule, condition) in rules {
            let needs = needs::needs(condition);
            if needs.enough {
                insert(&mut enough, *rule);
            }
            for (key, need) in needs.all {
                columns.entry(key).or_default().push((*rule, need));
            }
        }
        let mut columns: Vec<(Key, Vec<(usize, Need)>)> = columns.into_iter().collect();
        columns.sort_by_key(|(_, needs)| {
            let texts = needs.first().is_some_and(|(_, need)| need.is_text());
            (std::cmp::Reverse(needs.len()), texts)
        });
        let mut kept = Vec::with_capacity(columns.len());
        for (key, needs) in columns {
            let asking: Vec<usize> = needs.iter().map(|(rule, _)| *rule).collect();
            match Column::new(key.argument, &all, needs, interner) {
                Some(column) => kept.push(column),
                None => asking.iter().for_each(|rule| remove(&mut enough, *rule)),
            }
        }
        Self {
            all: interner.keep(&all),
            enough: interner.keep(&enough),
            columns: kept,
        }
    }
}

impl Need {
    fn is_text(&self) -> bool {
        matches!(self.accepts, Accepts::Texts(_))
    }
}

impl Column {
    /// None where the sets would take too much memory: the field is then not looked at.
    fn new(
        argument: Argument,
        all: &[u64],
        needs: Vec<(usize, Need)>,
        interner: &mut Interner,
    ) -> Option<Self> {
        let field = needs.first()?.1.field;
        let mut free = all.to_vec();
        needs.iter().for_each(|(rule, _)| toggle(&mut free, *rule));
        let mut missing = free.clone();
        for (rule, _) in needs.iter().filter(|(_, need)| need.missing) {
            insert(&mut missing, *rule);
        }
        let (mut texts, mut spans) = (Vec::new(), Vec::new());
        for (rule, need) in &needs {
            match &need.accepts {
                Accepts::Texts(one) => texts.push((*rule, one)),
                Accepts::Spans(one) => spans.push((*rule, one)),
            }
        }
        let lookup = if spans.is_empty() {
            let free = interner.intern(&free);
            Lookup::Texts(TextColumn::new(&texts, free, interner)?)
        } else {
            Lookup::Points(PointColumn::new(&spans, free, interner))
        };
        let column = Self {
            field,
            argument,
            missing: interner.intern(&missing),
            lookup,
        };
        (!interner.is_full()).then_some(column)
    }

    /// Returns whether it took out all that the event excludes.
    fn narrow(&self, sets: &Sets, context: Context<'_>, found: &mut Found) -> bool {
        let Found {
            rules, one, any, ..
        } = found;
        let value = match (self.field.get, &self.argument) {
            (Get::One(get), _) => get(context),
            (Get::Ancestors(get), Argument::Index(index)) => get(context, *index),
            (Get::Ancestors(get), _) => {
                let ancestors = (1..).map_while(|index| get(context, index));
                return self.narrow_by_any(ancestors, sets, rules, (one, any));
            }
            (Get::Ends(get), _) => {
                let ends = get(context).into_iter().flatten();
                return self.narrow_by_any(ends, sets, rules, (one, any));
            }
            _ => return false,
        };
        let accepting = match (&self.lookup, value) {
            (_, None) => sets.get(self.missing),
            (Lookup::Points(points), Some(value)) => match points.accepting(&value) {
                Some(accepting) => sets.get(accepting),
                None => return false,
            },
            (Lookup::Texts(texts), Some(Value::Text(text))) if texts.accept(&text, sets, one) => {
                one.as_slice()
            }
            (Lookup::Texts(_), Some(_)) => return false,
        };
        intersect(rules, accepting);
        true
    }

    fn narrow_by_any<'v>(
        &self,
        values: impl Iterator<Item = Value<'v>>,
        sets: &Sets,
        rules: &mut [u64],
        (one, any): (&mut [u64], &mut [u64]),
    ) -> bool {
        any.copy_from_slice(sets.get(self.missing));
        for value in values {
            match (&self.lookup, &value) {
                (Lookup::Points(points), _) => match points.accepting(&value) {
                    Some(accepting) => unite(any, sets.get(accepting)),
                    None => return false,
                },
                (Lookup::Texts(texts), Value::Text(text)) if texts.accept(text, sets, one) => {
                    unite(any, one);
                }
                (Lookup::Texts(_), _) => return false,
            }
        }
        intersect(rules, any);
        true
    }
}

impl PointColumn {
    fn new(needs: &[(usize, &Spans)], mut bits: Vec<u64>, interner: &mut Interner) -> Self {
        let mut edges: BTreeMap<u128, Vec<usize>> = BTreeMap::new();
        for (rule, spans) in needs {
            for edge in spans.edges() {
                edges.entry(edge).or_default().push(*rule);
            }
        }
        let mut accepting = vec![interner.intern(&bits)];
        for rules in edges.values() {
            rules.iter().for_each(|rule| toggle(&mut bits, *rule));
            accepting.push(interner.intern(&bits));
        }
        Self {
            edges: edges.into_keys().collect(),
            accepting,
        }
    }

    fn accepting(&self, value: &Value<'_>) -> Option<SetId> {
        let point = spans::point(value)?;
        let after = self.edges.partition_point(|edge| *edge <= point);
        self.accepting.get(after).copied()
    }
}
