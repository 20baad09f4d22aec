//! Where the pipeline posts what it has done, for those who look; neither waits for the other.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::Status;

/// Shared by all of its clones.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<Option<Last>>>);

#[derive(Debug, Clone)]
struct Last {
    time: Instant,
    status: Arc<Status>,
}

/// What was posted last.
#[derive(Debug, Clone)]
pub struct Posted {
    pub status: Arc<Status>,
    /// How long ago.
    pub age: Duration,
}

impl Board {
    pub fn post(&self, status: Status) {
        let new = Some(Last {
            time: Instant::now(),
            status: Arc::new(status),
        });
        // What was there before is freed without the lock.
        let before = std::mem::replace(&mut *self.lock(), new);
        drop(before);
    }

    /// None before the first post.
    pub fn read(&self) -> Option<Posted> {
        let Last { time, status } = self.lock().clone()?;
        Some(Posted {
            status,
            age: time.elapsed(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<Last>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
