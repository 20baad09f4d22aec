//! Who made the socket of a record: what the probe compared, and who is still to be looked for.

use std::time::{Duration, Instant};

use detector_ebpf as wire;

use super::{
    decode::{DecodeError, Reader},
    procfs,
};
use crate::event::{Creator, Maker, Process, Who};

/// How many creators are looked for in a second, each among all tasks of the node; of more it is not
/// known who they are.
const MAX_SEARCHES: u32 = 32;
const SECOND: Duration = Duration::from_secs(1);

/// Whose credentials the file of a sock has: both by their addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    pub sock: u64,
    pub cred: u64,
}

/// What a search among all tasks gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The process with this id and start.
    Process { pid: u32, start_time_ns: u64 },
    /// No task has the credentials.
    Nobody,
    /// The socket was closed meanwhile: another's credentials may have their address now.
    Late,
}

/// `wire::Creator`, as it was read.
pub(super) struct Record {
    wanted: Wanted,
    relation: u32,
    uid: u32,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Result<Record, DecodeError> {
    Ok(Record {
        wanted: Wanted {
            sock: reader.u64()?,
            cred: reader.u64()?,
        },
        relation: reader.u32()?,
        uid: reader.u32()?,
    })
}

impl Record {
    /// For a record of this process; and whom to look for.
    pub(super) fn of(self, process: &Process) -> (Option<Creator>, Option<Wanted>) {
        let (who, wanted) = match self.relation {
            wire::CREATOR_UNKNOWN => return (None, None),
            wire::CREATOR_OWN => (Who::Own, None),
            wire::CREATOR_OTHER => (Who::Unknown, Some(self.wanted)),
            relation => {
                let index = u8::try_from(relation - wire::CREATOR_ANCESTOR).ok();
                let known = |index: &u8| usize::from(*index) < process.ancestors.len();
                let who = index.filter(known).map_or(Who::Unknown, Who::Ancestor);
                (who, None)
            }
        };
        let uid = self.uid;
        (Some(Creator { uid, who }), wanted)
    }
}

/// Keeps the number of searches in bounds.
#[derive(Debug, Default)]
pub struct Budget {
    /// When the second began, and what was spent of it.
    begun: Option<Instant>,
    spent: u32,
}

impl Budget {
    /// Whether one more search may be made at this time.
    pub fn allows(&mut self, now: Instant) -> bool {
        if self.begun.is_none_or(|begun| now - begun >= SECOND) {
            *self = Self {
                begun: Some(now),
                spent: 0,
            };
        }
        self.spent = self.spent.saturating_add(1);
        if self.spent == MAX_SEARCHES + 1 {
            tracing::warn!(
                "more sockets of other processes are used than their creators can be looked for: of \
                 some, flow.creator.relation is unknown"
            );
        }
        self.spent <= MAX_SEARCHES
    }
}

/// Of a process that uses a socket, by what the search for the creator found.
pub fn name(found: Found, user: &Process) -> Who {
    match found {
        Found::Late => Who::Unknown,
        Found::Nobody => Who::Gone,
        // Another thread of it, with credentials of its own.
        Found::Process { pid, start_time_ns }
            if (pid, start_time_ns) == (user.pid, user.start_time_ns) =>
        {
            Who::Own
        }
        Found::Process { pid, start_time_ns } => {
            let (comm, path) = procfs::name(pid, start_time_ns).unwrap_or_default();
            Who::Other(Box::new(Maker {
                pid,
                start_time_ns,
                comm,
                path,
            }))
        }
    }
}
