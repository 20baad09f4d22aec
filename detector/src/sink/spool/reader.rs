//! What one sink is to get, in the order in which it was made.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    REMOVED, Shared,
    frame::{self, LEVELS, Next},
    segment::{self, Place, Segment},
};
use crate::{
    alert::Priority,
    sink::{filter::Filter, kept::Kept},
};

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;
/// Alerts that are given up at once.
const LEAVING: usize = 1000;

/// Why there is no alert where one was kept: it was changed, cut off or removed, or an earlier run ended
/// with it in memory, for the disk could not be written.
const DAMAGED: &str = "spool_damaged";
const NOT_WRITTEN: &str = "not_written";

/// Reads every alert that its sink wants and does not have.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    /// Its number among the readers.
    id: usize,
    /// As it was when the last batch began.
    filter: Arc<Filter>,
    /// What was committed later is not for it.
    until: Option<u64>,
    heads: [Head; LEVELS],
    /// Positions up to which everything was read.
    read: [u64; LEVELS],
    /// The same of what was acknowledged.
    acked: [u64; LEVELS],
}

/// Where it reads one priority.
#[derive(Debug, Default)]
struct Head {
    /// First position of the segment; 0 before there is one.
    segment: u64,
    /// Of the segment, where the buffer ends.
    offset: u64,
    buffer: Vec<u8>,
    /// Of the buffer, the part that was read.
    consumed: usize,
}

