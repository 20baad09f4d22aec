//! A text that is put together to be compared: on the stack, for most events are let go after it.

use std::{fmt, str};

/// Two IPv6 addresses of 39 bytes with their ports of 5 have 92.
const CAPACITY: usize = 96;

#[derive(Debug, Clone, Copy)]
pub struct Short {
    bytes: [u8; CAPACITY],
    length: usize,
}

impl Default for Short {
    fn default() -> Self {
        Self {
            bytes: [0; CAPACITY],
            length: 0,
        }
    }
}

impl Short {
    pub fn as_str(&self) -> &str {
        let written = self.bytes.get(..self.length).unwrap_or_default();
        // Whole texts alone were written.
        str::from_utf8(written).unwrap_or_default()
    }
}

/// What does not fit is an error, and is not begun.
impl fmt::Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let place = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn what_does_not_fit_is_not_begun() {
        let mut text = Short::default();
        assert!(text.write_str(&"a".repeat(CAPACITY - 1)).is_ok());
        assert!(text.write_str("bc").is_err());
        assert!(text.write_char('d').is_ok());
        assert!(text.as_str().ends_with("aad"));
    }
}
