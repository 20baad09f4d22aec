//! How YAML writes the characters of a scalar: which bytes of the file stand for which of them.

/// How a scalar is written in YAML: which of its bytes stand for which characters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    /// `'...'`
    Single,
    /// `"..."`
    Double,
    /// `|` or `>`
    Block,
    /// `*name`: the text stands elsewhere.
    Alias,
}

/// A run of blanks, looked through once however many of them are asked for.
#[derive(Default)]
pub(super) struct Blanks {
    /// Of the run.
    end: usize,
    /// Of its last line break.
    broken: usize,
}

impl Blanks {
    /// Where the run ends that has this byte, if a line ends in what is left of it.
    fn fold(&mut self, raw: &str, at: usize) -> Option<usize> {
        if at >= self.end {
            let rest = raw.get(at..).unwrap_or_default();
            let run = rest.get(..blanks(rest)).unwrap_or_default();
            self.end = at + run.len();
            self.broken = run.rfind('\n').map_or(0, |end| at + end + 1);
        }
        (self.broken > at).then_some(self.end)
    }
}

fn blanks(raw: &str) -> usize {
    raw.len() - raw.trim_start().len()
}

impl Style {
    pub(super) fn of(raw: &str) -> Self {
        match raw.chars().next() {
            Some('\'') => Self::Single,
            Some('"') => Self::Double,
            Some('|' | '>') => Self::Block,
            Some('*') => Self::Alias,
            _ => Self::Plain,
        }
    }

    /// Bytes before the text: the quote, or the line with the block's header.
    pub(super) fn start(self, raw: &str) -> usize {
        match self {
            Self::Single | Self::Double => 1,
            Self::Block => raw.find('\n').map_or(raw.len(), |end| end + 1),
            Self::Plain | Self::Alias => 0,
        }
    }

    /// Bytes that stand for nothing before the next character: indentation, an escaped line break.
    pub(super) fn skipped(self, raw: &str, wanted: char) -> usize {
        let escaped = raw.strip_prefix('\\').filter(|_| self == Self::Double);
        let broken = escaped.filter(|rest| rest.starts_with(['\r', '\n']));
        match broken {
            Some(rest) => 1 + blanks(rest),
            None if wanted.is_whitespace() => 0,
            None => blanks(raw),
        }
    }

    /// Bytes at `at` that stand for the next character.
    pub(super) fn written(self, raw: &str, at: usize, wanted: char, blanks: &mut Blanks) -> usize {
        let rest = raw.get(at..).unwrap_or_default();
        let mut characters = rest.chars();
        let first = characters.next().map_or(0, char::len_utf8);
        if self == Self::Double && rest.starts_with('\\') {
            let digits = match characters.next() {
                Some('x') => 3,
                Some('u') => 5,
                Some('U') => 9,
                Some(other) => other.len_utf8(),
                None => 0,
            };
            let end = first + digits;
            return if rest.is_char_boundary(end) {
                end
            } else {
                first
            };
        }
        if self == Self::Single && rest.starts_with("''") {
            return 2;
        }
        // A fold: the line break and the indentation after it are one blank.
        let fold = blanks.fold(raw, at).filter(|_| wanted.is_whitespace());
        fold.map_or(first, |end| end - at)
    }
}
