//! The part of a file that is shown of a mistake: a report takes time in proportion to its
//! mistakes, however long the lines are that they stand on.

use std::ops::Range;

/// Characters of a line before and after what is underlined.
const AROUND: usize = 200;
/// Bytes of what is underlined; of a longer one the beginning of its first line is shown.
const MAX_UNDERLINED: usize = 1000;
const CUT: char = '…';

pub(super) struct Excerpt {
    pub(super) text: String,
    /// What is underlined, in this text.
    pub(super) span: Range<usize>,
}

/// The whole lines of a span, long ones cut.
pub(super) fn excerpt(text: &str, span: &Range<usize>) -> Excerpt {
    let before = text.get(..span.start).unwrap_or_default();
    let after = text.get(span.start..).unwrap_or_default();
    let (underlined, cut) = underlined(after, span.len());
    let (start, start_cut) = line_before(before);
    let rest = after.get(underlined.len()..).unwrap_or_default();
    let (end, end_cut) = if cut { ("", true) } else { line_after(rest) };
    let mut shown = String::new();
    shown.extend(start_cut.then_some(CUT));
    shown.push_str(start);
    let from = shown.len();
    shown.push_str(underlined);
    let span = from..shown.len();
    shown.push_str(end);
    shown.extend(end_cut.then_some(CUT));
    Excerpt { text: shown, span }
}

/// What is underlined of a span that begins the text, and whether that is not all of its line.
fn underlined(text: &str, length: usize) -> (&str, bool) {
    match text.get(..length) {
        Some(all) if length <= MAX_UNDERLINED => (all, false),
        _ => line_after(text),
    }
}

/// The line before the text's end, and whether it is cut.
fn line_before(text: &str) -> (&str, bool) {
    let characters = text.char_indices().rev();
    let mut characters = characters.take_while(|(_, one)| *one != '\n');
    let start = characters.by_ref().take(AROUND).last();
    let start = start.map_or(text.len(), |(at, _)| at);
    (
        text.get(start..).unwrap_or_default(),
        characters.next().is_some(),
    )
}

/// The line that begins the text, and whether it is cut.
fn line_after(text: &str) -> (&str, bool) {
    let characters = text.char_indices();
    let mut characters = characters.take_while(|(_, one)| *one != '\n');
    let end = characters.by_ref().take(AROUND).last();
    let end = end.map_or(0, |(at, one)| at + one.len_utf8());
    (
        text.get(..end).unwrap_or_default(),
        characters.next().is_some(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, span: Range<usize>) -> (String, String) {
        let excerpt = excerpt(text, &span);
        let underlined = excerpt.text.get(excerpt.span).unwrap().to_owned();
        (excerpt.text, underlined)
    }

    #[test]
    fn short_lines_are_whole() {
        let text = "one\ntwo three\nfour\nfive";
        let told = |text: &str, underlined: &str| (text.to_owned(), underlined.to_owned());
        assert_eq!(shown(text, 8..13), told("two three", "three"));
        assert_eq!(shown(text, 8..16), told("two three\nfour", "three\nfo"));
        assert_eq!(shown(text, 23..23), told("five", ""));
        assert_eq!(shown("", 0..0), told("", ""));
    }

    #[test]
    fn long_lines_are_cut() {
        let long = "ä".repeat(300);
        let part = "ä".repeat(AROUND);
        let text = format!("one\n{long}here{long}\ntwo");
        let at = text.find("here").unwrap();
        let (told, underlined) = shown(&text, at..at + 4);
        assert_eq!(told, format!("…{part}here{part}…"));
        assert_eq!(underlined, "here");
        let (told, underlined) = shown(&text, 4..text.len());
        assert_eq!(told, format!("{part}…"));
        assert_eq!(underlined, part);
    }
}
