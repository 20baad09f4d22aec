//! What was probably meant by a word that is not known.

/// Words further apart than this are different words.
const MAX_DISTANCE: usize = 3;
/// Shorter words are not the beginning of another.
const MIN_CUT: usize = 3;
/// More words are not looked through: a file may have as many wrong ones.
const MAX_KNOWN: usize = 256;
/// Longer words are not compared: nobody mistypes them into one of these.
const MAX_LENGTH: usize = 64;

/// The nearest of the known words, case aside; a short word must be nearer than a long one. Else
/// the one that is cut to it.
pub(super) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let length = word.len();
    if length > MAX_LENGTH {
        return None;
    }
    let allowed = MAX_DISTANCE.min(length.div_ceil(3));
    let far = |one: &str| {
        let one = one.as_bytes();
        let begins = one
            .get(..length)
            .is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()));
        let cut = length >= MIN_CUT && begins;
        within(word.as_bytes(), one, allowed).or(cut.then_some(allowed + 1))
    };
    known
        .into_iter()
        .take(MAX_KNOWN)
        .filter_map(|one| Some((far(one)?, one)))
        .min()
        .map(|(_, one)| one)
}

/// Levenshtein's distance, case aside, if it is no more than allowed; ends as soon as it is.
fn within(left: &[u8], right: &[u8], allowed: usize) -> Option<usize> {
    if left.len().abs_diff(right.len()) > allowed {
        return None;
    }
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, a) in left.iter().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        let mut least = before;
        for (slot, b) in row.iter_mut().skip(1).zip(right) {
            let changed = usize::from(!a.eq_ignore_ascii_case(b));
            let best = (diagonal + changed).min(before + 1).min(*slot + 1);
            diagonal = std::mem::replace(slot, best);
            before = best;
            least = least.min(best);
        }
        if least > allowed {
            return None;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().filter(|distance| *distance <= allowed)
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
