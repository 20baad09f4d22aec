//! What a spool holds, and how far each sink is: behind one lock, held for as long as bytes are
//! copied to the page cache.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use super::{
    super::News,
    frame::LEVELS,
    mark::Mark,
    progress::Progress,
    segment::{Pending, Segment},
};
use crate::{
    alert::Priority,
    metrics,
    sink::settings::{Fsync, SpoolSettings},
};

/// The bounds of a spool.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// `None`: memory only.
    pub(super) folder: Option<PathBuf>,
    pub(super) max_bytes: u64,
    pub(super) memory_bytes: u64,
    pub(super) max_age: Option<Duration>,
    pub(super) fsync: Fsync,
}

impl Limits {
    /// A spool stays in its folder.
    pub(super) fn new(settings: &SpoolSettings, folder: Option<PathBuf>) -> Self {
        Self {
            folder,
            max_bytes: settings.max_bytes.0,
            memory_bytes: settings.memory_bytes.0,
            max_age: settings.max_age.map(|age| age.0),
            fsync: settings.fsync,
        }
    }

    /// Where it is smaller.
    pub(super) fn least_segment_bytes(&self) -> u64 {
        self.segment_bytes(true).min(self.segment_bytes(false))
    }

    /// Small enough that what is dropped for a new alert is little of what is kept.
    fn segment_bytes(&self, on_disk: bool) -> u64 {
        let all = if on_disk {
            self.max_bytes
        } else {
            self.memory_bytes
        };
        (all / 64).clamp(16 << 10, 4 << 20)
    }
}

/// How far the writer is: kept on disk beside the segments, so that what is cut off the end of one
/// is missed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ends {
    /// The last position of each priority.
    pub(super) positions: [u64; LEVELS],
    /// The last of all.
    pub(super) order: u64,
    /// Of each priority, the first and the last that were in memory only.
    pub(super) in_memory: [(u64, u64); LEVELS],
    /// How many sinks had a mark.
    pub(super) marks: u64,
}

/// How far each sink is, by the number of its reader.
pub(super) type Readers = BTreeMap<usize, Progress>;

#[derive(Debug)]
pub(super) struct State {
    pub(super) limits: Limits,
    pub(super) levels: [VecDeque<Segment>; LEVELS],
    pub(super) ends: Ends,
    pub(super) readers: Readers,
    pub(super) news: Vec<News>,
    /// Positions that were in memory only when an earlier run ended.
    pub(super) not_written: [(u64, u64); LEVELS],
    /// Held for as long as the spool is open; `None` in memory.
    pub(super) lock: Option<File>,
    /// `None` in memory.
    mark: Option<Mark>,
    /// The disk could not be written when it was last tried.
    failing: bool,
    /// Written since the last time that they were made to survive a loss of power.
    pub(super) dirty: Vec<Arc<File>>,
}

impl State {
    pub(super) fn new(
        limits: Limits,
        lock: Option<File>,
        levels: [VecDeque<Segment>; LEVELS],
        ends: Ends,
        mark: Option<Mark>,
    ) -> Self {
        Self {
            limits,
            levels,
            ends,
            readers: Readers::new(),
            news: Vec::new(),
            not_written: ends.in_memory,
            lock,
            mark,
            failing: false,
            dirty: Vec::new(),
        }
    }

    /// With what was not told yet of the same.
    pub(super) fn tell_dropped(&mut self, sink: &str, cause: &'static str, count: u64) {
        let known = self.news.iter_mut().find_map(|news| match news {
            News::Dropped {
                sink: its,
                cause: why,
                count,
            } if its == sink && *why == cause => Some(count),
            _ => None,
        });
        match known {
            Some(known) => *known += count,
            None if count > 0 => self.news.push(News::Dropped {
                sink: sink.to_owned(),
                cause,
                count,
            }),
            None => {}
        }
    }

