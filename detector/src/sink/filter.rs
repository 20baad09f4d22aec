//! Which alerts a sink gets.

use super::{kept::Kept, settings::SinkSettings};
use crate::alert::{HEARTBEAT, Priority};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The least urgent.
    least: Priority,
    /// Patterns with `*`; any if empty.
    rules: Vec<String>,
    /// Any if empty.
    tags: Vec<String>,
}

impl Filter {
    pub fn new(settings: &SinkSettings) -> Self {
        Self {
            least: settings.priority,
            rules: settings.rules.clone(),
            tags: settings.tags.clone(),
        }
    }

    /// Passes every alert.
    pub fn every() -> Self {
        Self {
            least: Priority::Debug,
            rules: Vec::new(),
            tags: Vec::new(),
        }
    }

    pub fn wants(&self, kept: &Kept) -> bool {
        self.passes(kept.priority, &kept.rule, &kept.tags)
    }

    pub fn passes(&self, priority: Priority, rule: &str, tags: &[String]) -> bool {
        if rule == HEARTBEAT {
            return true;
        }
        priority <= self.least
            && (self.rules.is_empty() || self.rules.iter().any(|pattern| fits(pattern, rule)))
            && (self.tags.is_empty() || self.tags.iter().any(|tag| tags.contains(tag)))
    }
}

/// `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some(at) = text.find(part) else {
            return false;
        };
        text = text.get(at + part.len()..).unwrap_or_default();
    }
    text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "any", true),
            ("Kubelet *", "Kubelet Exec", true),
            ("Kubelet *", "A Kubelet Exec", false),
            ("*Exec", "Kubelet Exec", true),
            ("*Exec", "Kubelet Exec2", false),
            ("K*t*c", "Kubelet Exec", true),
            ("K*x*t*c", "Kubelet Exec", false),
            ("aa*aa", "aaa", false),
            ("a*b*b", "ab", false),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn every_part_is_to_fit() {
        let filter = Filter {
            least: Priority::Warning,
            rules: vec!["Kubelet *".into()],
            tags: vec!["network".into(), "mitre".into()],
        };
        let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
        assert!(filter.passes(Priority::Critical, "Kubelet Exec", &tags(&["a", "mitre"])));
        assert!(filter.passes(Priority::Informational, HEARTBEAT, &[]));
        assert!(!filter.passes(Priority::Notice, "Kubelet Exec", &tags(&["mitre"])));
        assert!(!filter.passes(Priority::Warning, "Other", &tags(&["mitre"])));
        assert!(!filter.passes(Priority::Warning, "Kubelet Exec", &tags(&["a"])));
    }
}
