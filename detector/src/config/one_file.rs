//! Two sinks must not write one file: each would count its own bytes alone, and rename or remove what
//! the other writes.

use std::{
    fs,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::falco;
use crate::sink::settings::FileSettings;

/// The file of a sink, by whatever way it is named.
pub(super) struct OneFile {
    /// Links followed.
    file: PathBuf,
    /// Links to its folder followed: the names of those before it begin with this.
    name: PathBuf,
    /// How many of those stay.
    keep: u32,
}

impl OneFile {
    pub(super) fn of(settings: &FileSettings) -> Self {
        let path = &settings.path;
        let folder = path.parent().filter(|folder| !falco::is_empty(folder));
        let folder = fs::canonicalize(folder.unwrap_or(Path::new(".")));
        let name = match (folder, path.file_name()) {
            (Ok(folder), Some(name)) => folder.join(name),
            _ => path.clone(),
        };
        let rotates = settings.max_bytes.0 > 0 || settings.max_age.is_some();
        Self {
            file: fs::canonicalize(path).unwrap_or_else(|_| name.clone()),
            name,
            keep: if rotates { settings.keep } else { 0 },
        }
    }

    /// Why it cannot be beside that of another sink.
    pub(super) fn clash(&self, other: &Self) -> Option<&'static str> {
        if self.file == other.file || self.name == other.name {
            Some("this is the file of another sink, too")
        } else if other.renames_to(self) {
            Some("another sink renames its file to this")
        } else if self.renames_to(other) {
            Some("a file that is renamed would take the place of another sink's")
        } else {
            None
        }
    }

    /// `name.1` to `name.keep`.
    fn renames_to(&self, other: &Self) -> bool {
        let bytes = |path: &'_ Path| path.as_os_str().as_bytes().to_vec();
        let (own, other) = (bytes(&self.name), bytes(&other.name));
        let number = other.strip_prefix(own.as_slice());
        let number = number.and_then(|rest| str::from_utf8(rest.strip_prefix(b".")?).ok());
        let number = number.filter(|digits| !digits.starts_with(['0', '+']));
        let number = number.and_then(|digits| digits.parse::<u32>().ok());
        number.is_some_and(|number| number <= self.keep)
    }
}
