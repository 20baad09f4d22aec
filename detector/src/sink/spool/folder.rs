//! The folder of a spool: of one detector alone, and of nobody else. Files of it that somebody removed or
//! replaced while it is open are made anew.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use super::{
    SpoolError,
    state::{State, level_mut},
};
use crate::{
    alert::Priority,
    causes::chain,
    files::{open_own, own_folder},
};

const LOCK: &str = "lock";
/// How far the writer is.
pub(super) const END: &str = "end";
/// The folder in which each sink has its mark, under its name.
pub(super) const MARKS: &str = "sinks";

/// Makes it, if it is not there; it is this detector's for as long as the file is open.
pub(super) fn claim(folder: &Path) -> Result<File, SpoolError> {
    let failed = |doing| {
        move |source| SpoolError::Folder {
            path: folder.to_owned(),
            doing,
            source,
        }
    };
    own_folder(folder).map_err(failed("cannot make the folder its own"))?;
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false).mode(0o600);
    let file = open_own(&folder.join(LOCK), options);
    let file = file.map_err(|error| failed("cannot open its file `lock`")(error.into()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(SpoolError::Locked {
                path: folder.to_owned(),
            });
        }
        Err(TryLockError::Error(source)) => return Err(failed("cannot lock it")(source)),
    }
    own_folder(&folder.join(MARKS)).map_err(failed("cannot make the folder of the sinks"))?;
    Ok(file)
}

/// Whether that is what the path leads to.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    let same = |there: fs::Metadata| {
        let open = file.metadata();
        open.is_ok_and(|open| (open.dev(), open.ino()) == (there.dev(), there.ino()))
    };
    fs::symlink_metadata(path).is_ok_and(same)
}

impl State {
    /// Makes one file anew that somebody removed or replaced; false if there is none.
    pub(super) fn mend(&mut self) -> io::Result<bool> {
        let (Some(folder), Some(lock)) = (&self.limits.folder, &self.lock) else {
            return Ok(false);
        };
        if !is_at(lock, &folder.join(LOCK)) {
            let claimed = claim(folder).map_err(|error| io::Error::other(chain(&error)))?;
            self.lock = Some(claimed);
            return Ok(true);
        }
        own_folder(&folder.join(MARKS))?;
        if self.mend_mark()? {
            return Ok(true);
        }
        for reader in self.readers.values_mut() {
            if reader.mend()? {
                return Ok(true);
            }
        }
        for level in Priority::ALL {
            for segment in level_mut(&mut self.levels, level) {
                if segment.mend()? {
                    self.dirty.extend(segment.file());
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}
