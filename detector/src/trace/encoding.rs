//! How one record is written: a line of JSON, or postcard's bytes behind their length.

use std::{
    io::{self, BufRead, Read, Write},
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};

use super::is_compressed;

/// Bytes of one record; a longer one is refused.
const MAX_RECORD: usize = 1 << 20;

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    JsonLines,
    Binary,
}

impl Encoding {
    /// By the name, `.zst` aside.
    pub(super) fn of(path: &Path) -> Self {
        let bare = path.with_extension("");
        let inner = if is_compressed(path) { &bare } else { path };
        if inner.extension().is_some_and(|end| end == "kdt") {
            Self::Binary
        } else {
            Self::JsonLines
        }
    }

    /// `buffer` is scratch space.
    pub(super) fn write(
        self,
        out: &mut dyn Write,
        buffer: &mut Vec<u8>,
        record: &impl Serialize,
    ) -> io::Result<()> {
        buffer.clear();
        match self {
            Self::JsonLines => {
                serde_json::to_writer(&mut *buffer, record)?;
                buffer.push(b'\n');
            }
            Self::Binary => {
                buffer.extend_from_slice(&[0; 4]);
                postcard::to_io(record, &mut *buffer).map_err(io::Error::other)?;
                let length = u32::try_from(buffer.len() - 4).map_err(io::Error::other)?;
                if let Some(head) = buffer.first_chunk_mut() {
                    *head = length.to_le_bytes();
                }
            }
        }
        out.write_all(buffer)
    }

    /// Fills `buffer` with the next record; false at the end of the file. A record that ends early
    /// is `UnexpectedEof`.
    pub(super) fn fill(self, input: &mut dyn BufRead, buffer: &mut Vec<u8>) -> io::Result<bool> {
        buffer.clear();
        match self {
            Self::JsonLines => {
                let limit = MAX_RECORD as u64;
                if input.take(limit).read_until(b'\n', buffer)? == 0 {
                    return Ok(false);
                }
                if buffer.last() == Some(&b'\n') {
                    return Ok(true);
                }
                Err(if buffer.len() == MAX_RECORD {
                    too_long()
                } else {
                    io::ErrorKind::UnexpectedEof.into()
                })
            }
            Self::Binary => {
                if input.fill_buf()?.is_empty() {
                    return Ok(false);
                }
                let mut head = [0; 4];
                input.read_exact(&mut head)?;
                let length = usize::try_from(u32::from_le_bytes(head)).unwrap_or(usize::MAX);
                if length > MAX_RECORD {
                    return Err(too_long());
                }
                buffer.resize(length, 0);
                input.read_exact(buffer)?;
                Ok(true)
            }
        }
    }

    pub(super) fn parse<T: DeserializeOwned>(self, record: &[u8]) -> Result<T, BoxError> {
        Ok(match self {
            Self::JsonLines => serde_json::from_slice(record)?,
            Self::Binary => postcard::from_bytes(record)?,
        })
    }
}

fn too_long() -> io::Error {
    io::Error::other(format!("a record has more than {MAX_RECORD} bytes"))
}
