//! Alerts on their way to sinks that may not be there: an append-only log with a place in it for each
//! sink.
//!
//! Alerts of each priority have segments of their own, so that what has to go when there is no more
//! room are the oldest of the least urgent. Positions of a priority are gapless: whatever is missing,
//! because it was dropped, or because somebody changed or removed a file, is missed and counted by
//! each sink that should have had it. What was committed survives the death of the daemon, and by
//! its `fsync` setting that of the machine.

mod folder;
mod frame;
mod keeper;
mod mark;
mod open;
mod progress;
mod reader;
mod room;
mod segment;
mod state;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use tokio::sync::watch;

use self::{
    frame::{Frame, LEVELS, MAX_LENGTH},
    keeper::Keeper,
    segment::Pending,
    state::{Ends, Limits, State},
};
use super::{News, filter::Filter, kept::Kept, settings::SpoolSettings};
use crate::{alert::Alert, metrics};

/// Why a sink that was taken out of the configuration does not get an alert.
const REMOVED: &str = "sink_removed";

pub use open::SpoolError;
pub use reader::Reader;

/// Appends; there is one of a spool.
#[derive(Debug)]
pub struct Spool {
    shared: Arc<Shared>,
    pending: [Pending; LEVELS],
    /// Of what is pending.
    ends: Ends,
    /// The alert that is being appended.
    kept: Vec<u8>,
    /// How many there were so far.
    readers: usize,
    /// About as much is pending of a priority at most.
    segment_bytes: u64,
    keeper: Keeper,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The place among all of the last alert that was committed.
    grown: watch::Sender<u64>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; and if it did, what is there is still what is kept.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spool {
    /// Takes an alert; it is kept from the next `commit` on. Only an alert of more than 1 MiB is not.
    pub fn append(&mut self, alert: &Alert<'_>) -> bool {
        let mut kept = std::mem::take(&mut self.kept);
        kept.clear();
        self.kept = Kept::of(alert).push_to(kept).unwrap_or_default();
        let level = alert.priority as usize;
        let (Some(pending), Some(end)) = (
            self.pending.get_mut(level),
            self.ends.positions.get_mut(level),
        ) else {
            return false;
        };
        if self.kept.is_empty() || self.kept.len() > MAX_LENGTH {
            return false;
        }
        *end += 1;
        self.ends.order += 1;
        if pending.is_empty() {
            pending.first = *end;
        }
        pending.last = *end;
        pending.order = self.ends.order;
        let frame = Frame {
            position: *end,
            order: self.ends.order,
            kept: &self.kept,
        };
        frame::push(frame, &mut pending.bytes);
        if pending.bytes.len() as u64 >= self.segment_bytes {
            // What goes when there is no room goes by segments: none is to be much of what is kept.
            self.commit();
        }
        true
    }

    /// What was appended is kept, whatever becomes of this process.
    pub fn commit(&mut self) {
        if self.pending.iter().all(Pending::is_empty) {
            return;
        }
        let order = {
            let mut state = self.shared.lock();
            state.commit(&mut self.pending);
            state.ends.order
        };
        self.shared.grown.send_replace(order);
    }

    /// One more reader, for a sink that is not known yet: it gets what is kept for others too.
    pub fn add(&mut self, name: &str, filter: &Arc<Filter>) -> Reader {
        let id = self.readers;
        self.readers += 1;
        let mut state = self.shared.lock();
        state.trim();
        let added = state.add(id, name, filter);
        drop(state);
        if let Err(error) = added {
            tracing::warn!(sink = name, %error, "how far the sink is cannot be kept");
        }
        Reader::new(Arc::clone(&self.shared), id, Arc::clone(filter))
    }

    /// What is committed from now on is judged by this filter for that reader.
    pub fn refilter(&mut self, reader: usize, filter: &Arc<Filter>) {
        if let Some(reader) = self.shared.lock().readers.get_mut(&reader) {
            reader.set_filter(Arc::clone(filter));
        }
    }

    /// The sink of that reader is no more: a sink of the same name is another.
    pub fn forget(&mut self, reader: usize) {
        self.shared.lock().unmark(reader);
    }

    /// New bounds; the folder stays.
    pub fn bound(&mut self, settings: &SpoolSettings) {
        let mut state = self.shared.lock();
        if settings.path != state.limits.folder {
            tracing::warn!("`spool.path` is as it was at the start, until the next one");
        }
        state.limits = Limits::new(settings, state.limits.folder.clone());
        self.segment_bytes = state.limits.least_segment_bytes();
    }

    /// `None` in memory.
    pub fn folder(&self) -> Option<PathBuf> {
        self.shared.lock().limits.folder.clone()
    }

    /// What happened since the last call.
    pub fn news(&self) -> Vec<News> {
        std::mem::take(&mut self.shared.lock().news)
    }

    /// What is kept at the moment.
    pub fn status(&self) -> metrics::Spool {
        self.shared.lock().status(SystemTime::now())
    }

    /// How many alerts were kept from the first on that a sink has not acknowledged, wanted or not.
    pub fn behind(&self) -> BTreeMap<String, u64> {
        self.shared.lock().behind()
    }

    /// The run is over: what is kept goes to the disk, and what cannot ends here.
    pub fn finish(self) {
        drop(self.keeper);
        let state = self.shared.lock();
        let why = match state.limits.folder {
            Some(_) => "the spool cannot be written",
            None => "there is no `spool.path`",
        };
        for (sink, count) in state.only_in_memory() {
            tracing::error!(
                sink,
                count,
                "alerts that the sink did not take are lost, for they were in memory only: {why}"
            );
        }
    }

    /// Changes with each commit.
    pub fn grown(&self) -> watch::Receiver<u64> {
        self.shared.grown.subscribe()
    }
}

#[cfg(test)]
mod tests;
