//! Which rules an event can match, for each kind of event. A column is a field that rules ask for:
//! the event's value leads to the set of rules that accept it, and the sets of all columns are
//! intersected. What is left is judged by its whole condition.

mod needs;
mod sets;
mod spans;
mod texts;

use std::collections::BTreeMap;

use super::{
    compiler::Condition,
    fields::{Argument, Context, Field, Get, Value},
};
use needs::{Accepts, Key, Need};
use sets::{Interner, SetId, Sets, insert, intersect, toggle, unite};
use spans::Spans;
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
    /// Of one value.
    one: Vec<u64>,
    /// Of several values.
    any: Vec<u64>,
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

    /// Leaves the rules in `found.rules`, and returns whether there are any.
    pub(super) fn find(&self, kind: usize, context: Context<'_>, found: &mut Found) -> bool {
        let Some(of_kind) = self.kinds.get(kind) else {
            return false;
        };
        let all = self.sets.get(of_kind.all);
        found.rules.clear();
        found.rules.extend_from_slice(all);
        for spare in [&mut found.one, &mut found.any] {
            spare.resize(all.len(), 0);
        }
        for column in &of_kind.columns {
            let left: u32 = found.rules.iter().map(|word| word.count_ones()).sum();
            if left <= FEW {
                return left > 0;
            }
            if !column.narrow(&self.sets, context, found) {
                return false;
            }
        }
        found.rules.iter().any(|word| *word != 0)
    }
}

impl OfKind {
    fn new(rules: &[(usize, &Condition)], interner: &mut Interner) -> Self {
        let all: Vec<usize> = rules.iter().map(|(rule, _)| *rule).collect();
        let mut columns: Vec<(Key, Vec<(usize, Need)>)> = Vec::new();
        for (rule, condition) in rules {
            for need in needs::needs(condition) {
                match columns.iter_mut().find(|(key, _)| *key == need.key) {
                    Some((_, needs)) => needs.push((*rule, need)),
                    None => columns.push((need.key.clone(), vec![(*rule, need)])),
                }
            }
        }
        columns.sort_by_key(|(_, needs)| {
            let texts = needs.first().is_some_and(|(_, need)| need.is_text());
            (std::cmp::Reverse(needs.len()), texts)
        });
        let columns = columns
            .into_iter()
            .filter_map(|(_, needs)| Column::new(&all, needs, interner))
            .collect();
        Self {
            all: interner.of(all),
            columns,
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
    fn new(all: &[usize], needs: Vec<(usize, Need)>, interner: &mut Interner) -> Option<Self> {
        let (field, argument) = {
            let (_, first) = needs.first()?;
            (first.field, first.key.argument.clone())
        };
        let mut free = interner.empty();
        all.iter().for_each(|rule| insert(&mut free, *rule));
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

    /// Returns whether any rule is left.
    fn narrow(&self, sets: &Sets, context: Context<'_>, found: &mut Found) -> bool {
        let Found { rules, one, any } = found;
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
            _ => return true,
        };
        match (&self.lookup, value) {
            (_, None) => intersect(rules, sets.get(self.missing)),
            (Lookup::Points(points), Some(value)) => points
                .accepting(&value)
                .is_none_or(|accepting| intersect(rules, sets.get(accepting))),
            (Lookup::Texts(texts), Some(Value::Text(text))) => {
                !texts.accept(&text, sets, one) || intersect(rules, one)
            }
            (Lookup::Texts(_), Some(_)) => true,
        }
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
                    None => return true,
                },
                (Lookup::Texts(texts), Value::Text(text)) if texts.accept(text, sets, one) => {
                    unite(any, one);
                }
                (Lookup::Texts(_), _) => return true,
            }
        }
        intersect(rules, any)
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
