//! A run of frames of one priority: a file that is only appended to, or memory where there is no disk
//! or it cannot be written.

use std::{
    fs::{self, File, OpenOptions},
    io,
    ops::Range,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{
    folder::is_at,
    frame::{self, Next},
};
use crate::{
    alert::Priority,
    files::{Unreadable, open_own},
};

const ENDING: &str = "spool";

#[derive(Debug)]
pub(super) struct Segment {
    /// Positions of its first and last frame.
    pub(super) first: u64,
    pub(super) last: u64,
    /// Of its last frame.
    pub(super) order: u64,
    /// Bytes of whole frames.
    pub(super) length: u64,
    /// When it was made.
    pub(super) begun: SystemTime,
    /// When it was last appended to.
    pub(super) changed: SystemTime,
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) enum Place {
    Disk { file: Arc<File>, path: PathBuf },
    Memory(Vec<u8>),
}

/// Frames that are to be appended.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) order: u64,
    pub(super) bytes: Vec<u8>,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }
}

impl Segment {
    /// A new file with these frames.
    pub(super) fn create(folder: &Path, level: Priority, pending: &Pending) -> io::Result<Self> {
        let path = folder.join(format!("{level}-{:020}.{ENDING}", pending.first));
        let file = create(&path)?;
        let mut segment = Self {
            first: pending.first,
            last: 0,
            order: 0,
            length: 0,
            begun: SystemTime::now(),
            changed: SystemTime::now(),
            place: Place::Disk {
                file: Arc::new(file),
                path: path.clone(),
            },
        };
        if let Err(error) = segment.append(pending) {
            // The disk is full, or failing: what stays is overwritten or ignored.
            drop(fs::remove_file(&path));
            return Err(error);
        }
        Ok(segment)
    }

    pub(super) fn in_memory(pending: &Pending) -> Self {
        Self {
            first: pending.first,
            last: pending.last,
            order: pending.order,
            length: pending.bytes.len() as u64,
            begun: SystemTime::now(),
            changed: SystemTime::now(),
            place: Place::Memory(pending.bytes.clone()),
        }
    }

    /// What was written of frames that did not fit is overwritten by those that come next.
    pub(super) fn append(&mut self, pending: &Pending) -> io::Result<()> {
        match &mut self.place {
            Place::Disk { file, .. } => file.write_all_at(&pending.bytes, self.length)?,
            Place::Memory(bytes) => bytes.extend_from_slice(&pending.bytes),
        }
        self.length += pending.bytes.len() as u64;
        self.last = pending.last;
        self.order = pending.order;
        self.changed = SystemTime::now();
        Ok(())
    }

