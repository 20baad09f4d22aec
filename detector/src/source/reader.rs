//! Integers and texts of a ring-buffer record, in their order.

use detector_ebpf as wire;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("a record of {length} bytes ends early: the probes and this program do not match")]
    Short { length: usize },
    #[error(
        "a record has ABI version {found}, expected {}: rebuild both halves",
        wire::ABI_VERSION
    )]
    Version { found: u16 },
    #[error("a record has the unknown {what} {value}")]
    Unknown { what: &'static str, value: u32 },
}

/// Reads integers in the order of the wire structs.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            length: bytes.len(),
        }
    }

    /// What is not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Short {
                length: self.length,
            })?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn u16(&mut self) -> Result<u16, DecodeError> {
        self.take().map(u16::from_ne_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.take().map(u32::from_ne_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.take().map(u64::from_ne_bytes)
    }

    pub(super) fn text(&mut self, length: u16) -> Result<&'a [u8], DecodeError> {
        let (head, rest) =
            self.rest
                .split_at_checked(usize::from(length))
                .ok_or(DecodeError::Short {
                    length: self.length,
                })?;
        self.rest = rest;
        Ok(head)
    }
}
