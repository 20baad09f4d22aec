//! Text that remembers where its bytes were written, through folded scalars, appended parts and
//! expanded lists, so that a mistake is shown at the place where the user wrote it.

use std::ops::Range;

use super::scalar::{Blanks, Style};

/// Bytes of one of the loaded files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub file: usize,
    pub span: Range<usize>,
}

/// How a reading came to a place: the macro or list, and where it is referred to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub what: &'static str,
    pub name: String,
    pub place: Place,
}

/// Where one byte of the text comes from; small, for there is one a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Origin {
    file: u32,
    start: u32,
    end: u32,
    /// Which of the text's steps led here, from 1; 0 if none did.
    step: u32,
}

/// Between the items of a list: it takes the place of the list's name when it is put in place.
const BETWEEN: Origin = Origin {
    file: u32::MAX,
    start: 0,
    end: 0,
    step: 0,
};

/// Files are far smaller than this can tell apart.
fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn wide(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

impl Origin {
    fn at(place: &Place) -> Self {
        Self {
            file: narrow(place.file),
            start: narrow(place.span.start),
            end: narrow(place.span.end),
            step: 0,
        }
    }

    fn place(self) -> Place {
        Place {
            file: wide(self.file),
            span: wide(self.start)..wide(self.end),
        }
    }
}

#[derive(Debug, Clone, Default)]
pub struct Text {
    value: String,
    /// One a byte.
    origins: Vec<Origin>,
    /// Each with the one that led to it.
    steps: Vec<(Step, u32)>,
}

/// A text of which parts are copied into another one: each byte keeps its own place.
pub struct Copied<'t> {
    text: &'t Text,
    /// Of the list in the other text; 0 if the other text was emptied from this one.
    step: u32,
    between: Origin,
}

impl<'t> Copied<'t> {
    /// Into the text that was emptied from it.
    pub fn back(text: &'t Text) -> Self {
        Self {
            text,
            step: 0,
            between: BETWEEN,
        }
    }

    pub fn as_str(&self) -> &'t str {
        &self.text.value
    }

    fn step(&self, inner: u32) -> u32 {
        if inner == 0 {
            self.step
        } else {
            inner + self.step
        }
    }
}

impl Text {
    /// A scalar's value, aligned with the characters of the file that it was read from.
    pub fn aligned(value: &str, file: usize, source: &str, span: Range<usize>) -> Self {
        let raw = source.get(span.clone()).unwrap_or_default();
        let style = Style::of(raw);
        if style == Style::Alias {
            return Self::at(value, &Place { file, span });
        }
        let mut at = style.start(raw);
        let mut blanks = Blanks::default();
        let mut origins = Vec::with_capacity(value.len());
        let mut after_blank = false;
        for wanted in value.chars() {
            let rest = raw.get(at..).unwrap_or_default();
            // A line break took all indentation after it: more blanks of the value have no bytes.
            let blank = |one: char| one.is_whitespace() || one == '\\';
            let taken = after_blank && wanted.is_whitespace() && !rest.starts_with(blank);
            after_blank = wanted.is_whitespace();
            let length = if taken {
                0
            } else {
                at += style.skipped(rest, wanted);
                style.written(raw, at, wanted, &mut blanks)
            };
            let start = span.start + at;
            let origin = Origin::at(&Place {
                file,
                span: start..start + length,
            });
            origins.extend(std::iter::repeat_n(origin, wanted.len_utf8()));
            at += length;
        }
        Self {
            value: value.to_owned(),
            origins,
            steps: Vec::new(),
        }
    }

