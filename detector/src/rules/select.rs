//! Which rules are in force: switched by name or tag, cut at a priority; and how many of them one
//! event may match (Falco, `rules`, `priority` and `rule_matching` of falco.yaml).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Rule, pattern::Glob};
use crate::alert::Priority;

/// How many of the rules that match an event give an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Matching {
    /// The one that is defined first.
    First,
    All,
}

/// Switches rules on or off, whatever their file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    Enable(Which),
    Disable(Which),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// The whole name; `*` stands for any text.
    Rule(String),
    Tag(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// In order: the last one that names a rule decides.
    pub switches: Vec<Switch>,
    /// Less urgent rules are left out.
    pub least: Priority,
    pub matching: Matching,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            switches: Vec::new(),
            least: Priority::Debug,
            matching: Matching::First,
        }
    }
}

impl Which {
    /// `tag:NAME`, or a pattern of names.
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix("tag:") {
            Some(tag) => Self::Tag(tag.to_owned()),
            None => Self::Rule(text.to_owned()),
        }
    }

    pub fn is_of(&self, rule: &Rule) -> bool {
        match self {
            Self::Rule(pattern) => wildcard(pattern).matches(&rule.name),
            Self::Tag(tag) => rule.tags.contains(tag),
        }
    }
}

impl std::fmt::Display for Which {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rule(pattern) => write!(f, "rule `{pattern}`"),
            Self::Tag(tag) => write!(f, "tag `{tag}`"),
        }
    }
}

/// Only `*` is special.
fn wildcard(pattern: &str) -> Glob {
    let mut escaped = String::with_capacity(pattern.len());
    for character in pattern.chars() {
        if matches!(character, '?' | '[' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    Glob::new(&escaped, false)
}

impl Selection {
    /// Returns what names no rule: probably a slip.
    pub(super) fn apply<'s>(&'s self, rules: &mut [Rule]) -> Vec<&'s Which> {
        let mut idle = Vec::new();
        for switch in &self.switches {
            let (which, enabled) = match switch {
                Switch::Enable(which) => (which, true),
                Switch::Disable(which) => (which, false),
            };
            let mut found = false;
            for rule in rules.iter_mut().filter(|rule| which.is_of(rule)) {
                rule.enabled = enabled;
                found = true;
            }
            if !found {
                idle.push(which);
            }
        }
        for rule in rules.iter_mut().filter(|rule| rule.priority > self.least) {
            rule.enabled = false;
        }
        idle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stars_are_patterns() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("Kubelet*", "Kubelet API", true),
            ("*API*", "Kubelet API access", true),
            ("Kubelet", "Kubelet API", false),
            ("a?c", "abc", false),
            ("a?c", "a?c", true),
            ("[a]", "[a]", true),
        ] {
            assert_eq!(
                wildcard(pattern).matches(name),
                expected,
                "{pattern} {name}"
            );
        }
    }
}
