//! What goes when there is no more room, or when it is too old.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use super::{
    progress::Progress,
    segment::Segment,
    state::{State, level_mut},
};
use crate::{alert::Priority, sink::kept::Kept};

/// One part in so many of a bound is room for what is new: a sink that takes alerts is handed them
/// before they go for the backlog of one that does not, however urgent that is.
const RESERVE: u64 = 8;
/// How long a segment is new after it was appended to.
const NEW: Duration = Duration::from_secs(10);

/// Why alerts that no sink has are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Full,
    Old,
}

impl Cause {
    fn as_str(self) -> &'static str {
        match self {
            Self::Full => "spool_full",
            Self::Old => "too_old",
        }
    }
}

impl Segment {
    fn is_new(&self, now: SystemTime) -> bool {
        // A clock that was set back makes nothing new.
        let age = now.duration_since(self.changed);
        age.is_ok_and(|age| age < NEW)
    }
}

impl State {
    /// Removes what every sink has, and keeps the bounds.
    pub(super) fn trim(&mut self) {
        for level in Priority::ALL {
            while let Some(segment) = level_mut(&mut self.levels, level).front() {
                let has = |reader: &Progress| reader.is_past(level, segment.last);
                if !self.readers.values().all(has) {
                    break;
                }
                segment.remove();
                level_mut(&mut self.levels, level).pop_front();
            }
        }
        let now = SystemTime::now();
        let settled = |segment: &Segment| !segment.is_new(now);
        for (on_disk, bound) in [
            (true, self.limits.max_bytes),
            (false, self.limits.memory_bytes),
        ] {
            let rest = bound - bound / RESERVE;
            while self.bytes(on_disk, settled) > rest && self.drop_one(on_disk, settled) {}
            // Of what is new there is more than its room.
            while self.bytes(on_disk, |_| true) > bound && self.drop_one(on_disk, |_| true) {}
        }
    }

    /// Gives up what is older than it may be.
    pub(super) fn age(&mut self, now: SystemTime) {
        let Some(max_age) = self.limits.max_age else {
            return;
        };
        for level in Priority::ALL {
            let old = |segment: &Segment| {
                let age = now.duration_since(segment.changed);
                age.is_ok_and(|age| age > max_age)
            };
            while let Some(index) = self.droppable(level, old) {
                self.drop_segment(level, index, Cause::Old);
            }
        }
    }

    pub(super) fn bytes(&self, on_disk: bool, fits: impl Fn(&Segment) -> bool) -> u64 {
        let segments = self.levels.iter().flatten();
        segments
            .filter(|segment| segment.is_on_disk() == on_disk && fits(segment))
            .map(|segment| segment.length)
            .sum()
    }

    /// The oldest of the least urgent; false if each is being read.
    fn drop_one(&mut self, on_disk: bool, fits: impl Fn(&Segment) -> bool) -> bool {
        let lowest = Priority::ALL.into_iter().rev().find_map(|level| {
            let index = self.droppable(level, |segment| {
                segment.is_on_disk() == on_disk && fits(segment)
            })?;
            Some((level, index))
        });
        if let Some((level, index)) = lowest {
            self.drop_segment(level, index, Cause::Full);
        }
        lowest.is_some()
    }

    fn droppable(&self, level: Priority, fits: impl Fn(&Segment) -> bool) -> Option<usize> {
        let segments = self.levels.get(level as usize)?;
        segments.iter().position(|segment| {
            let read = |reader: &Progress| {
                reader.reads(level, segment.first) && !reader.is_past(level, segment.last)
            };
            fits(segment) && !self.readers.values().any(read)
        })
    }

    fn drop_segment(&mut self, level: Priority, index: usize, cause: Cause) {
        let Some(segment) = level_mut(&mut self.levels, level).remove(index) else {
            return;
        };
        let counts = self.lacking(level, &segment);
        let mut told = Vec::new();
        for (reader, count) in self.readers.values_mut().zip(counts) {
            reader.pass(level, segment.first, segment.last);
            told.push((reader.name().to_owned(), count));
        }
        for (sink, count) in told {
            self.tell_dropped(&sink, cause.as_str(), count);
        }
        segment.remove();
    }

    /// How many of its alerts each sink is to have, and has not.
    fn lacking(&self, level: Priority, segment: &Segment) -> Vec<u64> {
        let mut counts = vec![0; self.readers.len()];
        let counted = segment.frames(|frame| {
            let kept = Kept::from_bytes(frame.kept);
            for (reader, count) in self.readers.values().zip(&mut counts) {
                let wanted = kept.as_ref().is_none_or(|kept| reader.filter().wants(kept));
                *count += u64::from(wanted && !reader.is_past(level, frame.position));
            }
        });
        match counted {
            Ok(()) => counts,
            Err(_unreadable) => vec![segment.last.saturating_sub(segment.first) + 1; counts.len()],
        }
    }

    /// What ends with the detector: of each sink, the alerts that it lacks and that are in memory only.
    pub(super) fn only_in_memory(&self) -> BTreeMap<String, u64> {
        let mut all: BTreeMap<String, u64> = BTreeMap::new();
        for (level, segments) in Priority::ALL.into_iter().zip(&self.levels) {
            for segment in segments.iter().filter(|segment| !segment.is_on_disk()) {
                let counts = self.lacking(level, segment);
                for (reader, count) in self.readers.values().zip(counts) {
                    *all.entry(reader.name().to_owned()).or_default() += count;
                }
            }
        }
        all.retain(|_, count| *count > 0);
        all
    }
}
