//! What a sink has done so far, for those who look.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

#[derive(Debug, Default)]
pub struct Stats {
    delivered: AtomicU64,
    refused: AtomicU64,
    retried: AtomicU64,
    requests: AtomicU64,
    microseconds: AtomicU64,
    failing: Mutex<Option<String>>,
}

/// What a sink has done, at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    pub delivered: u64,
    /// Kept as dead letters.
    pub refused: u64,
    /// Alerts that were handed over in vain, each time that they were.
    pub retried: u64,
    /// Requests, and the time that they took together.
    pub requests: u64,
    pub request_time: Duration,
    /// Why the peer does not take alerts; `None` while it does.
    pub failing: Option<String>,
}

impl Stats {
    pub(super) fn delivered(&self, count: u64) {
        self.delivered.fetch_add(count, Relaxed);
    }

    pub(super) fn refused(&self, count: u64) {
        self.refused.fetch_add(count, Relaxed);
    }

    pub(super) fn retried(&self, count: u64) {
        self.retried.fetch_add(count, Relaxed);
    }

    pub(super) fn asked(&self, took: Duration) {
        self.requests.fetch_add(1, Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(micros, Relaxed);
    }

    /// Whether it worked before.
    pub(in crate::sink) fn fails(&self, why: &str) -> bool {
        self.failing().replace(why.to_owned()).is_none()
    }

    /// Whether it failed before.
    pub(super) fn works(&self) -> bool {
        self.failing().take().is_some()
    }

    fn failing(&self) -> MutexGuard<'_, Option<String>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            delivered: self.delivered.load(Relaxed),
            refused: self.refused.load(Relaxed),
            retried: self.retried.load(Relaxed),
            requests: self.requests.load(Relaxed),
            request_time: Duration::from_micros(self.microseconds.load(Relaxed)),
            failing: self.failing().clone(),
        }
    }
}
