//! What was probably meant by a word that is not known.

use super::fields::distance;

/// Words further apart than this are different words.
const MAX_DISTANCE: usize = 3;
/// Shorter words are not the beginning of another.
const MIN_CUT: usize = 3;
/// Longer words are not compared: nobody mistypes them into one of these.
const MAX_LENGTH: usize = 64;

/// The nearest of the known words, case aside; a short word must be nearer than a long one. Else
/// the one that is cut to it.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let length = word.len();
    if length > MAX_LENGTH {
        return None;
    }
    let word = word.to_lowercase();
    let allowed = MAX_DISTANCE.min(length.div_ceil(3));
    let far = |one: &str| {
        let cut = length >= MIN_CUT && one.to_lowercase().starts_with(&word);
        let near = one.len().abs_diff(length) <= allowed;
        let distance = near.then(|| distance(&word, &one.to_lowercase()));
        let distance = distance.filter(|distance| *distance <= allowed);
        distance.or(cut.then_some(allowed + 1))
    };
    known
        .into_iter()
        .filter_map(|one| Some((far(one)?, one)))
        .min()
        .map(|(_, one)| one)
}

/// As a help.
pub(super) fn did_you_mean<'k>(
    word: &str,
    known: impl IntoIterator<Item = &'k str>,
) -> Option<String> {
    nearest(word, known).map(|near| format!("did you mean `{near}`?"))
}

/// How other languages write an operator, and how it is written here.
const FOREIGN: [(&str, &str); 22] = [
    ("is", "="),
    ("eq", "="),
    ("equals", "="),
    ("===", "="),
    ("ne", "!="),
    ("<>", "!="),
    ("=!", "!="),
    ("!==", "!="),
    ("=>", ">="),
    ("ge", ">="),
    ("=<", "<="),
    ("le", "<="),
    ("gt", ">"),
    ("lt", "<"),
    ("like", "glob"),
    ("ilike", "iglob"),
    ("~", "regex"),
    ("=~", "regex"),
    ("matches", "regex"),
    ("has", "contains"),
    ("includes", "contains"),
    ("beginswith", "startswith"),
];

pub(super) fn foreign(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    let same = |(other, _): &&(&str, &str)| *other == word;
    FOREIGN.iter().find(same).map(|(_, own)| *own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_meant() {
        let known = ["condition", "output", "in", "glob", "WARNING"];
        for (word, expected) in [
            ("conditon", Some("condition")),
            ("Output", Some("output")),
            ("warn", Some("WARNING")),
            ("warnin", Some("WARNING")),
            ("is", Some("in")),
            ("xy", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(foreign("Like"), Some("glob"));
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
