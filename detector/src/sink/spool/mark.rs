//! A small file that is overwritten in place and is read back whole, whenever the daemon or the
//! machine ended: two slots take turns, and the younger one that is whole counts.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use super::folder::is_at;
use crate::files::{Unreadable, open_own};

/// Bytes of a slot: turn and checksum, and what is marked.
const SLOT: usize = 512;
const HEAD: usize = 12;

#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    path: PathBuf,
    turn: u64,
}

impl Mark {
    /// What was marked last; `None` if nothing is, or nothing that is whole.
    pub(super) fn open<T: DeserializeOwned>(path: &Path) -> io::Result<(Self, Option<T>)> {
        let file = match open(path) {
            Ok(file) => file,
            Err(Unreadable::NoFile(kind)) => {
                tracing::error!("{} is {kind}, not a mark: it is made anew", path.display());
                anew(path)?
            }
            Err(error) => return Err(error.into()),
        };
        let mut latest: Option<(u64, T)> = None;
        for slot in 0..2 {
            let mut bytes = [0; SLOT];
            let read = file.read_at(&mut bytes, slot * SLOT as u64)?;
            if let Some((turn, value)) = parse(bytes.get(..read).unwrap_or_default())
                && latest.as_ref().is_none_or(|(before, _)| turn > *before)
            {
                latest = Some((turn, value));
            }
        }
        let turn = latest.as_ref().map_or(0, |(turn, _)| *turn);
        let path = path.to_owned();
        let mark = Self { file, path, turn };
        Ok((mark, latest.map(|(_, value)| value)))
    }

    /// Whether somebody removed or replaced it, and it is made anew.
    pub(super) fn mend(&mut self, value: &impl Serialize) -> io::Result<bool> {
        if is_at(&self.file, &self.path) {
            return Ok(false);
        }
        self.file = anew(&self.path)?;
        self.set(value)?;
        Ok(true)
    }

    pub(super) fn set(&mut self, value: &impl Serialize) -> io::Result<()> {
        let turn = self.turn + 1;
        let mut slot = Vec::with_capacity(SLOT);
        slot.extend_from_slice(&[0; 4]);
        slot.extend_from_slice(&turn.to_le_bytes());
        let mut slot = postcard::to_io(value, slot).map_err(io::Error::other)?;
        slot.resize(SLOT, 0);
        let sum = crc32c::crc32c(slot.get(4..).unwrap_or_default());
        if let Some(head) = slot.first_chunk_mut() {
            *head = sum.to_le_bytes();
        }
        self.file.write_all_at(&slot, turn % 2 * SLOT as u64)?;
        self.turn = turn;
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// To be synced by who has no hold of the mark.
    pub(super) fn file(&self) -> io::Result<File> {
        self.file.try_clone()
    }
}

fn open(path: &Path) -> Result<File, Unreadable> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    open_own(path, options.mode(0o600))
}

/// Instead of what stands there.
fn anew(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let path = path.display();
            return Err(io::Error::other(format!("cannot remove {path}: {error}")));
        }
        Ok(()) | Err(_) => {}
    }
    Ok(open(path)?)
}

fn parse<T: DeserializeOwned>(slot: &[u8]) -> Option<(u64, T)> {
    let slot: &[u8; SLOT] = slot.try_into().ok()?;
    let sum = slot.first_chunk().copied().map(u32::from_le_bytes)?;
    let turn = slot.get(4..HEAD)?.try_into().ok().map(u64::from_le_bytes)?;
    let whole = sum == crc32c::crc32c(slot.get(4..)?);
    let value = postcard::from_bytes(slot.get(HEAD..)?).ok()?;
    whole.then_some((turn, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_younger_whole_slot_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mark");
        let (mut mark, none) = Mark::open::<u64>(&path).unwrap();
        assert_eq!(none, None);
        for value in [7_u64, 8, 9] {
            mark.set(&value).unwrap();
            assert_eq!(Mark::open(&path).unwrap().1, Some(value));
        }
        // 9 is in the second slot: half of it is written when the power fails.
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[0xff; 8], SLOT as u64 + 4).unwrap();
        let (mut mark, left) = Mark::open(&path).unwrap();
        assert_eq!(left, Some(8_u64));
        mark.set(&10_u64).unwrap();
        assert_eq!(Mark::open(&path).unwrap().1, Some(10_u64));
        fs::write(&path, b"short").unwrap();
        assert_eq!(Mark::open::<u64>(&path).unwrap().1, None);
    }
}
