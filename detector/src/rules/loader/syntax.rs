//! What is not YAML: the parser's words, with the place and the remedy that a user needs.

use std::ops::Range;

/// A mistake at a byte: what to underline, and what to write instead.
pub(super) fn explained(text: &str, message: &str, at: usize) -> (Range<usize>, String) {
    let tab = message
        .contains("tab")
        .then(|| text.get(at..)?.find('\t'))
        .flatten();
    if let Some(tab) = tab {
        let at = at + tab;
        return (
            at..at + 1,
            "indent with blanks: YAML takes no tabs".to_owned(),
        );
    }
    let within = ["':'", "flow", "bracket"]
        .iter()
        .any(|one| message.contains(one));
    if within && let Some(open) = unclosed(text.get(..at).unwrap_or_default()) {
        let help = "close it, or put the text that it belongs to in quotes";
        return (open..open + 1, help.to_owned());
    }
    let span = word(text, at);
    let help = if message.contains("mapping values are not allowed") {
        "put a text with a colon and a blank in quotes; the keys of one item stand in one column"
    } else if message.contains("unexpected character") {
        "a text does not begin with this character: put it in quotes"
    } else if message.contains("quoted") {
        "close the quote, or put the whole text in quotes: '...' with '' for a quote within"
    } else if message.contains("anchor") {
        "a text that begins with * or & needs quotes"
    } else if message.contains("indent") || message.contains("block") {
        "the keys of one item stand in one column, and a dash begins each item"
    } else if message.contains("deep") {
        "a rules file has a few levels only"
    } else if message.contains("aliases") {
        "write out what is meant: an alias of aliases doubles with each level"
    } else {
        "put texts with : # [ ] { } , & * ! | > ' \" % @ ` in quotes"
    };
    (span, help.to_owned())
}

/// The last bracket that is opened and not closed.
fn unclosed(text: &str) -> Option<usize> {
    let mut open = Vec::new();
    for (at, one) in text.char_indices() {
        match one {
            '[' | '{' => open.push(at),
            ']' | '}' => drop(open.pop()),
            _ => {}
        }
    }
    open.pop()
}

/// From a byte to the next blank; the last character where the text ends there.
fn word(text: &str, at: usize) -> Range<usize> {
    let rest = text.get(at..).unwrap_or_default();
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    if end > 0 {
        return at..at + end;
    }
    if let Some(next) = rest.find(|one: char| !one.is_whitespace()) {
        return word(text, at + next);
    }
    let before = text.trim_end();
    let last = before.chars().next_back().map_or(0, char::len_utf8);
    before.len() - last..before.len()
}
