//! Text that remembers where its bytes were written, through folded scalars, appended parts and
//! expanded lists, so that a mistake is shown at the place where the user wrote it.

use std::ops::Range;

/// Bytes of one of the loaded files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: usize,
    pub span: Range<usize>,
}

/// Where the lines of a file begin.
#[derive(Debug)]
pub struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub fn new(text: &'a str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(ends).collect();
        Self { text, starts }
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    pub fn line_and_column(&self, at: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|last| self.starts.get(last));
        let before = self.text.get(start.copied().unwrap_or_default()..at);
        (line, before.map_or(1, |before| before.chars().count() + 1))
    }
}

/// Where one byte of the text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Origin {
    file: usize,
    start: usize,
    end: usize,
}

#[derive(Debug, Clone, Default)]
pub struct Text {
    value: String,
    /// One a byte.
    origins: Vec<Origin>,
}

impl Text {
    /// A scalar's value, aligned with the characters of the file that it was read from.
    pub fn aligned(value: &str, file: usize, source: &str, span: Range<usize>) -> Self {
        let raw = source.get(span.clone()).unwrap_or_default();
        let mut at = 0;
        let mut origins = Vec::with_capacity(value.len());
        let mut after_blank = false;
        for wanted in value.chars() {
            let rest = raw.get(at..).unwrap_or_default();
            // A line break took all indentation after it: more blanks of the value have no bytes.
            let taken =
                after_blank && wanted.is_whitespace() && !rest.starts_with(is_blank_or_escape);
            after_blank = wanted.is_whitespace();
            let length = if taken {
                0
            } else {
                at += skipped(rest, wanted);
                written(raw.get(at..).unwrap_or_default(), wanted)
            };
            let start = (span.start + at).min(span.end);
            let origin = Origin {
                file,
                start,
                end: (start + length).min(span.end),
            };
            origins.extend(std::iter::repeat_n(origin, wanted.len_utf8()));
            at += length;
        }
        Self {
            value: value.to_owned(),
            origins,
        }
    }

    /// All of it comes from one place.
    pub fn at(value: &str, place: &Place) -> Self {
        let origin = Origin {
            file: place.file,
            start: place.span.start,
            end: place.span.end,
        };
        Self {
            value: value.to_owned(),
            origins: vec![origin; value.len()],
        }
    }

    pub fn as_str(&self) -> &str {
        &self.value
    }

    pub fn push(&mut self, other: &Self) {
        self.value.push_str(&other.value);
        self.origins.extend_from_slice(&other.origins);
    }

    /// Text of no place of its own: it takes that of what stands before it.
    pub fn push_str(&mut self, text: &str) {
        self.value.push_str(text);
        let origin = self.origins.last().copied().unwrap_or(Origin {
            file: 0,
            start: 0,
            end: 0,
        });
        self.origins.extend(std::iter::repeat_n(origin, text.len()));
    }

    /// Every byte of the new text has the place of what it replaces.
    pub fn replace(&mut self, range: Range<usize>, with: &str) {
        let place = self.place(&range);
        let origin = Origin {
            file: place.file,
            start: place.span.start,
            end: place.span.end,
        };
        if self.value.get(range.clone()).is_some() {
            self.value.replace_range(range.clone(), with);
            self.origins
                .splice(range, std::iter::repeat_n(origin, with.len()));
        }
    }

    /// Without blanks at both ends.
    #[must_use]
    pub fn trimmed(&self) -> Self {
        let value = self.value.trim();
        let start = self.value.len() - self.value.trim_start().len();
        let origins = self
            .origins
            .get(start..start + value.len())
            .unwrap_or_default();
        Self {
            value: value.to_owned(),
            origins: origins.to_vec(),
        }
    }

    /// Where a span of the text was written.
    pub fn place(&self, span: &Range<usize>) -> Place {
        let none = Origin {
            file: 0,
            start: 0,
            end: 0,
        };
        let last = self.origins.last().copied();
        let Some(start) = self.origins.get(span.start).copied() else {
            // The end of the text: what is missing would stand there.
            let last = last.unwrap_or(none);
            return Place {
                file: last.file,
                span: last.end..last.end,
            };
        };
        let end = span
            .end
            .checked_sub(1)
            .filter(|end| *end > span.start)
            .and_then(|end| self.origins.get(end).copied())
            .filter(|end| end.file == start.file && end.end >= start.end)
            .unwrap_or(if span.end > span.start {
                start
            } else {
                Origin {
                    end: start.start,
                    ..start
                }
            });
        Place {
            file: start.file,
            span: start.start..end.end,
        }
    }
}

fn is_blank_or_escape(character: char) -> bool {
    character.is_whitespace() || character == '\\'
}

/// Bytes of the file that stand for nothing before the next character of the value: indentation,
/// a block's header, a quote.
fn skipped(raw: &str, wanted: char) -> usize {
    if wanted.is_whitespace() {
        return raw.find(is_blank_or_escape).unwrap_or(0);
    }
    let found = raw.find(wanted).unwrap_or(0);
    let before = raw.get(..found).unwrap_or_default();
    match before.find('\\') {
        Some(escape) => escape,
        _ => found,
    }
}

/// Bytes of the file that stand for the next character of the value.
fn written(raw: &str, wanted: char) -> usize {
    if raw.starts_with('\\') && wanted != '\\' {
        return 2;
    }
    if wanted.is_whitespace() {
        // A fold: the line break and the indentation after it are one blank.
        let end = raw
            .find(|character: char| !character.is_whitespace())
            .unwrap_or(raw.len());
        let folded = raw.get(..end).is_some_and(|run| run.contains('\n'));
        if folded {
            return end;
        }
    }
    wanted.len_utf8().min(raw.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown<'a>(text: &Text, source: &'a str, part: &str) -> &'a str {
        let at = text.as_str().find(part).unwrap();
        source.get(text.place(&(at..at + part.len())).span).unwrap()
    }

    #[test]
    fn places_go_through_folds_and_quotes() {
        for (source, value) in [
            ("x: evt.type = connect and a", "evt.type = connect and a"),
            (
                "x: >\n  evt.type =\n  connect\n    and a\n",
                "evt.type = connect\n  and a\n",
            ),
            (
                "x: |\n  evt.type =\n  connect and a\n",
                "evt.type =\nconnect and a\n",
            ),
            (
                "x: \"evt.type = connect\\n and a\"",
                "evt.type = connect\n and a",
            ),
            (
                "x: 'evt.type = connect and\n\n  a'",
                "evt.type = connect and\na",
            ),
        ] {
            let text = Text::aligned(value, 0, source, 3..source.len());
            for word in ["evt.type", "connect", "and"] {
                assert_eq!(shown(&text, source, word), word, "{source}");
            }
            let end = text.place(&(value.len()..value.len()));
            assert!(end.span.is_empty());
        }
    }

    #[test]
    fn replaced_text_is_placed_at_the_name() {
        let source = "in (list)";
        let mut text = Text::aligned(source, 0, source, 0..source.len());
        text.replace(4..8, "a, b, c");
        assert_eq!(text.as_str(), "in (a, b, c)");
        assert_eq!(shown(&text, source, "b"), "list");
        assert_eq!(shown(&text, source, "(a, b, c)"), "(list)");
    }
}