    pub(super) fn tell_mended(&mut self, count: u64) {
        if let Some(folder) = &self.limits.folder {
            let folder = folder.display().to_string();
            tracing::error!(
                count,
                "files of the spool {folder} were removed or replaced"
            );
            self.news.push(News::Mended { folder, count });
        }
    }

    /// Takes what is pending of each priority.
    pub(super) fn commit(&mut self, pending: &mut [Pending; LEVELS]) {
        for (level, pending) in Priority::ALL.into_iter().zip(pending) {
            if pending.is_empty() {
                continue;
            }
            if self.limits.folder.is_none() || self.failing {
                // The keeper tries anew.
                self.remember(level, pending);
            } else if let Err(error) = self.write(level, pending) {
                self.disk(Err(error));
                self.remember(level, pending);
            }
            if let Some(end) = self.ends.positions.get_mut(level as usize) {
                *end = pending.last;
            }
            self.ends.order = self.ends.order.max(pending.order);
            pending.clear();
        }
        let marked = self.write_mark();
        let synced = match self.limits.fsync {
            Fsync::Always => marked.and_then(|()| self.sync()),
            Fsync::Interval | Fsync::Never => marked,
        };
        if let Err(error) = synced {
            self.disk(Err(error));
        }
        self.trim();
    }

    pub(super) fn write_mark(&mut self) -> io::Result<()> {
        for level in Priority::ALL {
            let known = self.joined_in_memory(level);
            if let Some(in_memory) = self.ends.in_memory.get_mut(level as usize) {
                *in_memory = known;
            }
        }
        let marked = self.readers.values().filter_map(Progress::mark);
        self.ends.marks = marked.count() as u64;
        let mark = self.mark.as_mut();
        mark.map_or(Ok(()), |mark| mark.set(&self.ends))
    }

    /// Whether somebody removed or replaced it, and it is made anew.
    pub(super) fn mend_mark(&mut self) -> io::Result<bool> {
        let mark = self.mark.as_mut();
        mark.map_or(Ok(false), |mark| mark.mend(&self.ends))
    }

    fn sync(&mut self) -> io::Result<()> {
        let dirty = self.take_dirty();
        dirty.iter().try_for_each(|file| file.sync_data())?;
        if let Some(folder) = &self.limits.folder {
            File::open(folder)?.sync_all()?;
        }
        self.mark.as_ref().map_or(Ok(()), Mark::sync)
    }

    /// What is in memory only, and what was so before if some sink has not come to it yet.
    fn joined_in_memory(&self, level: Priority) -> (u64, u64) {
        let (before, segments) = (
            self.not_written.get(level as usize).copied(),
            self.levels.get(level as usize),
        );
        let before = before.filter(|(_, last)| {
            let mut readers = self.readers.values();
            readers.any(|reader| reader.acked(level) < *last)
        });
        let segments = segments.into_iter().flatten();
        let now = segments
            .filter(|segment| !segment.is_on_disk())
            .map(|segment| (segment.first, segment.last));
        let join = |(first, last): (u64, u64), (from, to)| (first.min(from), last.max(to));
        before.into_iter().chain(now).reduce(join).unwrap_or((0, 0))
    }

    /// On disk; an error where there is none to write to, or it is full.
    fn write(&mut self, level: Priority, pending: &Pending) -> io::Result<()> {
        let folder = self.limits.folder.as_deref();
        let folder = folder.ok_or(io::ErrorKind::NotFound)?;
        let limit = self.limits.segment_bytes(true);
        let segments = level_mut(&mut self.levels, level);
        let size = pending.bytes.len() as u64;
        let open = segments
            .back_mut()
            .filter(|segment| segment.is_on_disk() && segment.length + size <= limit);
        match open {
            Some(segment) => segment.append(pending)?,
            None => segments.push_back(Segment::create(folder, level, pending)?),
        }
        let file = segments.back().and_then(Segment::file);
        if self.limits.fsync != Fsync::Never {
            let known = |file: &Arc<File>| self.dirty.iter().any(|one| Arc::ptr_eq(one, file));
            self.dirty.extend(file.filter(|file| !known(file)));
        }
        Ok(())
    }

