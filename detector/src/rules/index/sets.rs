//! Sets of rules, one bit each. Equal sets are kept once: values that few rules tell apart share them.

use std::collections::HashMap;

use foldhash::fast::FixedState;

/// Names one of the `Sets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SetId(usize);

#[derive(Debug)]
pub(super) struct Sets {
    /// Of one set.
    words: usize,
    bits: Vec<u64>,
}

/// Bits of all sets of one index: beyond this, a rule is no longer told apart by a field.
const MAX_WORDS: usize = 1 << 21;

pub(super) struct Interner {
    sets: Sets,
    known: HashMap<Box<[u64]>, SetId, FixedState>,
}

impl Interner {
    pub(super) fn new(rules: usize) -> Self {
        Self {
            sets: Sets {
                words: rules.div_ceil(64),
                bits: Vec::new(),
            },
            known: HashMap::default(),
        }
    }

    pub(super) fn empty(&self) -> Vec<u64> {
        vec![0; self.sets.words]
    }

    pub(super) fn of(&mut self, rules: impl IntoIterator<Item = usize>) -> SetId {
        let mut bits = self.empty();
        rules.into_iter().for_each(|rule| insert(&mut bits, rule));
        self.intern(&bits)
    }

    /// Any set if it is full: what would use it is left out.
    pub(super) fn intern(&mut self, bits: &[u64]) -> SetId {
        if self.is_full() {
            return self.known.get(bits).copied().unwrap_or(SetId(0));
        }
        self.keep(bits)
    }

    pub(super) fn keep(&mut self, bits: &[u64]) -> SetId {
        if let Some(id) = self.known.get(bits) {
            return *id;
        }
        let id = SetId(self.known.len());
        self.known.insert(bits.into(), id);
        self.sets.bits.extend_from_slice(bits);
        id
    }

    pub(super) fn get(&self, id: SetId) -> &[u64] {
        self.sets.get(id)
    }

    pub(super) fn is_full(&self) -> bool {
        self.sets.bits.len() > MAX_WORDS
    }

    pub(super) fn finish(self) -> Sets {
        self.sets
    }
}

impl Sets {
    pub(super) fn get(&self, id: SetId) -> &[u64] {
        let start = id.0 * self.words;
        self.bits.get(start..start + self.words).unwrap_or_default()
    }
}

pub(super) fn contains(bits: &[u64], rule: usize) -> bool {
    bits.get(rule / 64)
        .is_some_and(|word| word >> (rule % 64) & 1 == 1)
}

pub(super) fn insert(bits: &mut [u64], rule: usize) {
    if let Some(word) = bits.get_mut(rule / 64) {
        *word |= 1 << (rule % 64);
    }
}

pub(super) fn remove(bits: &mut [u64], rule: usize) {
    if let Some(word) = bits.get_mut(rule / 64) {
        *word &= !(1 << (rule % 64));
    }
}

pub(super) fn toggle(bits: &mut [u64], rule: usize) {
    if let Some(word) = bits.get_mut(rule / 64) {
        *word ^= 1 << (rule % 64);
    }
}

pub(super) fn unite(bits: &mut [u64], other: &[u64]) {
    for (word, other) in bits.iter_mut().zip(other) {
        *word |= other;
    }
}

pub(super) fn intersect(bits: &mut [u64], other: &[u64]) {
    for (word, other) in bits.iter_mut().zip(other) {
        *word &= other;
    }
}
