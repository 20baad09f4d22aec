//! A sink of this machine: stdout, or a file, written by a thread of its own.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use super::{
    News, SinkError, SinksError,
    file::{Rotated, Stdout},
    filter::Filter,
    format::Encoder,
    queue::Queue,
    settings::{FileSettings, StdoutSettings},
};
use crate::alert::{Alert, INTERNAL};

/// Where its lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    Stdout(StdoutSettings),
    File(FileSettings),
}

pub(super) struct Local {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) filter: Filter,
    pub(super) encoder: Encoder,
}

/// One that is written.
pub(super) struct Written {
    pub(super) local: Local,
    pub(super) queue: Queue,
    /// Set when the file is to be opened anew.
    reopen: Arc<AtomicBool>,
    /// Alerts of the detector's own that nobody read.
    own_unread: u64,
}

impl Written {
    /// `ending`: once it is set, nobody waits for the sink.
    pub(super) fn start(local: Local, ending: &Arc<AtomicBool>) -> Result<Self, SinksError> {
        let (name, reopen) = (&local.name, Arc::new(AtomicBool::new(false)));
        let queue = match &local.place {
            Place::Stdout(stdout) => Queue::start(name, stdout.when_full, ending, Stdout),
            Place::File(file) => {
                let out = Rotated::new(file, Arc::clone(&reopen));
                let out = out.map_err(|source| SinksError::File {
                    sink: name.clone(),
                    path: file.path.clone(),
                    source,
                })?;
                Queue::start(name, file.when_full, ending, out)
            }
        };
        Ok(Self {
            queue: queue.map_err(SinksError::Thread)?,
            local,
            reopen,
            own_unread: 0,
        })
    }

    /// Whether it may be written as the other is to be.
    pub(super) fn is_for(&self, other: &Local) -> bool {
        self.local.name == other.name && self.local.place == other.place
    }

    /// Other alerts, or in another encoding, from now on.
    pub(super) fn turn(self, local: Local) -> Self {
        Self { local, ..self }
    }

    /// `line` is overwritten.
    pub(super) fn write(&mut self, alert: &Alert<'_>, line: &mut Vec<u8>) -> Result<(), SinkError> {
        let local = &mut self.local;
        if !local.filter.passes(alert.priority, alert.rule, alert.tags) {
            return Ok(());
        }
        line.clear();
        local.encoder.line(alert, line);
        let pushed = self.queue.push(line);
        self.own_unread += u64::from(pushed.is_err() && alert.source == INTERNAL);
        pushed.map_err(|source| self.failed(source))
    }

    /// What nobody read since this was told.
    pub(super) fn unread(&mut self) -> Option<News> {
        let (count, own) = (self.queue.unread(), std::mem::take(&mut self.own_unread));
        (count > 0).then(|| News::Unread {
            sink: self.local.name.clone(),
            count,
            own: own >= count,
        })
    }

    pub(super) fn flush(&self) -> Result<(), SinkError> {
        self.queue.flush().map_err(|source| self.failed(source))
    }

    pub(super) fn reopen(&self) {
        self.reopen.store(true, Relaxed);
    }

    fn failed(&self, source: std::io::Error) -> SinkError {
        SinkError::Write {
            place: self.local.name.clone(),
            source,
        }
    }
}
