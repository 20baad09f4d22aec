//! The last moment watched, in a small file that is written over several times a second, so that
//! the next daemon knows from when on nobody watched.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::fs::{FlockOperation, flock};

use super::live::since_boot_ns;
use crate::files::{Unreadable, open_own};

/// How often it is written.
pub const PERIOD: Duration = Duration::from_millis(50);
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// More than a line has.
const LONGEST: u64 = 128;
/// A line, each digit of a number as `0`, each of the boot's as `f`, each letter of the last word as `a`.
const SHAPE: &[u8] =
    b"ffffffff-ffff-ffff-ffff-ffffffffffff 00000000000000000000 00000000000000000000 aaaaaaa\n";
/// Of so many bytes of a line one may be damaged.
const SOUND: usize = 8;

/// How a daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Stopped,
    Killed,
    Rebooted,
}

/// A time in which nothing was watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blind {
    /// Unix time, by the clock of the events.
    pub from_ns: u64,
    pub to_ns: u64,
    pub end: End,
}

impl Blind {
    pub fn length_ns(&self) -> u64 {
        self.to_ns.saturating_sub(self.from_ns)
    }
}

impl fmt::Display for Blind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utc = |ns: u64| jiff::Timestamp::from_nanosecond(ns.into()).unwrap_or_default();
        let length = Duration::from_nanos(self.length_ns()).as_secs_f64();
        let (from, to) = (utc(self.from_ns), utc(self.to_ns));
        let end = match self.end {
            End::Stopped => "the detector was stopped",
            End::Killed => "the detector was killed",
            End::Rebooted => "the node was rebooted",
        };
        write!(
            f,
            "nothing was watched for {length:.3} s, from {from:.3} to {to:.3}: {end}"
        )
    }
}

/// Why there is no state.
#[derive(Debug, thiserror::Error)]
pub enum HeartError {
    /// Somebody else's file would be written over.
    #[error("it has something else than a state of the detector")]
    Foreign,
    #[error("it is {0}")]
    NoFile(&'static str),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Unreadable> for HeartError {
    fn from(why: Unreadable) -> Self {
        match why {
            Unreadable::NoFile(kind) => Self::NoFile(kind),
            Unreadable::Io(_) | Unreadable::TooLarge(_) => Self::Io(why.into()),
        }
    }
}

/// Whether a text that is no line was one, cut or damaged. The file of a state has nothing else in it and
/// is never longer than a line, and each place of that has its kind of letter: what keeps to that, but for
/// some bytes, was a state, and what does not is somebody else's. A zero is what a lost write leaves
/// behind, so that it tells nothing of what was there.
fn was_line(text: &[u8]) -> bool {
    let kind = |byte: &u8| match byte {
        b'0'..=b'9' => b'0',
        b'a'..=b'f' => b'f',
        b'g'..=b'z' => b'a',
        other => *other,
    };
    let fits = |(byte, shape): (&u8, &u8)| match (shape, kind(byte)) {
        (b'f', found) => matches!(found, b'0' | b'f'),
        (b'a', found) => matches!(found, b'f' | b'a'),
        (shape, found) => *shape == found,
    };
    let wrong = text.iter().zip(SHAPE).filter(|(byte, _)| **byte != 0);
    let wrong = wrong.filter(|pair| !fits(*pair)).count();
    text.len() <= SHAPE.len() && wrong <= text.len() / SOUND
}

fn text_of(file: &File) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    file.take(LONGEST).read_to_end(&mut text)?;
    Ok(text)
}

/// None of an empty file, and of a damaged state.
fn last(text: &[u8]) -> Result<Option<Beat>, HeartError> {
    let last = str::from_utf8(text).ok().and_then(Beat::read);
    match last.is_some() || was_line(text) {
        true => Ok(last),
        false => Err(HeartError::Foreign),
    }
}

/// A moment, and whether the daemon ended then.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Beat {
    boot_id: String,
    since_boot_ns: u64,
    unix_ns: u64,
    stopped: bool,
}

impl Beat {
    /// Always as long, so that a line that is written over leaves nothing of the one before.
    fn line(&self) -> String {
        let Self {
            boot_id,
            since_boot_ns,
            unix_ns,
            stopped,
        } = self;
        let state = if *stopped { "stopped" } else { "running" };
        format!("{boot_id} {since_boot_ns:020} {unix_ns:020} {state}\n")
    }

    fn read(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let beat = Self {
            boot_id: words.next()?.to_owned(),
            since_boot_ns: words.next()?.parse().ok()?,
            unix_ns: words.next()?.parse().ok()?,
            stopped: match words.next()? {
                "stopped" => true,
                "running" => false,
                _ => return None,
            },
        };
        words.next().is_none().then_some(beat)
    }

    /// The time since then, up to a later moment.
    fn blind(&self, now: &Self) -> Blind {
        if self.boot_id == now.boot_id {
            // The wall clock may have been set since.
            let length = now.since_boot_ns.saturating_sub(self.since_boot_ns);
            let end = if self.stopped {
                End::Stopped
            } else {
                End::Killed
            };
            return Blind {
                from_ns: now.unix_ns.saturating_sub(length),
                to_ns: now.unix_ns,
                end,
            };
        }
        Blind {
            from_ns: self.unix_ns,
            to_ns: now.unix_ns,
            end: End::Rebooted,
        }
    }
}

/// The file, locked as long as this lives.
pub struct Heart {
    file: File,
    boot_id: String,
    last: Option<Beat>,
    due_ns: u64,
}

impl Heart {
    /// Whether the file can be that of a state, as far as it can be read; nothing is made.
    pub fn check(path: &Path) -> Result<(), HeartError> {
        match open_own(path, OpenOptions::new().read(true)) {
            Ok(file) => last(&text_of(&file)?).map(drop),
            Err(Unreadable::Io(_)) => Ok(()),
            Err(why) => Err(why.into()),
        }
    }