    fn remember(&mut self, level: Priority, pending: &Pending) {
        let limit = self.limits.segment_bytes(false);
        let segments = level_mut(&mut self.levels, level);
        let size = pending.bytes.len() as u64;
        let open = segments
            .back_mut()
            .filter(|segment| !segment.is_on_disk() && segment.length + size <= limit);
        let appended = open.map(|segment| segment.append(pending));
        if !matches!(appended, Some(Ok(()))) {
            segments.push_back(Segment::in_memory(pending));
        }
    }

    /// Tells when the disk begins to fail, and when it works again.
    pub(super) fn disk(&mut self, outcome: io::Result<()>) {
        let Some(folder) = &self.limits.folder else {
            return;
        };
        if self.failing == outcome.is_err() {
            return;
        }
        self.failing = outcome.is_err();
        self.news.push(match outcome {
            Ok(()) => News::DiskWorks,
            Err(error) => News::DiskFails(format!("{}: {error}", folder.display())),
        });
    }

    /// What is only in memory goes to the disk, as soon as it can be written again.
    pub(super) fn spill(&mut self) {
        let Some(folder) = self.limits.folder.clone() else {
            return;
        };
        let mut spilled = false;
        for level in Priority::ALL {
            for segment in level_mut(&mut self.levels, level) {
                if segment.is_on_disk() {
                    continue;
                }
                if let Err(error) = segment.spill(&folder, level) {
                    return self.disk(Err(error));
                }
                self.dirty.extend(segment.file());
                spilled = true;
            }
        }
        let marked = match spilled || self.failing {
            true => self.write_mark(),
            false => Ok(()),
        };
        self.disk(marked);
    }

    /// Files to sync.
    pub(super) fn take_dirty(&mut self) -> Vec<Arc<File>> {
        std::mem::take(&mut self.dirty)
    }

    /// To sync, as they are written by now.
    pub(super) fn marks(&self) -> io::Result<Vec<File>> {
        let of_sinks = self.readers.values().filter_map(Progress::mark);
        self.mark.iter().chain(of_sinks).map(Mark::file).collect()
    }

    pub(super) fn status(&self, now: SystemTime) -> metrics::Spool {
        let segments = || self.levels.iter().flatten();
        let limits = &self.limits;
        let oldest = segments().map(|segment| segment.begun).min();
        let age = oldest.and_then(|begun| now.duration_since(begun).ok());
        metrics::Spool {
            disk_bytes: self.bytes(true, |_| true),
            memory_bytes: self.bytes(false, |_| true),
            limit_bytes: match limits.folder {
                Some(_) => limits.max_bytes,
                None => limits.memory_bytes,
            },
            segments: segments().count() as u64,
            oldest_ms: age.map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            failing: self.failing,
        }
    }

    pub(super) fn behind(&self) -> BTreeMap<String, u64> {
        let of = |reader: &Progress| {
            let behind = reader.behind(&self.ends.positions);
            (reader.name().to_owned(), behind)
        };
        self.readers.values().map(of).collect()
    }
}

pub(super) fn level_mut(
    levels: &mut [VecDeque<Segment>; LEVELS],
    level: Priority,
) -> &mut VecDeque<Segment> {
    // Priorities and levels are as many.
    let [
        emergency,
        alert,
        critical,
        error,
        warning,
        notice,
        informational,
        debug,
    ] = levels;
    match level {
        Priority::Emergency => emergency,
        Priority::Alert => alert,
        Priority::Critical => critical,
        Priority::Error => error,
        Priority::Warning => warning,
        Priority::Notice => notice,
        Priority::Informational => informational,
        Priority::Debug => debug,
    }
}
