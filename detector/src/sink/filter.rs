//! Which alerts a sink gets.

use super::{kept::Kept, settings::SinkSettings};
use crate::alert::{HEARTBEAT, LEFT_OUT, OWN, Priority};

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
        let by_name = || self.rules.iter().any(|pattern| fits(pattern, rule));
        priority <= self.least
            && (self.rules.is_empty() || rule == LEFT_OUT || by_name())
            && (self.tags.is_empty() || self.tags.iter().any(|tag| tags.contains(tag)))
    }
}

/// The keys of a sink's filter that none of these rules suits, each a name and tags, nor an alert of the
/// detector's own.
pub fn asks_in_vain(settings: &SinkSettings, rules: &[(&str, &[String])]) -> Vec<&'static str> {
    let mut names = rules.iter().map(|(name, _)| *name).chain(OWN);
    let mut tags = rules.iter().flat_map(|(_, tags)| *tags);
    let suits = |name: &str| settings.rules.iter().any(|pattern| fits(pattern, name));
    let by_name = settings.rules.is_empty() || names.any(suits);
    let by_tag = settings.tags.is_empty() || tags.any(|tag| settings.tags.contains(tag));
    let keys = [("rules", by_name), ("tags", by_tag)].into_iter();
    keys.filter(|(_, suits)| !suits)
        .map(|(key, _)| key)
        .collect()
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
    fn what_no_rule_suits_is_asked_in_vain() {
        let network = ["network".to_owned()];
        let loaded: &[(&str, &[String])] = &[("Kubelet Exec", &network), ("Other", &[])];
        let asks = |rules: &[&str], tags: &[&str]| {
            let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
            let settings = SinkSettings {
                rules: owned(rules),
                tags: owned(tags),
                ..SinkSettings::new("a")
            };
            asks_in_vain(&settings, loaded)
        };
        assert!(asks(&[], &[]).is_empty());
        assert!(asks(&["None", "*Exec"], &["none", "network"]).is_empty());
        assert!(asks(&["Events lost"], &[]).is_empty(), "one of its own");
        assert_eq!(asks(&["Kublet *"], &["netwrok"]), ["rules", "tags"]);
        assert_eq!(asks(&["Other"], &["netwrok"]), ["tags"]);
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
        assert!(filter.passes(Priority::Critical, LEFT_OUT, &tags(&["mitre"])));
        assert!(!filter.passes(Priority::Notice, LEFT_OUT, &tags(&["mitre"])));
        assert!(!filter.passes(Priority::Notice, "Kubelet Exec", &tags(&["mitre"])));
        assert!(!filter.passes(Priority::Warning, "Other", &tags(&["mitre"])));
        assert!(!filter.passes(Priority::Warning, "Kubelet Exec", &tags(&["a"])));
    }
}
