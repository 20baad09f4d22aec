//! Lines and columns of a file.

/// Bytes between two counts of a file's characters: no column is counted over a whole long line.
const COUNTED: usize = 256;

/// Where the lines of a file begin.
#[derive(Debug)]
pub struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
    /// Characters that begin before each multiple of `COUNTED`.
    characters: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub fn new(text: &'a str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let starts = std::iter::once(0).chain(ends).collect();
        let mut characters = vec![0];
        let mut before = 0;
        for part in text.as_bytes().chunks(COUNTED) {
            before += beginnings(part);
            characters.push(before);
        }
        Self {
            text,
            starts,
            characters,
        }
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    pub fn line_and_column(&self, at: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= at);
        let start = line.checked_sub(1).and_then(|last| self.starts.get(last));
        let before = self.before(start.copied().unwrap_or_default());
        (line, self.before(at).saturating_sub(before) + 1)
    }

    /// Characters that begin before a byte.
    fn before(&self, at: usize) -> usize {
        let at = at.min(self.text.len());
        let part = at / COUNTED;
        let counted = self.characters.get(part).copied().unwrap_or_default();
        let rest = self.text.as_bytes().get(part * COUNTED..at);
        counted + rest.map_or(0, beginnings)
    }
}

fn beginnings(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let text = format!("one\n{}two\nthree", "ä".repeat(COUNTED));
        let lines = Lines::new(&text);
        let place = |part: &str| lines.line_and_column(text.find(part).unwrap());
        assert_eq!(place("one"), (1, 1));
        assert_eq!(place("two"), (2, COUNTED + 1));
        assert_eq!(place("hree"), (3, 2));
        assert_eq!(lines.line_and_column(text.len()), (3, 6));
    }
}