    /// All of it comes from one place.
    pub fn at(value: &str, place: &Place) -> Self {
        Self {
            value: value.to_owned(),
            origins: vec![Origin::at(place); value.len()],
            steps: Vec::new(),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.value
    }

    pub fn push(&mut self, other: &Self) {
        let before = narrow(self.steps.len());
        let later = |step: u32| if step == 0 { 0 } else { step + before };
        let steps = other.steps.iter();
        self.steps
            .extend(steps.map(|(step, outer)| (step.clone(), later(*outer))));
        self.value.push_str(&other.value);
        self.origins
            .extend(other.origins.iter().map(|origin| Origin {
                step: later(origin.step),
                ..*origin
            }));
    }

    /// Text of no place of its own: it takes that of what stands before it.
    pub fn push_str(&mut self, text: &str) {
        let none = Origin { file: 0, ..BETWEEN };
        let origin = self.origins.last().copied().unwrap_or(none);
        self.value.push_str(text);
        self.origins.extend(std::iter::repeat_n(origin, text.len()));
    }

    /// Text that stands for what is written at a place.
    pub fn push_at(&mut self, text: &str, place: &Place) {
        self.value.push_str(text);
        let origin = Origin::at(place);
        self.origins.extend(std::iter::repeat_n(origin, text.len()));
    }

    /// What parts the items of a list.
    pub fn push_between(&mut self, text: &str) {
        self.value.push_str(text);
        self.origins
            .extend(std::iter::repeat_n(BETWEEN, text.len()));
    }

    /// Within quotes, which take the places of the first and the last byte.
    #[must_use]
    pub fn quoted(&self) -> Self {
        let mut quoted = self.clone();
        let first = self.origins.first().copied().unwrap_or(BETWEEN);
        quoted.value.insert(0, '"');
        quoted.origins.insert(0, first);
        quoted.push_str("\"");
        quoted
    }

    /// Empty, to be filled with parts of this text: it takes the steps that led to them.
    #[must_use]
    pub fn emptied(&mut self) -> Self {
        Self {
            steps: std::mem::take(&mut self.steps),
            ..Self::default()
        }
    }

    pub fn truncate(&mut self, length: usize) {
        if self.value.is_char_boundary(length) {
            self.value.truncate(length);
            self.origins.truncate(length);
        }
    }

    /// What stands from a byte on names a list: its items are to be copied there instead.
    pub fn open_list<'t>(&mut self, start: usize, items: &'t Self) -> Copied<'t> {
        let range = start..self.value.len();
        let place = self.place(&range);
        let outer = self.origins.get(start).map_or(0, |first| first.step);
        let name = self.value.get(range).unwrap_or_default().to_owned();
        let between = Origin {
            step: outer,
            ..Origin::at(&place)
        };
        self.truncate(start);
        let what = "list";
        self.steps.push((Step { what, name, place }, outer));
        let step = narrow(self.steps.len());
        let copied = Copied {
            text: items,
            step,
            between,
        };
        let steps = items.steps.iter();
        (self.steps).extend(steps.map(|(step, outer)| (step.clone(), copied.step(*outer))));
        copied
    }

    pub fn push_copied(&mut self, copied: &Copied<'_>, range: Range<usize>) {
        let Copied { text, between, .. } = copied;
        if let (Some(value), Some(origins)) =
            (text.value.get(range.clone()), text.origins.get(range))
        {
            self.value.push_str(value);
            self.origins
                .extend(origins.iter().map(|origin| match *origin {
                    BETWEEN => *between,
                    origin => Origin {
                        step: copied.step(origin.step),
                        ..origin
                    },
                }));
        }
    }

    /// Without blanks at both ends.
    #[must_use]
    pub fn trimmed(&self) -> Self {
        let blank = |one: char| matches!(one, ' ' | '\t'..='\r');
        let value = self.value.trim_matches(blank);
        let start = self.value.len() - self.value.trim_start_matches(blank).len();
        let origins = self.origins.get(start..start + value.len());
        Self {
            value: value.to_owned(),
            origins: origins.unwrap_or_default().to_vec(),
            steps: self.steps.clone(),
        }
    }

    /// Where a span of the text was written.
    pub fn place(&self, span: &Range<usize>) -> Place {
        let Some((first, last)) = self.ends(span) else {
            // The end of the text: what is missing would stand there.
            let place = self.origins.last().map_or(
                Place {
                    file: 0,
                    span: 0..0,
                },
                |last| last.place(),
            );
            let end = place.span.end;
            return Place {
                span: end..end,
                ..place
            };
        };
        let mut place = first.place();
        if span.is_empty() {
            place.span.end = place.span.start;
        } else if last.file == first.file && last.end >= first.end {
            place.span.end = wide(last.end);
        }
        place
    }

    /// The lists that led to a span, outermost first.
    pub fn steps(&self, span: &Range<usize>) -> Vec<Step> {
        self.way(self.ends(span).map_or(0, |(first, _)| first.step))
    }

    /// The way to the first list that is such a one, outermost first.
    pub fn way_to(&self, is_such: impl Fn(&str) -> bool) -> Option<Vec<Step>> {
        let found = (self.steps.iter()).position(|(step, _)| is_such(&step.name))?;
        Some(self.way(narrow(found + 1)))
    }

    fn way(&self, mut index: u32) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Some((step, outer)) = self.step(index) {
            steps.push(step.clone());
            index = *outer;
        }
        steps.reverse();
        steps
    }

    /// The list that brought in a part of a span whose first byte it did not bring in.
    pub fn inserted(&self, span: &Range<usize>) -> Option<&Step> {
        let origins = self.origins.get(span.clone())?;
        let first = origins.first()?.step;
        let other = origins.iter().find(|origin| origin.step != first)?;
        self.step(other.step).map(|(step, _)| step)
    }

    fn step(&self, index: u32) -> Option<&(Step, u32)> {
        self.steps.get(wide(index).checked_sub(1)?)
    }

    /// The first and the last byte of a span. If different steps led to them, where the outermost
    /// was taken.
    fn ends(&self, span: &Range<usize>) -> Option<(Origin, Origin)> {
        let first = self.origins.get(span.start).copied()?;
        let last = (span.end.checked_sub(1))
            .filter(|last| *last > span.start)
            .and_then(|last| self.origins.get(last).copied())
            .unwrap_or(first);
        if first.step == last.step {
            return Some((first, last));
        }
        let outermost = |mut origin: Origin| {
            while let Some((step, outer)) = self.step(origin.step) {
                origin = Origin {
                    step: *outer,
                    ..Origin::at(&step.place)
                };
            }
            origin
        };
        Some((outermost(first), outermost(last)))
    }

    /// The byte of the text that was written at a byte of the file, or the next one.
    pub fn offset(&self, file: usize, at: usize) -> usize {
        let found = (self.origins.iter())
            .position(|origin| wide(origin.file) == file && wide(origin.end) > at);
        found.unwrap_or(self.value.len())
    }
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
            (
                r#"x: "\u0001\\\x41\U00000042\"evt.type = connect\
                   and""#,
                "\u{1}\\AB\"evt.type = connectand",
            ),
            (
                "x: '''evt.type'' = connect and'",
                "'evt.type' = connect and",
            ),
            (
                "x: >- # evt.type is told here\r\n  evt.type =\r\n  connect and\r\n",
                "evt.type = connect and",
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
    fn items_keep_their_places_and_tell_the_way() {
        let source = "in (list), [a, b c]";
        let item =
            |span: Range<usize>| Text::aligned(source.get(span.clone()).unwrap(), 0, source, span);
        let mut items = item(12..13);
        items.push_between(", ");
        items.push(&item(15..18).quoted());
        let mut whole = Text::aligned(source.get(..9).unwrap(), 0, source, 0..9);
        let mut text = whole.emptied();
        let around = Copied::back(&whole);
        text.push_copied(&around, 0..8);
        let list = text.open_list(4, &items);
        text.push_copied(&list, 0..items.as_str().len());
        text.push_copied(&around, 8..9);
        assert_eq!(text.as_str(), "in (a, \"b c\")");
        assert_eq!(shown(&text, source, "\"b c\""), "b c");
        assert_eq!(shown(&text, source, ","), "list");
        assert_eq!(shown(&text, source, "(a, \"b c\")"), "(list)");
        let steps = text.steps(&(7..12));
        assert_eq!((steps.len(), steps[0].name.as_str()), (1, "list"));
        assert_eq!(steps[0].place.span, 4..8);
        assert!(text.steps(&(3..13)).is_empty());
    }
}
