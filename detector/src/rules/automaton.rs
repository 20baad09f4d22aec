//! Many patterns at once, in one pass over the text.

use aho_corasick::{AhoCorasick, Anchored, Input, StartKind};
use regex::bytes::{Regex, RegexBuilder};

use super::{ast::Operator, pattern::Glob, predicate::Constant};

/// With fewer patterns they are tried one after the other.
const MANY: usize = 4;
/// Bytes of the compiled patterns; with more they are tried one after the other.
const MAX_SIZE: usize = 1 << 23;

/// Parts that one automaton looks for: to build it takes time with the square of them.
pub(super) const MAX_PARTS: usize = 1 << 12;

#[derive(Debug)]
pub(super) enum Automaton {
    /// Anywhere, or at the beginning alone.
    Parts(Vec<AhoCorasick>, Anchored),
    Pattern(Regex),
}

impl Automaton {
    /// Of "any of these", where that is faster than each by itself.
    pub(super) fn any_of(operator: Operator, constants: &[Constant]) -> Option<Self> {
        if constants.len() < MANY {
            return None;
        }
        let texts = constants.iter().map(|constant| match constant {
            Constant::Text(text) => Some(text.as_str()),
            _ => None,
        });
        let (anchored, start) = match operator {
            Operator::StartsWith => (Anchored::Yes, StartKind::Anchored),
            _ => (Anchored::No, StartKind::Unanchored),
        };
        match operator {
            Operator::Contains | Operator::Icontains | Operator::StartsWith => {
                let texts: Vec<&str> = texts.collect::<Option<_>>()?;
                let mut builder = AhoCorasick::builder();
                builder
                    .ascii_case_insensitive(operator == Operator::Icontains)
                    .start_kind(start);
                let parts = texts.chunks(MAX_PARTS).map(|some| builder.build(some).ok());
                Some(Self::Parts(parts.collect::<Option<_>>()?, anchored))
            }
            Operator::Glob | Operator::Iglob => {
                let globs = constants.iter().map(|constant| match constant {
                    Constant::Glob(glob) => Some(glob.regex()),
                    _ => None,
                });
                let globs: Vec<String> = globs.collect::<Option<_>>()?;
                let folded = operator == Operator::Iglob;
                Self::pattern(&format!("^(?:{})$", globs.join("|")), folded)
            }
            _ => None,
        }
    }

    /// Of paths given by the globs of their components: one of them holds the path.
    pub(super) fn holding(paths: &[Vec<Glob>]) -> Option<Self> {
        if paths.len() < MANY {
            return None;
        }
        let one = |components: &Vec<Glob>| {
            let parts: Vec<String> = components.iter().map(Glob::component_regex).collect();
            parts.join("/+")
        };
        let paths: Vec<String> = paths.iter().map(one).collect();
        Self::pattern(&format!("^/*(?:{})(?:/|$)", paths.join("|")), false)
    }

    fn pattern(pattern: &str, folded: bool) -> Option<Self> {
        RegexBuilder::new(pattern)
            .unicode(false)
            .dot_matches_new_line(true)
            .case_insensitive(folded)
            .size_limit(MAX_SIZE)
            .build()
            .ok()
            .map(Self::Pattern)
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Parts(parts, anchored) => {
                let input = Input::new(text).anchored(*anchored);
                parts.iter().any(|some| some.is_match(input.clone()))
            }
            Self::Pattern(regex) => regex.is_match(text.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::pattern::Prefixes, *};

    const GLOBS: [&str; 11] = [
        "[a-c]x",
        "[!a-c]y",
        "[]]",
        "[z-a]",
        "[!z-a]",
        "a[^/]b",
        "[[:digit:]]*",
        "[[:upper:]]",
        "[![:upper:]][=x=]",
        "\\*",
        ".?",
    ];
    const TEXTS: [&str; 14] = [
        "ax", "dx", "ay", "dy", "/y", "]", "\n", "a/b", "acb", "7x", "*", ".x", "xx", "\u{20ac}",
    ];

    #[test]
    fn a_list_of_globs_matches_what_one_of_them_does() {
        for fold in [false, true] {
            let operator = if fold {
                Operator::Iglob
            } else {
                Operator::Glob
            };
            let globs: Vec<Glob> = GLOBS.iter().map(|glob| Glob::new(glob, fold)).collect();
            let constants: Vec<Constant> = globs.iter().cloned().map(Constant::Glob).collect();
            let automaton = Automaton::any_of(operator, &constants).unwrap();
            for text in TEXTS
                .iter()
                .map(|text| text.to_string())
                .chain(TEXTS.iter().map(|text| text.to_uppercase()))
            {
                let one = globs.iter().any(|glob| glob.matches(&text));
                assert_eq!(automaton.matches(&text), one, "{text:?}");
            }
        }
    }

    #[test]
    fn a_list_of_path_globs_holds_what_one_of_them_does() {
        let paths = ["/[a-c]x/*", "/?/[!/]b", "/*/", "opt/v[0-9]", "/[z-a]"];
        let all = Prefixes::new(paths.into_iter());
        for path in [
            "/bx/y",
            "/bx",
            "//bx//y/z",
            "/a/bb",
            "/a//b",
            "x",
            "/",
            "",
            "/opt/v7/x",
            "opt/vv",
        ] {
            let one = paths
                .iter()
                .any(|one| Prefixes::new([*one].into_iter()).matches(path));
            assert_eq!(all.matches(path), one, "{path}");
        }
    }
}
