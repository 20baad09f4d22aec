//! Lines on their way to something of this machine, which may be slow: a bounded queue, and a thread
//! that writes.

use std::{
    io,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::settings::WhenFull;

/// Bytes that wait at most.
const MAX_BYTES: usize = 4 << 20;
/// After an error that is not for good, when it is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// When it is told that a full queue makes everything wait.
const LONG: Duration = Duration::from_secs(10);

/// Where the lines of a queue go.
pub(super) trait Out: Send + 'static {
    /// Whole lines. What was written of them before an error is told.
    fn write(&mut self, lines: &[u8]) -> Result<(), Failed>;
}

/// Lines were not written.
#[derive(Debug)]
pub(super) struct Failed {
    /// Bytes of them that were.
    pub(super) written: usize,
    pub(super) error: io::Error,
    /// It is of no use to try again.
    pub(super) for_good: bool,
}

pub(super) struct Queue {
    name: String,
    /// The run is to end: nobody waits any more.
    ending: Arc<AtomicBool>,
    shared: Arc<Shared>,
    when_full: WhenFull,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines of it.
    lines: u64,
    /// Bytes that the thread has taken and not written yet, and the lines of them.
    writing: usize,
    writing_lines: u64,
    closed: bool,
    /// Lines.
    written: u64,
    dropped: u64,
    /// Nothing is written any more.
    ended: Option<io::Error>,
    /// Lines that nobody reads, since then.
    unread: u64,
    /// It is tried again.
    failing: Option<String>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, most: Duration) -> MutexGuard<'a, State> {
        let (state, _) = self
            .changed
            .wait_timeout(state, most)
            .unwrap_or_else(PoisonError::into_inner);
        state
    }
}

impl Queue {
    pub(super) fn start(
        name: &str,
        when_full: WhenFull,
        ending: &Arc<AtomicBool>,
        out: impl Out,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let its = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || write(&its, out))?;
        Ok(Self {
            name: name.to_owned(),
            ending: Arc::clone(ending),
            shared,
            when_full,
            thread: Some(thread),
        })
    }

    /// Takes a line; the error is of lines before.
    pub(super) fn push(&self, line: &[u8]) -> io::Result<()> {
        let mut state = self.shared.lock();
        let (begun, mut told) = (Instant::now(), false);
        while state.ended.is_none()
            && !state.waiting.is_empty()
            && state.waiting.len() + line.len() > MAX_BYTES
        {
            match self.when_full {
                WhenFull::Block if !self.ending.load(Relaxed) => {
                    state = self.shared.wait(state, AGAIN);
                    if begun.elapsed() >= LONG && !told {
                        told = true;
                        let sink = &self.name;
                        tracing::error!(
                            sink,
                            "the sink takes nothing: all alerts and events wait for it"
                        );
                    }
                }
                WhenFull::Block | WhenFull::Drop => {
                    state.dropped += 1;
                    return Ok(());
                }
            }
        }
        if let Some(error) = state.ended.take() {
            let copy = io::Error::new(error.kind(), error.to_string());
            state.ended = Some(error);
            state.unread += u64::from(!line.is_empty());
            return Err(copy);
        }
        state.waiting.extend_from_slice(line);
        state.lines += u64::from(!line.is_empty());
        Ok(())
    }

    /// Lets the thread write what it has.
    pub(super) fn flush(&self) -> io::Result<()> {
        self.shared.changed.notify_all();
        self.push(&[])
    }

    /// Waits until everything is written; false if that takes longer.
    pub(super) fn wait(&self, most: Duration) -> bool {
        let end = Instant::now() + most;
        self.shared.changed.notify_all();
        let mut state = self.shared.lock();
        while state.ended.is_none() && (state.writing > 0 || !state.waiting.is_empty()) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.shared.wait(state, left);
        }
        true
    }

    /// Whether a full queue makes the alerts wait.
    pub(super) fn blocks(&self) -> bool {
        self.when_full == WhenFull::Block
    }

    /// Alerts that were dropped since the last call.
    pub(super) fn dropped(&self) -> u64 {
        std::mem::take(&mut self.shared.lock().dropped)
    }

    /// Lines that nobody reads any more, since the last call.
    pub(super) fn unread(&self) -> u64 {
        std::mem::take(&mut self.shared.lock().unread)
    }

    /// Lines that were written, and bytes that are not yet.
    pub(super) fn progress(&self) -> (u64, u64) {
        let state = self.shared.lock();
        let queued = state.waiting.len() + state.writing;
        (state.written, queued as u64)
    }

    /// Lines that are not written, or not wholly.
    pub(super) fn unwritten(&self) -> u64 {
        let state = self.shared.lock();
        state.lines + state.writing_lines + state.dropped
    }

    /// Why nothing is written at the moment.
    pub(super) fn failing(&self) -> Option<String> {
        self.shared.lock().failing.clone()
    }
}

impl Drop for Queue {
    /// A reader that does not read is not waited for.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.is_finished()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes alerts had ended");
        }
    }
}

fn write(shared: &Shared, mut out: impl Out) {
    let mut lines = Vec::new();
    let mut count = 0;
    loop {
        {
            let mut state = shared.lock();
            state.writing = 0;
            state.writing_lines = 0;
            state.written += count;
            shared.changed.notify_all();
            while state.waiting.is_empty() {
                if state.closed {
                    return;
                }
                state = shared.wait(state, AGAIN);
            }
            lines.clear();
            std::mem::swap(&mut lines, &mut state.waiting);
            state.writing = lines.len();
            count = std::mem::take(&mut state.lines);
            state.writing_lines = count;
        }
        let mut rest = lines.as_slice();
        while let Err(Failed {
            written,
            error,
            for_good,
        }) = out.write(rest)
        {
            rest = rest.get(written..).unwrap_or_default();
            let mut state = shared.lock();
            if for_good || state.closed {
                state.unread += state.lines + state.writing_lines;
                state.failing = Some(error.to_string());
                state.ended = Some(error);
                shared.changed.notify_all();
                return;
            }
            state.failing = Some(error.to_string());
            drop(shared.wait(state, AGAIN));
        }
        shared.lock().failing = None;
    }
}

/// Takes nothing, now or for good.
#[cfg(test)]
pub(super) struct Stuck {
    pub(super) for_good: bool,
}

#[cfg(test)]
impl Out for Stuck {
    fn write(&mut self, _lines: &[u8]) -> Result<(), Failed> {
        Err(Failed {
            written: 0,
            error: io::ErrorKind::StorageFull.into(),
            for_good: self.for_good,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_a_stuck_sink_when_the_run_is_to_end() {
        let ending = Arc::new(AtomicBool::new(false));
        let stuck = Stuck { for_good: false };
        let queue = Queue::start("stuck", WhenFull::Block, &ending, stuck).unwrap();
        let line = vec![b'x'; MAX_BYTES];
        std::thread::scope(|scope| {
            // The first is taken by the thread, and the second waits; the third has no room.
            let pushed = scope.spawn(|| (0..3).try_for_each(|_| queue.push(&line)));
            while queue.progress().1 < 2 * MAX_BYTES as u64 {
                std::thread::yield_now();
            }
            assert!(!pushed.is_finished());
            ending.store(true, Relaxed);
            pushed.join().unwrap().unwrap();
        });
        assert_eq!(queue.unwritten(), 3);
        assert_eq!(queue.dropped(), 1);
    }
}
