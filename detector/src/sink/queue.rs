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
/// When it is told that the sink takes nothing, and that a full queue makes everything wait.
const LONG: Duration = Duration::from_secs(10);
/// Bytes that are written at once, or one line: a slow reader is told from one that has stopped.
const AT_ONCE: usize = 64 << 10;

/// Where the lines of a queue go.
pub(super) trait Out: Send + 'static {
    /// Whole lines. Those that were written before an error are told; the rest is given again.
    fn write(&mut self, lines: &[u8]) -> Result<(), Failed>;
}

/// Lines were not written.
#[derive(Debug)]
pub(super) struct Failed {
    /// Bytes of them that were, of whole lines.
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
    /// Since then none of them was written.
    since: Option<Instant>,
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
        let state = self.shared.lock();
        let stands = state.since.is_some_and(|since| since.elapsed() >= LONG);
        let stands = stands.then(|| "it takes nothing".to_owned());
        state.failing.clone().or(stands)
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
    loop {
        {
            let mut state = shared.lock();
            while state.waiting.is_empty() {
                if state.closed {
                    return;
                }
                state = shared.wait(state, AGAIN);
            }
            lines.clear();
            std::mem::swap(&mut lines, &mut state.waiting);
            state.writing = lines.len();
            state.writing_lines = std::mem::take(&mut state.lines);
            state.since = Some(Instant::now());
        }
        let mut rest = lines.as_slice();
        while !rest.is_empty() {
            let part = whole(rest, AT_ONCE);
            let outcome = out.write(part);
            let bytes = outcome
                .as_ref()
                .map_or_else(|it| it.written, |()| part.len());
            let (written, left) = rest.split_at_checked(bytes).unwrap_or((rest, &[]));
            rest = left;
            let mut state = shared.lock();
            state.count(written);
            shared.changed.notify_all();
            let Err(Failed {
                error, for_good, ..
            }) = outcome
            else {
                state.failing = None;
                continue;
            };
            state.failing = Some(error.to_string());
            if for_good || state.closed {
                state.unread += state.lines + state.writing_lines;
                state.ended = Some(error);
                return;
            }
            drop(shared.wait(state, AGAIN));
        }
    }
}

impl State {
    /// These lines were written.
    fn count(&mut self, written: &[u8]) {
        if written.is_empty() {
            return;
        }
        let lines = written.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.written += lines;
        self.writing_lines = self.writing_lines.saturating_sub(lines);
        self.writing -= written.len();
        self.since = (self.writing > 0).then(Instant::now);
    }
}

/// As many whole lines as are in so many bytes, and at least one.
pub(super) fn whole(lines: &[u8], room: usize) -> &[u8] {
    let end = |part: &[u8]| part.iter().rposition(|byte| *byte == b'\n');
    let last = end(lines.get(..room).unwrap_or(lines));
    let last = last.or_else(|| lines.iter().position(|byte| *byte == b'\n'));
    last.and_then(|last| lines.get(..=last)).unwrap_or(lines)
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

    /// Takes a line, and then nothing.
    struct Slow;

    impl Out for Slow {
        fn write(&mut self, lines: &[u8]) -> Result<(), Failed> {
            let written = match lines.starts_with(b"first") {
                true => whole(lines, 0).len(),
                false => 0,
            };
            Err(Failed {
                written,
                error: io::ErrorKind::StorageFull.into(),
                for_good: false,
            })
        }
    }

    #[test]
    fn lines_before_an_error_are_written() {
        let queue = Queue::start("slow", WhenFull::Block, &Arc::default(), Slow).unwrap();
        for line in [&b"first\n"[..], b"second\n", b"third\n"] {
            queue.push(line).unwrap();
        }
        queue.flush().unwrap();
        while queue.progress().0 == 0 {
            std::thread::yield_now();
        }
        assert_eq!(queue.progress(), (1, b"second\nthird\n".len() as u64));
        assert_eq!(queue.unwritten(), 2);
        while queue.failing().is_none() {
            std::thread::yield_now();
        }
    }

    /// Waits as long as somebody holds it.
    struct Held(Arc<Mutex<()>>);

    impl Out for Held {
        fn write(&mut self, _lines: &[u8]) -> Result<(), Failed> {
            drop(self.0.lock());
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_stopped_is_told() {
        let held = Arc::new(Mutex::new(()));
        let out = Held(Arc::clone(&held));
        let queue = Queue::start("held", WhenFull::Block, &Arc::default(), out).unwrap();
        let holds = held.lock().unwrap();
        queue.push(b"a line\n").unwrap();
        queue.flush().unwrap();
        while queue.shared.lock().since.is_none() {
            std::thread::yield_now();
        }
        assert_eq!(queue.failing(), None);
        queue.shared.lock().since = Instant::now().checked_sub(LONG);
        assert_eq!(queue.failing().as_deref(), Some("it takes nothing"));
        drop(holds);
        assert!(queue.wait(LONG));
        assert_eq!(queue.failing(), None);
    }
}
