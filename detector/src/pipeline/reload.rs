//! The configuration and the rules read anew while events go on: on a thread of their own, so that the
//! ring buffer is read meanwhile, and put in force between two events, all or nothing.

use std::{error::Error, future::pending, sync::Arc, time::Duration};

use tokio::task::JoinHandle;

use super::{noise::Limit, watched_files::WatchedFiles};
use crate::{causes::chain, rules::Ruleset, sink::Plan};

/// What is to be in force.
pub struct Fresh {
    pub ruleset: Ruleset,
    pub sinks: Plan,
    pub limit: Option<Limit>,
    /// How often a heartbeat is told.
    pub heartbeat: Option<Duration>,
}

/// What came of a reading.
pub struct Read {
    /// The files that were read, or were to be; `None` if that is not known.
    pub files: Option<WatchedFiles>,
    pub fresh: Result<Fresh, Refused>,
}

/// Why nothing of it is put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The first mistake and its place.
    pub first: String,
    pub mistakes: u64,
}

impl Refused {
    /// An error with its causes.
    pub fn of(error: impl Error) -> Self {
        Self::one(chain(&error))
    }

    pub fn one(mistake: impl Into<String>) -> Self {
        Self {
            first: mistake.into(),
            mistakes: 1,
        }
    }

    /// Each of them goes to the log.
    pub fn all(mistakes: impl IntoIterator<Item = String>) -> Self {
        let mut all = Self {
            first: String::new(),
            mistakes: 0,
        };
        for mistake in mistakes {
            tracing::error!("{mistake}");
            all.mistakes += 1;
            if all.mistakes == 1 {
                all.first = mistake;
            }
        }
        all
    }

    /// Those of another part, too.
    pub fn and(mut self, other: &Self) -> Self {
        self.mistakes += other.mistakes;
        self
    }
}

/// Reads as at the start.
pub type Load = Arc<dyn Fn() -> Read + Send + Sync>;

/// At most one reading at a time.
pub(super) struct Reload {
    load: Load,
    reading: Option<JoinHandle<Read>>,
}

impl Reload {
    pub(super) fn new(load: Load) -> Self {
        Self {
            load,
            reading: None,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.reading.is_none()
    }

    /// Must be called within a tokio runtime.
    pub(super) fn start(&mut self) {
        let load = Arc::clone(&self.load);
        self.reading = Some(tokio::task::spawn_blocking(move || load()));
    }

    /// What was read; never, while nothing is. May be dropped and called again.
    pub(super) async fn finished(&mut self) -> Read {
        let Some(reading) = &mut self.reading else {
            return pending().await;
        };
        let read = reading.await;
        self.reading = None;
        read.unwrap_or_else(|error| Read {
            files: None,
            fresh: Err(Refused::one(format!("cannot read: {error}"))),
        })
    }
}
