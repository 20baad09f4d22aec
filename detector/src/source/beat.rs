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

/// How often it is written.
pub const PERIOD: Duration = Duration::from_millis(50);
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// More than a line has.
const LONGEST: u64 = 128;

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
    /// Reads the last moment that was watched before. Makes the file, and its folder, if there is
    /// none.
    pub fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false);
        let file = file.open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is no regular file: name another with `--state`",
            ));
        }
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let mut text = String::new();
        (&file).take(LONGEST).read_to_string(&mut text)?;
        let last = Beat::read(&text);
        if last.is_none() && !text.is_empty() {
            file.set_len(0)?;
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it was no state of the detector, and is emptied",
            ));
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
        fs::write(&path, "something else").unwrap();
        assert!(Heart::open(&path).is_err());
        assert_eq!(Heart::open(&path).unwrap().blind(), None);
    }
}
