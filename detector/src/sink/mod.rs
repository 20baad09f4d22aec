//! Where alerts go, and what they look like there.
//!
//! A run has any number of sinks, each with its own filter and encoding. What a local one writes
//! (stdout, a file) is handed to a thread of its own through a bounded queue; what goes over a
//! network is kept in the spool until the peer has it.

mod delivery;
mod file;
pub mod filter;
pub mod format;
pub mod kept;
mod local;
mod peer;
pub mod places;
mod plan;
mod queue;
mod remote;
pub mod settings;
mod sinks;
pub mod spool;
mod stream;

pub use delivery::{Snapshot, Stats};
pub use format::{Format, Include, Style};
pub use plan::{Mistake, Plan, PlanError};
pub use sinks::{Sinks, SinksError};
pub use stream::Stream;

use crate::{alert::Alert, metrics};

/// The target of what the log tells because nothing else could be written: no line of it may be left
/// out.
pub const LAST_RESORT: &str = "last_resort";

/// Takes the alerts of one run in their order.
pub trait Sink: Sized {
    fn write(&mut self, alert: &Alert<'_>) -> Result<(), SinkError>;

    /// What was written so far is told, or kept to be told, whatever becomes of this process.
    fn flush(&mut self) -> Result<(), SinkError>;

    /// What happened to alerts on their way since it was told; `last`: what is not told now never is.
    fn news(&mut self, _last: bool) -> Vec<News> {
        Vec::new()
    }

    /// What became of the alerts so far.
    fn status(&self) -> metrics::Sinks {
        metrics::Sinks::default()
    }

    /// Files that somebody renamed are opened anew.
    fn reopen(&mut self) {}

    /// The run is over.
    fn finish(mut self) -> Result<(), SinkError> {
        self.flush()
    }
}

/// Why a sink of this machine does not get alerts: nobody reads it any more.
pub const READER_GONE: &str = "reader_gone";

/// What happened to alerts on their way, and is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A sink will not get these.
    Dropped {
        sink: String,
        /// `queue_full`, `spool_full`, `too_old`, `too_long` (more than 1 MiB), `spool_damaged`,
        /// `not_written` (in memory only, when an earlier run ended) or `sink_removed`.
        cause: &'static str,
        count: u64,
    },
    /// A sink refused these for good: they are dead letters.
    Refused {
        sink: String,
        count: u64,
        /// An alert is to tell of so many, some of them counted earlier. Never of the detector's own:
        /// the sink might refuse that alert too, and so on for ever.
        tell: u64,
    },
    /// Whoever read a sink of this machine has gone, and these with it.
    Unread {
        sink: String,
        count: u64,
        /// Each is the detector's own: none tells of them, as above.
        own: bool,
    },
    /// A sink does not take alerts; they are kept for it.
    Fails {
        sink: String,
        why: String,
    },
    /// It takes them again.
    Works {
        sink: String,
    },
    /// The spool cannot be written: alerts are kept in memory meanwhile.
    DiskFails(String),
    DiskWorks,
    /// Somebody removed or replaced files of the spool: they are made anew from what is open.
    Mended {
        folder: String,
        count: u64,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    #[error("cannot write an alert to {place}")]
    Write {
        place: String,
        #[source]
        source: std::io::Error,
    },
}
