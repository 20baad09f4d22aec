//! Who made the socket of a record: what the probe compared, and who is still to be looked for.

use std::time::{Duration, Instant};

use detector_ebpf as wire;

use super::{
    owner::Owner,
    procfs,
    reader::{DecodeError, Reader},
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

/// Who made a listener, for a process that accepts there: by what its owner's listen said.
pub(super) fn seen_by(user: &Process, listener: &Owner) -> Option<Creator> {
    let made = listener.creator.as_ref()?;
    let owner = &listener.process;
    let maker = match &made.who {
        Who::Own => Maker {
            pid: owner.pid,
            start_time_ns: owner.start_time_ns,
            comm: owner.comm.clone(),
            path: owner.exe.path.clone(),
        },
        Who::Ancestor(index) => {
            let ancestor = owner.ancestors.get(usize::from(*index))?;
            let (pid, start_time_ns) = (ancestor.pid, ancestor.start_time_ns);
            let (_, path) = procfs::name(pid, start_time_ns).unwrap_or_default();
            Maker {
                pid,
                start_time_ns,
                comm: ancestor.comm.clone(),
                path,
            }
        }
        Who::Other(maker) => Maker::clone(maker),
        Who::Gone | Who::Unknown => return Some(made.clone()),
    };
    let is = |pid, start_time_ns| (pid, start_time_ns) == (maker.pid, maker.start_time_ns);
    let mut ancestors = user.ancestors.iter();
    let place = ancestors.position(|one| is(one.pid, one.start_time_ns));
    let who = if is(user.pid, user.start_time_ns) {
        Who::Own
    } else if let Some(place) = place.and_then(|place| u8::try_from(place).ok()) {
        Who::Ancestor(place)
    } else {
        Who::Other(Box::new(maker))
    };
    Some(Creator { who, ..*made })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::{Ancestor, Thread};

    fn process(pid: u32, ancestors: &[u32]) -> Process {
        let ancestor = |pid: &u32| Ancestor {
            pid: *pid,
            start_time_ns: u64::from(*pid),
            ..Ancestor::default()
        };
        Process {
            pid,
            start_time_ns: pid.into(),
            ancestors: ancestors.iter().map(ancestor).collect(),
            ..Process::default()
        }
    }

    fn record(relation: u32) -> Record {
        let wanted = Wanted { sock: 1, cred: 2 };
        Record {
            wanted,
            relation,
            uid: 3,
        }
    }

    #[test]
    fn what_the_probe_compared_is_told_and_the_rest_is_looked_for() {
        let process = process(9, &[4, 1]);
        let wanted = Some(Wanted { sock: 1, cred: 2 });
        for (relation, expected) in [
            (wire::CREATOR_OWN, (Who::Own, None)),
            (wire::CREATOR_ANCESTOR + 1, (Who::Ancestor(1), None)),
            (wire::CREATOR_ANCESTOR + 2, (Who::Unknown, None)),
            (u32::MAX, (Who::Unknown, None)),
            (wire::CREATOR_OTHER, (Who::Unknown, wanted)),
        ] {
            let (who, wanted) = expected;
            let creator = Some(Creator { uid: 3, who });
            assert_eq!(record(relation).of(&process), (creator, wanted));
        }
        assert_eq!(record(wire::CREATOR_UNKNOWN).of(&process), (None, None));
    }

    #[test]
    fn the_creator_of_a_listener_is_told_for_whoever_accepts() {
        let made = |who| Owner {
            thread: Thread::default(),
            process: Arc::new(process(9, &[4, 1])),
            creator: Some(Creator { uid: 3, who }),
        };
        let seen = |user: &Process, who| seen_by(user, &made(who)).unwrap().who;
        assert_eq!(seen(&process(9, &[4, 1]), Who::Own), Who::Own);
        assert_eq!(seen(&process(12, &[9, 4, 1]), Who::Own), Who::Ancestor(0));
        assert_eq!(
            seen(&process(12, &[9, 4, 1]), Who::Ancestor(0)),
            Who::Ancestor(1)
        );
        assert_eq!(seen(&process(4, &[1]), Who::Ancestor(0)), Who::Own);
        let Who::Other(maker) = seen(&process(12, &[1]), Who::Own) else {
            panic!("it is no ancestor");
        };
        assert_eq!((maker.pid, maker.start_time_ns), (9, 9));
        assert_eq!(seen(&process(12, &[9]), Who::Gone), Who::Gone);
    }

    #[test]
    fn searches_are_bounded_and_begin_anew_after_a_second() {
        let (mut budget, begun) = (Budget::default(), Instant::now());
        for _ in 0..MAX_SEARCHES {
            assert!(budget.allows(begun));
        }
        assert!(!budget.allows(begun + SECOND / 2));
        assert!(budget.allows(begun + SECOND));
    }
}
