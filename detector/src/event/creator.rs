//! Who made a socket: often not the process that uses it. It may be inherited, sent over a UNIX
//! socket, or taken out of another process (`pidfd_getfd`).

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Creator {
    /// The user that it ran as.
    pub uid: u32,
    pub who: Who,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// The process that the event names.
    Own,
    /// Its ancestor at this place, the parent being 0.
    Ancestor(u8),
    /// Another one, that ran when it was looked for.
    Other(Box<Maker>),
    /// None that runs: it has ended, or it was the process itself or another before an exec or a change of
    /// its ids.
    Gone,
    /// None of the process and its ancestors; which one could not be told.
    Unknown,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maker {
    pub pid: u32,
    /// Nanoseconds since boot.
    pub start_time_ns: u64,
    pub comm: String,
    /// Of the executable.
    pub path: String,
}