    /// An existing file, and how many of its bytes are no frame.
    pub(super) fn open(path: PathBuf) -> Result<(Option<Self>, u64), Unreadable> {
        let file = open_own(&path, OpenOptions::new().read(true).write(true))?;
        let about = file.metadata()?;
        let changed = about.modified()?;
        let mut bytes = Vec::new();
        read(&file, 0..about.len(), usize::MAX, &mut bytes)?;
        let mut segment = Self {
            first: 0,
            last: 0,
            order: 0,
            length: bytes.len() as u64,
            // Not every file system knows it.
            begun: about.created().unwrap_or(changed),
            changed,
            place: Place::Disk {
                file: Arc::new(file),
                path,
            },
        };
        let mut damaged = 0;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let size = match frame::next(rest, true) {
                Next::Frame(frame) => {
                    if segment.first == 0 {
                        segment.first = frame.position;
                    }
                    segment.last = frame.position;
                    segment.order = frame.order;
                    frame.size()
                }
                Next::Damaged(size) => {
                    damaged += size as u64;
                    size
                }
                Next::More => break,
            };
            rest = rest.get(size..).unwrap_or_default();
        }
        Ok(((segment.first > 0).then_some(segment), damaged))
    }

    /// Every whole frame.
    pub(super) fn frames(&self, mut each: impl FnMut(frame::Frame<'_>)) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut rest = match &self.place {
            Place::Memory(bytes) => bytes.as_slice(),
            Place::Disk { file, .. } => {
                read(file, 0..self.length, usize::MAX, &mut bytes)?;
                bytes.as_slice()
            }
        };
        while !rest.is_empty() {
            let size = match frame::next(rest, true) {
                Next::Frame(frame) => {
                    each(frame);
                    frame.size()
                }
                Next::Damaged(size) => size,
                Next::More => break,
            };
            rest = rest.get(size..).unwrap_or_default();
        }
        Ok(())
    }

    pub(super) fn file(&self) -> Option<Arc<File>> {
        match &self.place {
            Place::Disk { file, .. } => Some(Arc::clone(file)),
            Place::Memory(_) => None,
        }
    }

    /// What is in memory goes to a file.
    pub(super) fn spill(&mut self, folder: &Path, level: Priority) -> io::Result<()> {
        let Place::Memory(bytes) = &mut self.place else {
            return Ok(());
        };
        let pending = Pending {
            first: self.first,
            last: self.last,
            order: self.order,
            bytes: std::mem::take(bytes),
        };
        match Self::create(folder, level, &pending) {
            Ok(segment) => {
                *self = Self {
                    begun: self.begun,
                    ..segment
                }
            }
            Err(error) => {
                self.place = Place::Memory(pending.bytes);
                return Err(error);
            }
        }
        Ok(())
    }

    pub(super) fn is_on_disk(&self) -> bool {
        matches!(self.place, Place::Disk { .. })
    }

    pub(super) fn remove(&self) {
        if let Place::Disk { file, path } = &self.place
            && is_at(file, path)
        {
            // Somebody else removed it: what counts is that it is gone.
            drop(fs::remove_file(path));
        }
    }

    /// Whether somebody removed or replaced its file, and it is made anew.
    pub(super) fn mend(&mut self) -> io::Result<bool> {
        let Place::Disk { file, path } = &mut self.place else {
            return Ok(false);
        };
        if is_at(file, path) {
            return Ok(false);
        }
        let mut bytes = Vec::new();
        read(file, 0..self.length, usize::MAX, &mut bytes)?;
        let anew = create(path)?;
        if let Err(error) = anew.write_all_at(&bytes, 0) {
            drop(fs::remove_file(path));
            return Err(error);
        }
        *file = Arc::new(anew);
        Ok(true)
    }
}

/// What stands there is of a creation that failed, or none of ours.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create_new(true).mode(0o600);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            options.open(path)
        }
        opened => opened,
    }
}

/// Appends at most `limit` bytes of a range. A file that somebody cut has fewer.
pub(super) fn read(
    file: &File,
    range: Range<u64>,
    limit: usize,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let rest = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
    let begin = out.len();
    out.resize(begin + rest.min(limit), 0);
    let mut filled = begin;
    while let Some(room) = out.get_mut(filled..).filter(|room| !room.is_empty()) {
        match file.read_at(room, range.start + (filled - begin) as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                out.truncate(begin);
                return Err(error);
            }
        }
    }
    out.truncate(filled);
    Ok(())
}

/// The same of memory.
pub(super) fn copy(bytes: &[u8], offset: u64, limit: usize, out: &mut Vec<u8>) {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let rest = bytes.get(offset..).unwrap_or_default();
    out.extend_from_slice(rest.get(..limit).unwrap_or(rest));
}

/// The segments of a folder by priority, in the order of their names.
pub(super) fn files(folder: &Path) -> io::Result<Vec<(Priority, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let level = name
            .strip_suffix(ENDING)
            .and_then(|name| name.split_once('-'))
            .and_then(|(level, _)| Priority::parse(level));
        found.extend(level.map(|level| (level, path.clone())));
    }
    found.sort();
    Ok(found)
}
