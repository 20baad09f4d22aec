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
    let allowed = allowed(length);
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
        .filter_map(|one| Some((far(one)?, one.len().abs_diff(length), one)))
        .min()
        .map(|(_, _, one)| one)
}

/// Shorter words are as near to others by chance.
const MIN_NAME: usize = 5;

/// The known name that a word may be a slip of, where the word itself is allowed too: one slip, in
/// a long word two.
pub(super) fn slip_of<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let length = word.len();
    if !(MIN_NAME..=MAX_LENGTH).contains(&length) {
        return None;
    }
    let allowed = if length < 2 * MIN_NAME { 1 } else { 2 };
    known
        .into_iter()
        .take(MAX_KNOWN)
        .filter_map(|one| Some((within(word.as_bytes(), one.as_bytes(), allowed)?, one)))
        .min()
        .map(|(_, one)| one)
}

/// How many slips a word of this length may have: none if it has one letter, for any other is as
/// near to it.
fn allowed(length: usize) -> usize {
    MAX_DISTANCE.min((length + 1) / 3)
}

/// The slips between two words, case aside, if they are no more than allowed: a letter that is
/// missing, too much or another, or two that are exchanged. Ends as soon as there are more.
fn within(left: &[u8], right: &[u8], allowed: usize) -> Option<usize> {
    if left.len().abs_diff(right.len()) > allowed {
        return None;
    }
    let unreached = left.len() + right.len();
    // Distances to the beginnings of the right word, of the last two letters and of this one.
    let mut older = vec![unreached; right.len() + 1];
    let mut old: Vec<usize> = (0..=right.len()).collect();
    let mut row = older.clone();
    let mut letter_before = None;
    for (index, letter) in left.iter().enumerate() {
        let mut before = index + 1;
        let mut other_before = None;
        let mut nearest = before;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        let exchanged = std::iter::once(&unreached).chain(&older);
        let old_pairs = old.iter().zip(old.iter().skip(1));
        let slots = row.iter_mut().skip(1).zip(right);
        for (((slot, other), (diagonal, above)), exchanged) in slots.zip(old_pairs).zip(exchanged) {
            let changed = usize::from(!letter.eq_ignore_ascii_case(other));
            let mut best = (diagonal + changed).min(before + 1).min(above + 1);
            if let (Some(left), Some(right)) = (letter_before, other_before)
                && letter.eq_ignore_ascii_case(right)
                && other.eq_ignore_ascii_case(left)
            {
                best = best.min(exchanged + 1);
            }
            *slot = best;
            before = best;
            nearest = nearest.min(best);
            other_before = Some(other);
        }
        // An exchange reaches back over one row.
        if nearest > allowed && old.iter().all(|distance| *distance > allowed) {
            return None;
        }
        letter_before = Some(letter);
        std::mem::swap(&mut older, &mut old);
        std::mem::swap(&mut old, &mut row);
    }
    old.last().copied().filter(|distance| *distance <= allowed)
}

/// As a help.
pub(crate) fn did_you_mean<'k>(
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
            ("conditino", Some("condition")),
            ("golb", Some("glob")),
            ("xy", None),
            ("o", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        let lists = ["shells", "known_shells"];
        for (word, expected) in [
            ("shels", Some("shells")),
            ("known_shlels", Some("known_shells")),
            ("known_shell", Some("known_shells")),
            ("known", None),
            ("she", None),
            ("bells", None),
        ] {
            assert_eq!(slip_of(word, lists), expected, "{word}");
        }
        assert_eq!(foreign("Like"), Some("glob"));
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