    /// Reads the last moment that was watched before. Makes the file, and its folder, if there is
    /// none. A damaged state is as good as none; nothing that is no state is written over.
    pub fn open(path: &Path) -> Result<Self, HeartError> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = open_own(path, options)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(io::Error::from)?;
        let text = text_of(&file)?;
        let last = last(&text)?;
        if last.is_none() && !text.is_empty() {
            file.set_len(0)?;
            tracing::warn!(
                "the state in {} is damaged: from when on nobody watched is not told this once",
                path.display()
            );
        }
        Ok(Self {
            file,
            boot_id: fs::read_to_string(BOOT_ID)?.trim().to_owned(),
            last,
            due_ns: 0,
        })
    }

    /// To be asked when the probes are attached. `None` if nobody ever watched before.
    pub fn blind(&self) -> Option<Blind> {
        let last = self.last.as_ref()?;
        Some(last.blind(&self.beat_at(since_boot_ns(), false)))
    }

    /// What was seen until `time_ns` since boot is told.
    pub fn beat(&mut self, time_ns: u64) -> io::Result<()> {
        if time_ns < self.due_ns {
            return Ok(());
        }
        // So that a tick of the period is never too early.
        self.due_ns = time_ns + PERIOD.as_nanos() as u64 / 2;
        self.write(time_ns, false)
    }

    /// The last beat.
    pub fn stop(&mut self) -> io::Result<()> {
        self.write(since_boot_ns(), true)
    }

    fn write(&self, time_ns: u64, stopped: bool) -> io::Result<()> {
        let line = self.beat_at(time_ns, stopped).line();
        self.file.write_all_at(line.as_bytes(), 0)
    }

    fn beat_at(&self, time_ns: u64, stopped: bool) -> Beat {
        let age_ns = since_boot_ns().saturating_sub(time_ns);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ns = u64::try_from(now.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX);
        Beat {
            boot_id: self.boot_id.clone(),
            since_boot_ns: time_ns,
            unix_ns: now_ns.saturating_sub(age_ns),
            stopped,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(boot_id: &str, since_boot_ns: u64, unix_ns: u64, stopped: bool) -> Beat {
        Beat {
            boot_id: boot_id.to_owned(),
            since_boot_ns,
            unix_ns,
            stopped,
        }
    }

    #[test]
    fn a_beat_is_read_as_it_was_written() {
        let one = beat("b", 1, 2, true);
        assert_eq!(Beat::read(&one.line()), Some(one));
        for bad in [
            "",
            "b 1 2",
            "b x 2 running",
            "b 1 2 gone",
            "b 1 2 running 3",
        ] {
            assert_eq!(Beat::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_blind_time_is_that_of_the_clock_that_never_steps() {
        let now = beat("b", 5_000, 90_000, false);
        let blind = |last: Beat| last.blind(&now);
        let expected = |from_ns, end| Blind {
            from_ns,
            to_ns: 90_000,
            end,
        };
        assert_eq!(
            blind(beat("b", 2_000, 7, false)),
            expected(87_000, End::Killed)
        );
        assert_eq!(
            blind(beat("b", 2_000, 7, true)),
            expected(87_000, End::Stopped)
        );
        assert_eq!(
            blind(beat("a", 9_000, 60_000, false)),
            expected(60_000, End::Rebooted)
        );
    }

    #[test]
    fn a_first_start_was_never_blind_and_a_second_is_since_the_last_beat() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("of/state");
        let mut heart = Heart::open(&path).unwrap();
        assert_eq!(heart.blind(), None);
        assert!(Heart::open(&path).is_err(), "one daemon keeps it");
        let now = since_boot_ns();
        heart.beat(now).unwrap();
        drop(heart);
        let heart = Heart::open(&path).unwrap();
        let blind = heart.blind().unwrap();
        assert_eq!(blind.end, End::Killed);
        assert!(blind.length_ns() <= since_boot_ns() - now);
        drop(heart);
    }

    #[test]
    fn a_damaged_state_is_none_and_what_is_no_state_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let mut heart = Heart::open(&path).unwrap();
        heart.beat(since_boot_ns()).unwrap();
        heart.stop().unwrap();
        drop(heart);
        let line = fs::read(&path).unwrap();
        assert_eq!(line.len(), SHAPE.len());
        let cut = (0..line.len()).map(|end| line[..end].to_vec());
        let flipped = (0..line.len() * 8).map(|bit| {
            let mut line = line.clone();
            line[bit / 8] ^= 1 << (bit % 8);
            line
        });
        let lost =
            (0..line.len()).map(|from| [&line[..from], &vec![0; line.len() - from]].concat());
        for damaged in cut.chain(flipped).chain(lost) {
            fs::write(&path, &damaged).unwrap();
            let opened = Heart::open(&path);
            assert!(opened.is_ok(), "{:?}", String::from_utf8_lossy(&damaged));
        }
        let longer = [&line[..], b"more"].concat();
        let others = [
            "something else",
            "1234\n",
            "127.0.0.1 localhost\n",
            "{}",
            "#!/bin/sh\n",
        ];
        for other in others
            .map(str::as_bytes)
            .into_iter()
            .chain([longer.as_slice()])
        {
            fs::write(&path, other).unwrap();
            assert!(matches!(Heart::check(&path), Err(HeartError::Foreign)));
            assert!(matches!(Heart::open(&path), Err(HeartError::Foreign)));
            assert_eq!(fs::read(&path).unwrap(), other);
        }
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(
            Heart::open(&link),
            Err(HeartError::NoFile("a link"))
        ));
    }
}