/// What the segments have for a head.
enum More {
    Bytes,
    /// The segment has ended, another one follows.
    Other(u64),
    /// The last position at that moment: what is committed a moment later is not missed.
    Nothing(u64),
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, id: usize, filter: Arc<Filter>) -> Self {
        let read = {
            let state = shared.lock();
            let reader = state.readers.get(&id);
            Priority::ALL.map(|level| reader.map_or(0, |reader| reader.acked(level)))
        };
        Self {
            shared,
            id,
            filter,
            until: None,
            heads: Default::default(),
            acked: read,
            read,
        }
    }

    /// At most this many alerts and, after the first, bytes. What it passes over is acknowledged with
    /// them.
    pub fn batch(&mut self, limit: usize, bytes: usize) -> Vec<Kept> {
        let mut batch = Vec::new();
        let mut size = 0;
        // What is committed meanwhile is for the next: some of it would be seen before what is older.
        let last = {
            let state = self.shared.lock();
            if let Some(reader) = state.readers.get(&self.id) {
                self.filter = Arc::clone(reader.filter());
            }
            self.until.unwrap_or(state.ends.order)
        };
        let now = |order: &u64| *order <= last;
        // The next of each priority, by its place among all.
        let mut fronts: BTreeMap<u64, Priority> = BTreeMap::new();
        for level in Priority::ALL {
            fronts.extend(self.front(level).filter(now).map(|order| (order, level)));
        }
        while let Some((_, level)) = fronts.pop_first() {
            let Some((kept, length)) = self.take(level) else {
                continue;
            };
            size += length;
            batch.extend(kept.filter(|kept| self.filter.wants(kept)));
            if batch.len() >= limit || size >= bytes {
                break;
            }
            fronts.extend(self.front(level).filter(now).map(|order| (order, level)));
        }
        if batch.is_empty() {
            self.ack();
        }
        batch
    }

    /// The sink has every alert of the batches so far.
    pub fn ack(&mut self) {
        if self.acked == self.read {
            return;
        }
        let mut state = self.shared.lock();
        if let Some(reader) = state.readers.get_mut(&self.id) {
            reader.ack(&self.read);
        }
        self.acked = self.read;
    }

    /// Its number.
    pub(in crate::sink) fn id(&self) -> usize {
        self.id
    }

    /// No more than what is kept now is for this sink, from the first call on.
    pub(in crate::sink) fn end(&mut self) {
        let now = self.shared.lock().ends.order;
        self.until.get_or_insert(now);
    }

    /// The sink is no more, and so many alerts of the batches so far do not reach it; neither does what
    /// would follow.
    pub(in crate::sink) fn leave(&mut self, mut given_up: u64) {
        loop {
            let batch = self.batch(LEAVING, usize::MAX);
            if batch.is_empty() {
                break;
            }
            given_up += batch.len() as u64;
        }
        let mut state = self.shared.lock();
        let reader = state.readers.remove(&self.id);
        if let Some(reader) = reader {
            state.tell_dropped(reader.name(), REMOVED, given_up);
        }
        state.trim();
    }

    /// The place among all of the next frame of a priority, if there is one.
    fn front(&mut self, level: Priority) -> Option<u64> {
        loop {
            let head = self.heads.get_mut(level as usize)?;
            let rest = head.buffer.get(head.consumed..).unwrap_or_default();
            match frame::next(rest, false) {
                Next::Frame(frame) => {
                    let read = self.read.get(level as usize).copied().unwrap_or(0);
                    let (position, order) = (frame.position, frame.order);
                    if position > read {
                        self.missed(level, read, position);
                        return Some(order);
                    }
                    head.consumed += frame.size();
                }
                Next::Damaged(size) => head.consumed += size,
                Next::More => match self.more(level) {
                    More::Bytes => {}
                    // What is left is no frame, or what claims to be longer than it is.
                    _ if self.skip_rest(level) => {}
                    More::Other(segment) => self.turn(level, segment),
                    More::Nothing(end) => {
                        self.missed_end(level, end);
                        return None;
                    }
                },
            }
        }
    }

    /// Whether bytes were left that are no frame: a later one may be among them.
    fn skip_rest(&mut self, level: Priority) -> bool {
        let Some(head) = self.heads.get_mut(level as usize) else {
            return false;
        };
        let rest = head.buffer.get(head.consumed..).unwrap_or_default();
        let Next::Damaged(size) = frame::next(rest, true) else {
            return false;
        };
        head.consumed += size;
        true
    }

    /// The frame that `front` found, and its bytes; `None` of an alert that another version kept in
    /// another way.
    fn take(&mut self, level: Priority) -> Option<(Option<Kept>, usize)> {
        let head = self.heads.get_mut(level as usize)?;
        let rest = head.buffer.get(head.consumed..).unwrap_or_default();
        let Next::Frame(frame) = frame::next(rest, false) else {
            return None;
        };
        let (position, size) = (frame.position, frame.size());
        let kept = Kept::from_bytes(frame.kept);
        head.consumed += size;
        if let Some(read) = self.read.get_mut(level as usize) {
            *read = position;
        }
        if kept.is_none() {
            self.tell_missing(DAMAGED, 1);
        }
        Some((kept, size))
    }

    /// Positions after `read` and before `found` have no frame.
    fn missed(&mut self, level: Priority, read: u64, found: u64) {
        let (missing, not_written) = {
            let state = self.shared.lock();
            let not_written = state.not_written.get(level as usize);
            let (first, last) = not_written.copied().unwrap_or_default();
            let reader = state.readers.get(&self.id);
            reader.map_or((0, 0), |reader| {
                let (after, before) = (read.max(first.saturating_sub(1)), found.min(last + 1));
                (
                    reader.missing(level, read, found),
                    reader.missing(level, after, before),
                )
            })
        };
        if let Some(read) = self.read.get_mut(level as usize) {
            *read = found - 1;
        }
        self.tell_missing(NOT_WRITTEN, not_written);
        self.tell_missing(DAMAGED, missing.saturating_sub(not_written));
    }

    fn tell_missing(&self, cause: &'static str, count: u64) {
        if count > 0 {
            let mut state = self.shared.lock();
            let name = state.readers.get(&self.id).map(|reader| reader.name());
            let sink = name.unwrap_or_default().to_owned();
            state.tell_dropped(&sink, cause, count);
        }
    }

    /// What was written last was cut off.
    fn missed_end(&mut self, level: Priority, end: u64) {
        let read = self.read.get(level as usize).copied().unwrap_or(0);
        if end > read {
            self.missed(level, read, end + 1);
        }
    }

    fn more(&mut self, level: Priority) -> More {
        let Some(head) = self.heads.get_mut(level as usize) else {
            return More::Nothing(0);
        };
        head.buffer.drain(..head.consumed);
        head.consumed = 0;
        let read = self.read.get(level as usize).copied().unwrap_or(0);
        let state = self.shared.lock();
        let (Some(segments), Some(end)) = (
            state.levels.get(level as usize),
            state.ends.positions.get(level as usize),
        ) else {
            return More::Nothing(0);
        };
        let current = segments.iter().find(|one| one.first == head.segment);
        let Some(segment) = current.filter(|segment| segment.length > head.offset) else {
            let follows = |one: &&Segment| one.first > head.segment && one.last > read;
            let next = segments.iter().find(follows);
            return next.map_or(More::Nothing(*end), |segment| More::Other(segment.first));
        };
        let (before, length) = (head.buffer.len(), segment.length);
        let outcome = match &segment.place {
            Place::Memory(bytes) => {
                segment::copy(bytes, head.offset, CHUNK, &mut head.buffer);
                Ok(())
            }
            Place::Disk { file, .. } => {
                let file = Arc::clone(file);
                // A disk may be slow, and alerts are to be appended meanwhile.
                drop(state);
                segment::read(&file, head.offset..length, CHUNK, &mut head.buffer)
            }
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, "a segment of the spool cannot be read");
        }
        // A file that was cut, or cannot be read, has nothing up to its end.
        head.offset = match (head.buffer.len() - before) as u64 {
            0 => length,
            got => head.offset + got,
        };
        More::Bytes
    }

    fn turn(&mut self, level: Priority, segment: u64) {
        let mut state = self.shared.lock();
        if let Some(reader) = state.readers.get_mut(&self.id) {
            reader.begin(level, segment);
        }
        drop(state);
        if let Some(head) = self.heads.get_mut(level as usize) {
            *head = Head {
                segment,
                ..Head::default()
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{drain, fill, open, settings},
        *,
    };

    #[test]
    fn what_is_committed_while_nothing_is_found_is_not_missed() {
        let (mut spool, mut reader) = open(&settings(None));
        fill(&mut spool, 1..=3, Priority::Notice);
        assert_eq!(drain(&mut reader), [1, 2, 3]);
        let More::Nothing(end) = reader.more(Priority::Notice) else {
            panic!("there is more");
        };
        fill(&mut spool, 4..=5, Priority::Notice);
        reader.missed_end(Priority::Notice, end);
        assert_eq!(drain(&mut reader), [4, 5]);
        assert_eq!(spool.news(), []);
    }
}
