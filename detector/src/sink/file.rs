//! Stdout, and files that are turned over by size and age.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use super::{
    queue::{Failed, Out},
    settings::FileSettings,
};

pub(super) struct Stdout;

impl Out for Stdout {
    fn write(&mut self, lines: &[u8]) -> Result<(), Failed> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(lines).and_then(|()| stdout.flush());
        // Whoever closes it has gone.
        written.map_err(|error| Failed {
            written: 0,
            error,
            for_good: true,
        })
    }
}

/// A file with the mode 0600.
pub(super) struct Rotated {
    settings: FileSettings,
    /// Set from outside: the file is to be opened anew, for somebody renamed it.
    reopen: Arc<AtomicBool>,
    open: Option<Open>,
}

struct Open {
    file: File,
    length: u64,
    begun: SystemTime,
}

impl Rotated {
    /// Fails if the file cannot be opened now.
    pub(super) fn new(settings: &FileSettings, reopen: Arc<AtomicBool>) -> io::Result<Self> {
        Ok(Self {
            open: Some(Open::new(&settings.path)?),
            settings: settings.clone(),
            reopen,
        })
    }

    fn file(&mut self, more: u64) -> io::Result<&mut Open> {
        if self.reopen.swap(false, Relaxed) {
            self.open = None;
        }
        let settings = &self.settings;
        let full = |open: &Open| {
            let limit = settings.max_bytes.0;
            let large = limit > 0 && open.length > 0 && open.length + more > limit;
            let age = open.begun.elapsed().unwrap_or(Duration::ZERO);
            let old = settings.max_age.is_some_and(|most| age > most.0);
            large || (old && open.length > 0)
        };
        if self.open.as_ref().is_some_and(full) {
            self.open = None;
            turn_over(&settings.path, settings.keep)?;
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => Open::new(&settings.path)?,
        };
        Ok(self.open.insert(open))
    }
}

impl Out for Rotated {
    fn write(&mut self, lines: &[u8]) -> Result<(), Failed> {
        let mut written = 0;
        let outcome = self.file(lines.len() as u64).and_then(|open| {
            while let Some(rest) = lines.get(written..).filter(|rest| !rest.is_empty()) {
                match open.file.write(rest) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(bytes) => {
                        written += bytes;
                        open.length += bytes as u64;
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        });
        outcome.map_err(|error| Failed {
            written,
            error,
            for_good: false,
        })
    }
}

impl Open {
    fn new(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        if metadata.mode() & 0o077 != 0 {
            tracing::warn!("others may read {}, which was there before", path.display());
        }
        Ok(Self {
            file,
            length: metadata.len(),
            begun: metadata
                .created()
                .unwrap_or_else(|_error| SystemTime::now()),
        })
    }
}

/// `path.1` is the youngest of those that stay.
fn turn_over(path: &Path, keep: u32) -> io::Result<()> {
    let numbered = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    if keep == 0 {
        return fs::remove_file(path);
    }
    for number in (1..keep).rev() {
        match fs::rename(numbered(number), numbered(number + 1)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    match fs::rename(path, numbered(1)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotated(path: &Path, rest: &str) -> (Rotated, Arc<AtomicBool>) {
        let text = format!(r#"{{"path": {:?}, {rest}}}"#, path.to_str().unwrap());
        let reopen = Arc::new(AtomicBool::new(false));
        let file = Rotated::new(&serde_json::from_str(&text).unwrap(), Arc::clone(&reopen));
        (file.unwrap(), reopen)
    }

    fn read(path: &Path, ending: &str) -> Option<String> {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        fs::read_to_string(name).ok()
    }

    #[test]
    fn a_file_that_is_full_is_turned_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts");
        let (mut file, _) = rotated(&path, r#""max_bytes": 10, "keep": 2"#);
        for line in [
            "one1\n",
            "two2\n",
            "three\n",
            "a line of its own size\n",
            "five\n",
            "six6\n",
        ] {
            file.write(line.as_bytes()).unwrap();
        }
        assert_eq!(read(&path, "").unwrap(), "five\nsix6\n");
        assert_eq!(read(&path, ".1").unwrap(), "a line of its own size\n");
        assert_eq!(read(&path, ".2").unwrap(), "three\n");
        assert_eq!(read(&path, ".3"), None);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_was_renamed_is_opened_anew_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts");
        let (mut file, reopen) = rotated(&path, r#""max_bytes": 0"#);
        file.write(b"one\n").unwrap();
        fs::rename(&path, folder.path().join("alerts.old")).unwrap();
        file.write(b"two\n").unwrap();
        reopen.store(true, Relaxed);
        file.write(b"three\n").unwrap();
        assert_eq!(read(&path, ".old").unwrap(), "one\ntwo\n");
        assert_eq!(read(&path, "").unwrap(), "three\n");
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let reopen = || Arc::new(AtomicBool::new(false));
        for path in ["/dev/null", "/", "/no/such/folder/file"] {
            let settings = serde_json::from_str(&format!(r#"{{"path": "{path}"}}"#)).unwrap();
            assert!(Rotated::new(&settings, reopen()).is_err(), "{path}");
        }
    }
}
