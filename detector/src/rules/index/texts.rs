//! Which rules' patterns a text fits, however many there are: words by their hash, beginnings by one
//! search, parts by one pass of an automaton.

use std::collections::{BTreeMap, HashMap};

use aho_corasick::AhoCorasick;
use foldhash::fast::FixedState;

use super::{
    super::automaton::MAX_PARTS,
    needs::{Pattern, Texts},
    sets::{Interner, SetId, Sets, insert, unite},
};

#[derive(Debug)]
pub(super) struct TextColumn {
    words: HashMap<Box<str>, SetId, FixedState>,
    beginnings: Beginnings,
    /// Of paths without slashes at their ends.
    paths: HashMap<Box<str>, SetId, FixedState>,
    folders: Beginnings,
    parts: Vec<Parts>,
    /// The rules that want the text to fit none of their patterns.
    refusing: SetId,
    /// The rules that want nothing of it.
    free: SetId,
}

/// Sorted. The longest that a text begins with is the one before it in this order, or what that
/// one begins with, and so on.
#[derive(Debug, Default)]
struct Beginnings(Vec<Beginning>);

#[derive(Debug)]
struct Beginning {
    text: Box<str>,
    /// The longest other one that this one begins with.
    within: Option<usize>,
    /// Of this one and of all that it begins with.
    rules: SetId,
}

#[derive(Debug)]
struct Parts {
    automaton: AhoCorasick,
    /// By pattern; whether only the end of a text counts.
    of: Vec<(SetId, bool)>,
}

type Rules<T> = BTreeMap<T, Vec<usize>>;

impl TextColumn {
    /// `None` if the automaton cannot be built.
    pub(super) fn new(
        needs: &[(usize, &Texts)],
        free: SetId,
        interner: &mut Interner,
    ) -> Option<Self> {
        let (mut words, mut paths) = (Rules::<&str>::new(), Rules::new());
        let (mut beginnings, mut folders) = (Rules::<String>::new(), Rules::new());
        let mut parts = Rules::<(&str, bool)>::new();
        for (rule, texts) in needs {
            for pattern in &texts.patterns {
                match pattern {
                    Pattern::Is(text) => words.entry(text).or_default().push(*rule),
                    Pattern::StartsWith(text) => {
                        beginnings.entry(text.clone()).or_default().push(*rule);
                    }
                    Pattern::EndsWith(text) => parts.entry((text, true)).or_default().push(*rule),
                    Pattern::Contains(text) => parts.entry((text, false)).or_default().push(*rule),
                    Pattern::Within(path) => {
                        paths.entry(path.as_str()).or_default().push(*rule);
                        let folder = if path.is_empty() {
                            String::new()
                        } else {
                            format!("{path}/")
                        };
                        folders.entry(folder).or_default().push(*rule);
                    }
                }
            }
        }
        let refusing = needs.iter().filter(|(_, texts)| texts.refused);
        let refusing = interner.of(refusing.map(|(rule, _)| *rule));
        Some(Self {
            words: hashed(words, interner),
            beginnings: Beginnings::new(beginnings, interner),
            paths: hashed(paths, interner),
            folders: Beginnings::new(folders, interner),
            parts: Parts::all(parts, interner)?,
            refusing,
            free,
        })
    }

    /// Writes the rules that accept the text; false if it does not tell them apart.
    pub(super) fn accept(&self, text: &str, sets: &Sets, out: &mut [u64]) -> bool {
        match self.words.get(text) {
            Some(rules) => out.copy_from_slice(sets.get(*rules)),
            None => out.fill(0),
        }
        if let Some(rules) = self.beginnings.find(text) {
            unite(out, sets.get(rules));
        }
        if !self.paths.is_empty() {
            // Slashes that follow each other count as one to the rules, and not to this search.
            if text.contains("//") {
                return false;
            }
            let path = text.trim_matches('/');
            let exact = self.paths.get(path).copied();
            for rules in exact.into_iter().chain(self.folders.find(path)) {
                unite(out, sets.get(rules));
            }
        }
        self.parts
            .iter()
            .for_each(|parts| parts.find(text, sets, out));
        let (refusing, free) = (sets.get(self.refusing), sets.get(self.free));
        for (word, (refusing, free)) in out.iter_mut().zip(refusing.iter().zip(free)) {
            *word = *word ^ refusing | free;
        }
        true
    }
}

fn hashed(rules: Rules<&str>, interner: &mut Interner) -> HashMap<Box<str>, SetId, FixedState> {
    rules
        .into_iter()
        .map(|(text, rules)| (text.into(), interner.of(rules)))
        .collect()
}

impl Beginnings {
    fn new(rules: Rules<String>, interner: &mut Interner) -> Self {
        let mut sorted: Vec<Beginning> = Vec::with_capacity(rules.len());
        for (text, rules) in rules {
            let mut bits = interner.empty();
            rules.into_iter().for_each(|rule| insert(&mut bits, rule));
            let within = longest(&sorted, sorted.len().checked_sub(1), &text);
            if let Some(outer) = within.and_then(|index| sorted.get(index)) {
                unite(&mut bits, interner.get(outer.rules));
            }
            sorted.push(Beginning {
                text: text.into(),
                within,
                rules: interner.intern(&bits),
            });
        }
        Self(sorted)
    }

    fn find(&self, text: &str) -> Option<SetId> {
        let after = self.0.partition_point(|one| *one.text <= *text);
        let found = longest(&self.0, after.checked_sub(1), text)?;
        self.0.get(found).map(|one| one.rules)
    }
}

/// Of `from` and of what it begins with, the longest that the text begins with.
fn longest(sorted: &[Beginning], from: Option<usize>, text: &str) -> Option<usize> {
    let mut next = from;
    while let Some(one) = next.and_then(|index| sorted.get(index)) {
        if text.starts_with(&*one.text) {
            return next;
        }
        next = one.within;
    }
    None
}

impl Parts {
    /// `None` if an automaton cannot be built.
    fn all(rules: Rules<(&str, bool)>, interner: &mut Interner) -> Option<Vec<Self>> {
        let rules: Vec<_> = rules.into_iter().collect();
        let of_some = |some: &[((&str, bool), Vec<usize>)]| {
            let texts = some.iter().map(|((text, _), _)| text);
            let automaton = AhoCorasick::new(texts).ok()?;
            let of = some
                .iter()
                .map(|((_, at_end), rules)| (interner.of(rules.iter().copied()), *at_end))
                .collect();
            Some(Self { automaton, of })
        };
        rules.chunks(MAX_PARTS).map(of_some).collect()
    }

    fn find(&self, text: &str, sets: &Sets, out: &mut [u64]) {
        for found in self.automaton.find_overlapping_iter(text) {
            if let Some((rules, at_end)) = self.of.get(found.pattern().as_usize())
                && (!at_end || found.end() == text.len())
            {
                unite(out, sets.get(*rules));
            }
        }
    }
}
