//! Stdout, and files that are turned over by size and age.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use super::{
    queue::{Failed, Out},
    settings::FileSettings,
};

/// After a file could not be turned over, when it is tried again.
const AGAIN: Duration = Duration::from_secs(60);

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
    /// When it could not be turned over.
    failed: Option<Instant>,
}

struct Open {
    file: File,
    length: u64,
    begun: SystemTime,
    end: End,
}

/// What the last byte of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    OfLine,
    /// The rest of the line follows, in this file.
    WithinLine,
    /// The rest never follows: a writer before this one died.
    CutOff,
}

impl Rotated {
    /// Fails if the file cannot be opened now.
    pub(super) fn new(settings: &FileSettings, reopen: Arc<AtomicBool>) -> io::Result<Self> {
        Ok(Self {
            open: Some(Open::new(&settings.path)?),
            settings: settings.clone(),
            reopen,
            failed: None,
        })
    }

    /// The file that the next line, of this length, belongs to.
    fn file(&mut self, more: u64) -> io::Result<&mut Open> {
        let within = |open: &Open| open.end == End::WithinLine;
        if !self.open.as_ref().is_some_and(within) && self.reopen.swap(false, Relaxed) {
            self.open = None;
        }
        if self.open.as_ref().is_some_and(Open::is_removed) {
            let path = self.settings.path.display();
            tracing::error!("{path} was removed: it is made anew");
            self.open = None;
        }
        let settings = &self.settings;
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::new(&settings.path)?,
        };
        let waits = self.failed.is_some_and(|at| at.elapsed() < AGAIN);
        if !waits && open.is_full(more, settings) {
            match turn_over(&settings.path, settings.keep) {
                Ok(()) => {
                    open = Open::new(&settings.path)?;
                    self.failed = None;
                }
                // An alert that is not written is worse than a file that grows.
                Err(error) => {
                    let path = settings.path.display();
                    tracing::error!(%error, "{path} cannot be renamed, and grows");
                    self.failed = Some(Instant::now());
                }
            }
        }
        Ok(self.open.insert(open))
    }

    /// Writes what the file has room for, and at least a part of the first line; how many bytes.
    fn some(&mut self, lines: &[u8]) -> io::Result<usize> {
        let limit = self.settings.max_bytes.0;
        let first = whole(lines, 0);
        let open = self.file(first.len() as u64)?;
        if open.end == End::CutOff {
            open.write(b"\n")?;
        }
        match limit {
            0 => open.write(lines),
            _ => {
                let room = limit.saturating_sub(open.length);
                open.write(whole(lines, usize::try_from(room).unwrap_or(usize::MAX)))
            }
        }
    }
}

/// As many whole lines as are in so many bytes, and at least one.
fn whole(lines: &[u8], room: usize) -> &[u8] {
    let end = |part: &[u8]| part.iter().rposition(|byte| *byte == b'\n');
    let last = end(lines.get(..room).unwrap_or(lines));
    let last = last.or_else(|| lines.iter().position(|byte| *byte == b'\n'));
    last.and_then(|last| lines.get(..=last)).unwrap_or(lines)
}

impl Out for Rotated {
    fn write(&mut self, lines: &[u8]) -> Result<(), Failed> {
        let mut written = 0;
        let outcome = loop {
            let Some(rest) = lines.get(written..).filter(|rest| !rest.is_empty()) else {
                break Ok(());
            };
            match self.some(rest) {
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
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
        options.read(true).append(true).create(true).mode(0o600);
        let file = options.open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        if metadata.mode() & 0o077 != 0 {
            tracing::warn!("others may read {}, which was there before", path.display());
        }
        let length = metadata.len();
        let mut last = [b'\n'];
        if let Some(at) = length.checked_sub(1) {
            file.read_exact_at(&mut last, at)?;
        }
        Ok(Self {
            file,
            length,
            begun: metadata
                .created()
                .unwrap_or_else(|_error| SystemTime::now()),
            end: match last {
                [b'\n'] => End::OfLine,
                _ => End::CutOff,
            },
        })
    }

    /// Whether no name leads to it any more: what was written to it is gone.
    fn is_removed(&self) -> bool {
        self.file
            .metadata()
            .is_ok_and(|metadata| metadata.nlink() == 0)
    }

    /// Whether a line of this length is for the next file.
    fn is_full(&self, more: u64, settings: &FileSettings) -> bool {
        if self.length == 0 || self.end == End::WithinLine {
            return false;
        }
        let limit = settings.max_bytes.0;
        let age = self.begun.elapsed().unwrap_or(Duration::ZERO);
        limit > 0 && self.length + more > limit || settings.max_age.is_some_and(|most| age > most.0)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        let Some(last) = bytes.get(..count).and_then(<[u8]>::last) else {
            return Err(ErrorKind::WriteZero.into());
        };
        self.length += count as u64;
        self.end = match last {
            b'\n' => End::OfLine,
            _ => End::WithinLine,
        };
        Ok(count)
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
    // No more are renamed than there are.
    let free = (1..keep).find(|number| !numbered(*number).exists());
    for number in (1..free.unwrap_or(keep)).rev() {
        fs::rename(numbered(number), numbered(number + 1))?;
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
    fn many_lines_at_once_do_not_make_a_file_too_large() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts");
        let (mut file, _) = rotated(&path, r#""max_bytes": 10, "keep": 9"#);
        file.write(b"one1\ntwo2\nthree\nfour\na long line\nfive\n")
            .unwrap();
        assert_eq!(read(&path, ".4").unwrap(), "one1\ntwo2\n");
        assert_eq!(read(&path, ".3").unwrap(), "three\n");
        assert_eq!(read(&path, ".2").unwrap(), "four\n");
        assert_eq!(read(&path, ".1").unwrap(), "a long line\n");
        assert_eq!(read(&path, "").unwrap(), "five\n");
    }

    /// What is written of a line before an error stays with its rest.
    #[test]
    fn a_line_is_not_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts");
        let (mut file, reopen) = rotated(&path, r#""max_bytes": 10"#);
        file.write(b"one of").unwrap();
        reopen.store(true, Relaxed);
        file.write(b" a length\ntwo\n").unwrap();
        assert_eq!(read(&path, ".1").unwrap(), "one of a length\n");
        file.write(b"cut o").unwrap();
        drop(file);
        let (mut file, _) = rotated(&path, r#""max_bytes": 100"#);
        file.write(b"three\n").unwrap();
        assert_eq!(read(&path, "").unwrap(), "two\ncut o\nthree\n");
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
    fn a_file_that_is_removed_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts");
        let (mut file, _reopen) = rotated(&path, r#""keep": 2"#);
        file.write(b"a\n").unwrap();
        fs::remove_file(&path).unwrap();
        file.write(b"b\n").unwrap();
        assert_eq!(read(&path, "").as_deref(), Some("b\n"));
    }

    #[test]
    fn a_file_that_cannot_be_turned_over_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts");
        fs::create_dir(folder.path().join("alerts.1")).unwrap();
        let (mut file, _) = rotated(&path, r#""max_bytes": 10, "keep": 1"#);
        file.write(b"one one\ntwo two\nthree\n").unwrap();
        assert_eq!(read(&path, "").unwrap(), "one one\ntwo two\nthree\n");
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
