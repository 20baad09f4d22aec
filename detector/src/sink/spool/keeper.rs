//! What a spool needs from time to time, away from the thread that appends.

use std::{
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread::JoinHandle,
    time::{Duration, SystemTime},
};

use super::Shared;

/// How often files are synced, and what is old or only in memory is looked for.
const PERIOD: Duration = Duration::from_secs(1);

/// A thread that ends, after a last turn, when this is dropped.
#[derive(Debug)]
pub(super) struct Keeper {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(super) fn start(shared: Arc<Shared>) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || {
                while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                    keep(&shared);
                }
                keep(&shared);
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(Err(_panicked)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread that keeps the spool had ended");
        }
    }
}

fn keep(shared: &Shared) {
    let dirty = {
        let mut state = shared.lock();
        state.spill();
        state.age(SystemTime::now());
        state.trim();
        state.take_dirty()
    };
    // Without the lock: a disk takes its time.
    let synced = dirty.iter().try_for_each(|file| file.sync_data());
    let state = shared.lock();
    if let Err(error) = synced.and_then(|()| state.sync_marks()) {
        tracing::warn!(%error, "the spool cannot be synced");
    }
}
