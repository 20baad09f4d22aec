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
    queue::{Failed, Out, whole},
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
    /// Bytes of the next line that it has: a disk became full.
    partly: usize,
    /// It ends within a line whose rest never follows: a writer before this one died.
    is_cut_off: bool,
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
        let within = |open: &Open| open.partly > 0;
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

    /// Writes what the file has room for, and at least a part of the first line; how many bytes of
    /// whole lines.
    fn some(&mut self, lines: &[u8]) -> io::Result<usize> {
        let limit = self.settings.max_bytes.0;
        let first = whole(lines, 0);
        let open = self.file(first.len() as u64)?;
        if open.is_cut_off {
            open.write(b"\n")?;
        }
        let room = match limit {
            0 => lines.len(),
            _ => usize::try_from(limit.saturating_sub(open.length)).unwrap_or(usize::MAX),
        };
        let lines = whole(lines, room.saturating_add(open.partly));
        let partly = open.partly + open.write(lines.get(open.partly..).unwrap_or_default())?;
        let written = lines.get(..partly).unwrap_or(lines);
        let last = written.iter().rposition(|byte| *byte == b'\n');
        let ended = last.map_or(0, |last| last + 1);
        open.partly = partly - ended;
        Ok(ended)
    }
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
            partly: 0,
            is_cut_off: last != *b"\n",
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
        if self.length == 0 || self.partly > 0 {
            return false;
        }
        let limit = settings.max_bytes.0;
        let age = self.begun.elapsed().unwrap_or(Duration::ZERO);
        limit > 0 && self.length + more > limit || settings.max_age.is_some_and(|most| age > most.0)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        if count == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        self.length += count as u64;
        self.is_cut_off = false;
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

    /// The file has the beginning of its next line, for the disk was full then.
    fn stop_within(file: &mut Rotated, beginning: &str) {
        let open = file.open.as_mut().unwrap();
        open.write(beginning.as_bytes()).unwrap();
        open.partly = beginning.len();
    }

    #[test]
    fn a_line_is_not_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts");
        let (mut file, reopen) = rotated(&path, r#""max_bytes": 10"#);
        stop_within(&mut file, "one of");
        reopen.store(true, Relaxed);
        file.write(b"one of a length\ntwo\n").unwrap();
        assert_eq!(read(&path, ".1").unwrap(), "one of a length\n");
        stop_within(&mut file, "cut o");
        drop(file);
        let (mut file, _) = rotated(&path, r#""max_bytes": 100"#);
        file.write(b"three\n").unwrap();
        assert_eq!(read(&path, "").unwrap(), "two\ncut o\nthree\n");
    }

    #[test]
    fn a_line_whose_file_was_moved_to_another_disk_is_written_from_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts");
        let (mut file, _reopen) = rotated(&path, r#""max_bytes": 0"#);
        file.write(b"one\n").unwrap();
        stop_within(&mut file, "tw");
        fs::copy(&path, folder.path().join("alerts.old")).unwrap();
        fs::remove_file(&path).unwrap();
        file.write(b"two\nthree\n").unwrap();
        assert_eq!(read(&path, ".old").unwrap(), "one\ntw");
        assert_eq!(read(&path, "").unwrap(), "two\nthree\n");
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
