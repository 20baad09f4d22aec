//! Of each kind of line so many a period. What is left out is counted, and the count is told when the
//! period is over. Lines are of one kind if one place of the program logs them, so there are no more
//! kinds than such places.

use std::{
    fmt::{self, Write as _},
    hash::BuildHasher as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use foldhash::fast::FixedState;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_log::NormalizeEvent as _;
use tracing_subscriber::layer::{Context, Layer};

use super::kinds::{Kinds, LeftOut};
use crate::sink::LAST_RESORT;

/// Bytes of a line by which one knows what was left out.
const LIKE: usize = 200;

/// In force only as long as what `begin` returns lives: the start, the end, and commands that tell
/// what they were asked for say all.
#[derive(Clone, Default)]
pub(in crate::cli) struct Limit(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Held while something is told, so that the end does not come amid it.
    telling: Mutex<()>,
}

#[derive(Default)]
struct State {
    in_force: bool,
    kinds: Kinds,
    /// There is a thread that tells what is left out; it stays as long as anything is.
    has_teller: bool,
}

pub(in crate::cli) struct InForce<'a>(&'a Limit);

impl Limit {
    pub(in crate::cli) fn begin(&self) -> InForce<'_> {
        self.state().in_force = true;
        InForce(self)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn passes(&self, event: &Event<'_>) -> bool {
        let mut state = self.state();
        let (kind, now) = (kind(event), Instant::now());
        if !state.in_force || state.kinds.pass(kind, now) {
            return true;
        }
        if !state.has_teller {
            let limit = self.clone();
            let thread = std::thread::Builder::new().name("log".to_owned());
            state.has_teller = thread.spawn(move || limit.tell_in_time()).is_ok();
        }
        // What nobody would tell of is not left out.
        if state.has_teller {
            let level = *event.metadata().level();
            state.kinds.leave_out(kind, level, || like(event));
        }
        !state.has_teller
    }

    fn tell_in_time(&self) {
        loop {
            self.tell(|state| state.kinds.over(Instant::now()));
            let mut state = self.state();
            let Some(next) = state.kinds.next() else {
                state.has_teller = false;
                return;
            };
            drop(state);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }

    fn tell(&self, take: impl FnOnce(&mut State) -> Vec<LeftOut>) {
        let telling = &self.0.telling;
        let _telling = telling.lock().unwrap_or_else(PoisonError::into_inner);
        let told = take(&mut self.state());
        told.iter().for_each(tell);
    }
}

impl Drop for InForce<'_> {
    fn drop(&mut self) {
        self.0.tell(|state| {
            state.in_force = false;
            state.kinds.take()
        });
    }
}

impl<S: Subscriber> Layer<S> for Limit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        // Who asks for finer levels looks for something; and what is told here is of a few lines.
        let exempt = level > Level::INFO || target == LAST_RESORT || target == module_path!();
        exempt || self.passes(event)
    }
}

/// The place that logs it: of lines by the crate `log` too, which all come through one place.
fn kind(event: &Event<'_>) -> u64 {
    let normalized = event.normalized_metadata();
    let place = normalized.as_ref().unwrap_or_else(|| event.metadata());
    FixedState::default().hash_one((place.target(), place.file(), place.line()))
}

fn like(event: &Event<'_>) -> String {
    struct Message(String);
    impl Visit for Message {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if field.name() == "message" {
                let _always_written = write!(self.0, "{value:?}").is_ok();
            }
        }
    }
    let mut message = Message(String::new());
    event.record(&mut message);
    let line = message.0.lines().next().unwrap_or_default();
    let end = line.floor_char_boundary(LIKE);
    line.get(..end).unwrap_or_default().to_owned()
}

fn tell(left_out: &LeftOut) {
    let LeftOut {
        level,
        since,
        count,
        like,
    } = left_out;
    let seconds = since.elapsed().as_secs_f32().round().max(1.0);
    let text = format!("{count} more lines like this in {seconds} s: {like}");
    match *level {
        Level::ERROR => tracing::error!(left_out = count, "{text}"),
        Level::WARN => tracing::warn!(left_out = count, "{text}"),
        _ => tracing::info!(left_out = count, "{text}"),
    }
}

#[cfg(test)]
mod tests {
    use tracing::subscriber::with_default;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// What is logged, without the time.
    fn said(log: impl FnOnce(&Limit)) -> Vec<String> {
        let (file, limit) = (tempfile::NamedTempFile::new().unwrap(), Limit::default());
        let format = tracing_subscriber::fmt()
            .without_time()
            .with_ansi(false)
            .with_target(false)
            .with_max_level(Level::DEBUG)
            .with_writer(file.reopen().unwrap());
        with_default(format.finish().with(limit.clone()), || log(&limit));
        let text = std::fs::read_to_string(&file).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn of_a_kind_the_first_are_told_and_how_many_more_there_were() {
        let lines = said(|limit| {
            let in_force = limit.begin();
            for number in 1..=1000 {
                tracing::warn!(number, "the disk is slow\nvery");
                if number % 100 == 0 {
                    tracing::error!("another: {number}");
                }
            }
            drop(in_force);
            tracing::info!("stopped");
        });
        assert_eq!(
            lines
                .iter()
                .filter(|line| line.contains("very number="))
                .count(),
            20
        );
        assert!(
            lines.iter().any(|line| line.ends_with("number=20")),
            "{lines:#?}"
        );
        assert_eq!(
            lines
                .iter()
                .filter(|line| line.contains("another: "))
                .count(),
            10
        );
        let last = lines.get(lines.len() - 2..).unwrap();
        let told = "WARN 980 more lines like this in 1 s: the disk is slow left_out=980";
        assert_eq!(last, [told, "INFO stopped"]);
    }

    #[test]
    fn nothing_is_left_out_before_and_after_nor_of_what_is_told_nowhere_else() {
        let (times, log) = (50, || {
            for _ in 0..50 {
                tracing::info!("a start, or an end");
            }
        });
        let lines = said(|limit| {
            log();
            let in_force = limit.begin();
            for _ in 0..times {
                tracing::error!(target: LAST_RESORT, "a dead letter");
                tracing::debug!("looked for");
            }
            drop(in_force);
            log();
        });
        assert_eq!(lines.len(), 4 * times);
    }

    #[test]
    fn lines_of_the_crate_log_are_of_the_place_that_logs_them() {
        let kinds = Arc::new(Mutex::new(std::collections::BTreeSet::new()));
        struct Seen(Arc<Mutex<std::collections::BTreeSet<u64>>>);
        impl<S: Subscriber> Layer<S> for Seen {
            fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
                self.0.lock().unwrap().insert(kind(event));
            }
        }
        let seen = Seen(Arc::clone(&kinds));
        with_default(tracing_subscriber::registry().with(seen), || {
            for line in [7, 8, 7, 8] {
                let record = log::Record::builder();
                let mut record = record;
                record
                    .level(log::Level::Warn)
                    .file(Some("a.rs"))
                    .line(Some(line));
                let record = record.args(format_args!("one")).build();
                tracing_log::format_trace(&record).unwrap();
            }
        });
        assert_eq!(kinds.lock().unwrap().len(), 2);
    }
}
