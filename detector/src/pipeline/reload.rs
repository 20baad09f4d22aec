//! Rules read anew while events go on: on a thread of their own, so that the ring buffer is read
//! meanwhile, and put in force between two events.

use std::{future::pending, sync::Arc};

use tokio::task::JoinHandle;

use crate::rules::Ruleset;

/// Why rules are not put in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The first mistake and its place.
    pub first: String,
    pub mistakes: u64,
}

impl Refused {
    pub fn one(mistake: impl Into<String>) -> Self {
        Self {
            first: mistake.into(),
            mistakes: 1,
        }
    }
}

/// Reads the same files with the same settings as at the start.
pub type Load = Arc<dyn Fn() -> Result<Ruleset, Refused> + Send + Sync>;

/// At most one reading at a time.
pub(super) struct Reload {
    load: Load,
    reading: Option<JoinHandle<Result<Ruleset, Refused>>>,
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
    pub(super) async fn finished(&mut self) -> Result<Ruleset, Refused> {
        let Some(reading) = &mut self.reading else {
            return pending().await;
        };
        let read = reading.await;
        self.reading = None;
        read.unwrap_or_else(|error| Err(Refused::one(format!("cannot read the rules: {error}"))))
    }
}
