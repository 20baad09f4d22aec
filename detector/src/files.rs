//! Regular files of a bounded size, and those of folders: what a configuration and rules are read
//! from. Files and folders that are the detector's own.

use std::{
    fmt,
    fs::{self, DirBuilder, File, FileType, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, OFlags, access},
    process::geteuid,
};

/// Bytes of one file: what a config map holds.
pub const MAX_SIZE: u64 = 1 << 20;

/// Why a file is not read.
#[derive(Debug)]
pub enum Unreadable {
    Io(io::Error),
    /// What it is instead.
    NoFile(&'static str),
    /// It has more bytes.
    TooLarge(u64),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be read: {error}"),
            Self::NoFile(kind) => write!(f, "this is {kind}, not a file"),
            Self::TooLarge(size) => write!(f, "the file has more than {} MiB", size >> 20),
        }
    }
}

impl From<Unreadable> for io::Error {
    fn from(error: Unreadable) -> Self {
        match error {
            Unreadable::Io(error) => error,
            Unreadable::NoFile(_) | Unreadable::TooLarge(_) => Self::other(error.to_string()),
        }
    }
}

/// With an article.
pub fn kind(of: FileType) -> &'static str {
    if of.is_dir() {
        "a folder"
    } else if of.is_symlink() {
        "a link"
    } else if of.is_fifo() {
        "a pipe"
    } else if of.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// A pipe would be waited for, a device may have no end, and neither can be read anew.
pub fn read(path: &Path, max_size: u64) -> Result<Vec<u8>, Unreadable> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(Unreadable::NoFile(kind(metadata.file_type())));
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    let mut file = File::open(path)?.take(max_size + 1);
    file.read_to_end(&mut bytes)?;
    if file.limit() == 0 {
        return Err(Unreadable::TooLarge(max_size));
    }
    Ok(bytes)
}

/// Of a file that is the detector's own: under that name, not by a link. A pipe is not waited for.
pub fn open_own(path: &Path, options: &mut OpenOptions) -> Result<File, Unreadable> {
    let regular = |of: FileType| match of.is_file() {
        true => Ok(()),
        false => Err(Unreadable::NoFile(kind(of))),
    };
    // To open a device may do something.
    if let Ok(about) = fs::symlink_metadata(path) {
        regular(about.file_type())?;
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let options = options.custom_flags(flags.bits().cast_signed());
    let file = options.open(path)?;
    regular(file.metadata()?.file_type())?;
    Ok(file)
}

/// A folder in which nobody else but root can put a file, made if it is not there.
pub fn own_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    is_own(path, &fs::metadata(path)?)
}

/// Why `own_folder` would fail, as far as can be seen without making anything.
pub fn can_be_own(path: &Path) -> io::Result<()> {
    let mut above = path.ancestors();
    let is_there = |path: &&Path| path.symlink_metadata().is_ok();
    let found = above.find(is_there).unwrap_or(Path::new("."));
    let about = fs::metadata(found)?;
    if !about.is_dir() {
        let (found, kind) = (
            found.display(),
            if about.is_file() {
                "a file"
            } else {
                kind(about.file_type())
            },
        );
        return Err(io::Error::other(format!("{found} is {kind}, not a folder")));
    }
    if found == path {
        is_own(path, &about)?;
    }
    Ok(access(found, Access::WRITE_OK | Access::EXEC_OK)?)
}

fn is_own(path: &Path, about: &fs::Metadata) -> io::Result<()> {
    let (path, user) = (path.display(), geteuid().as_raw());
    if ![0, user].contains(&about.uid()) {
        return Err(io::Error::other(format!(
            "{path} belongs to the user {}, who can change what is in it: run `chown {user} {path}`",
            about.uid()
        )));
    }
    if about.mode() & 0o022 != 0 {
        return Err(io::Error::other(format!(
            "others can write to {path}: run `chmod 700 {path}`"
        )));
    }
    Ok(())
}

/// As Falco takes them: a name that is an ending alone has none.
fn is_yaml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| end == "yaml" || end == "yml")
}

/// The .yaml and .yml files of a folder, by name; links count as what they lead to, and one that
/// leads nowhere was to be a file.
pub fn of_folder(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries: Vec<fs::DirEntry> = fs::read_dir(folder)?.collect::<io::Result<_>>()?;
    let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    paths.retain(|path| is_yaml(path));
    paths.sort();
    Ok(paths)
}
