//! What a spool needs from time to time, away from the thread that appends.

use std::{
    fs::File,
    io,
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

/// Files that are made anew in one turn, should somebody remove them as fast.
const MOST: u64 = 1000;

/// A thread that ends, after a last turn, when this is dropped.
#[derive(Debug)]
pub(super) struct Keeper {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub(super) fn start(shared: Arc<Shared>) -> io::Result<Self> {
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

pub(super) fn keep(shared: &Shared) {
    let mended = mend(shared);
    let (dirty, marks) = {
        let mut state = shared.lock();
        match mended {
            Ok(()) => state.spill(),
            Err(error) => state.disk(Err(error)),
        }
        state.age(SystemTime::now());
        state.trim();
        (state.take_dirty(), state.marks())
    };
    // Without the lock: a disk takes its time.
    let synced = dirty.iter().try_for_each(|file| file.sync_data());
    let marked = marks.and_then(|marks| marks.iter().try_for_each(File::sync_data));
    if let Err(error) = synced.and(marked) {
        tracing::warn!(%error, "the spool cannot be synced");
    }
}

/// Tells how many files somebody removed or replaced.
fn mend(shared: &Shared) -> io::Result<()> {
    let mut count = 0;
    let mended = loop {
        // Others get the lock between two files.
        match shared.lock().mend() {
            Ok(true) if count < MOST => count += 1,
            Ok(_) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    if count > 0 {
        shared.lock().tell_mended(count);
    }
    mended
}
