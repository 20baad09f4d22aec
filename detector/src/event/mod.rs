//! One observed TCP connect, accept or listen: the same value live and replayed.
//!
//! Built by `source`, completed by `enrich`, written and read by `trace`, judged by `rules`.
//! Nothing here reads a clock, a file or the environment.

mod creator;
mod details;
mod texts;

use std::{net::IpAddr, sync::Arc};

use serde::{Deserialize, Serialize};

pub use creator::{Creator, Maker, Who};
pub use details::{
    Account, Asked, Details, Environment, Files, Image, Leader, Leaders, Once, Part, Relative,
    Status, Stream,
};
pub use texts::{errno_name, line};

/// What the stream carries: an event, or the news that events were lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Event(Event),
    Drop(Loss),
}

/// The cause of a [`Loss`]: the kernel skipped the probe because it interrupted itself on its CPU.
pub const RECURSION: &str = "recursion";
/// The cause of a [`Loss`]: more calls were under way than the kretprobe has instances.
pub const MISSED: &str = "kretprobe_missed";

/// The cause of a [`Loss`]: the process had added its share to a ring buffer that filled up.
pub const SUPPRESSED: &str = "suppressed";
/// `Loss::cause`: events are told without their process, which was told too long before.
pub const FORGOTTEN: &str = "process_forgotten";

/// Events that the kernel could not deliver, counted since the last such item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Nanoseconds since the Unix epoch, when the counters were read.
    pub time_ns: u64,
    /// `connect`, `outcome`, `accept` or `listen`; `inventory`; `process`; `probe` or `record` where it
    /// cannot be told.
    pub subject: String,
    /// `ring_buffer_full`, `suppressed`, `recursion`, `kretprobe_missed`, `malformed`,
    /// `attempt_unknown`, `process_forgotten` or `too_many_found`.
    pub cause: String,
    pub count: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Counter of events from 1, `evt.num`.
    pub number: u64,
    /// Nanoseconds since the Unix epoch.
    pub time_ns: u64,
    pub cpu: u32,
    pub kind: Kind,
    pub socket: Socket,
    /// The outcome: 0 or a positive errno; `None` while it is not known (a connect attempt).
    pub errno: Option<i32>,
    pub attribution: Attribution,
    /// The acting thread; for a listener's owner the thread that called listen.
    pub thread: Thread,
    /// The socket was open before the probes were attached: found, not seen; the process has it
    /// open, and the time is that of the look. A trace has a record of its own for it.
    #[serde(skip)]
    pub found: bool,
    /// Its distance from the events before it: follows from the stream, and is not written.
    #[serde(skip)]
    pub elapsed: Elapsed,
    /// Of the two ends, as far as rules ask for them; a trace writes them beside the event.
    #[serde(skip)]
    pub names: Option<Box<Names>>,
    /// The destination that the client of an accept named, before a filter redirected it, if rules ask for
    /// it and the kernel tracks the connection; a trace writes it beside the event.
    #[serde(skip)]
    pub original: Option<Endpoint>,
    /// Who made the socket, of an accept its listener; a trace writes it beside the event. `None` of a
    /// socket of the kernel's own, and where it was not seen.
    #[serde(skip)]
    pub creator: Option<Creator>,
    /// A trace writes each process once and refers to it.
    #[serde(skip)]
    pub process: Arc<Process>,
}

#[cfg(test)]
impl Event {
    /// Of nobody in particular: a test says what it is about.
    pub(crate) fn example(kind: Kind, server: Endpoint) -> Self {
        Self {
            number: 0,
            time_ns: 0,
            cpu: 0,
            kind,
            socket: Socket {
                cookie: 1,
                family: Family::Ipv4,
                mapped: false,
                client: None,
                server,
                netns: 1,
            },
            errno: None,
            attribution: Attribution::Caller,
            thread: Thread::default(),
            found: false,
            elapsed: Elapsed::default(),
            names: None,
            original: None,
            creator: None,
            process: Arc::default(),
        }
    }
}

/// Nanoseconds since the first event of the stream, and since the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Elapsed {
    pub since_first_ns: u64,
    pub since_previous_ns: u64,
}

/// Names of hosts that conditions ask for and that the host's own file gives to the address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    pub client: Vec<String>,
    pub server: Vec<String>,
}

/// Numbers the events of one stream, the same live and replayed.
#[derive(Debug, Default)]
pub struct Counter {
    count: u64,
    first_ns: u64,
    previous_ns: u64,
}

impl Counter {
    pub fn number(&mut self, event: &mut Event) {
        if self.count == 0 {
            self.first_ns = event.time_ns;
            self.previous_ns = event.time_ns;
        }
        self.count += 1;
        event.number = self.count;
        // An attempt that waited for its port comes after younger events.
        event.elapsed = Elapsed {
            since_first_ns: event.time_ns.saturating_sub(self.first_ns),
            since_previous_ns: event.time_ns.saturating_sub(self.previous_ns),
        };
        self.previous_ns = event.time_ns;
    }

    pub fn count(&self) -> u64 {
        self.count
    }

    /// Of the last event.
    pub fn time_ns(&self) -> u64 {
        self.previous_ns
    }
}

/// A connect appears twice: when it is attempted, and when its outcome is known (same cookie).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    ConnectAttempt,
    ConnectOutcome,
    Accept,
    Listen,
}

/// Whose process the event names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribution {
    /// The process that made the call.
    Caller,
    /// The process that listens: the kernel completed the handshake in softirq context.
    ListenerOwner,
    /// Nobody is known; the process is empty.
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    Ipv4,
    Ipv6,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    pub ip: IpAddr,
    /// 0 when not known (the source port of an attempt that never got an answer).
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// Joins an attempt with its outcome, and an accept with a later one of the same connection; unique
    /// for one run of the probes.
    pub cookie: u64,
    /// Of the addresses after normalisation: an IPv4-mapped connection is IPv4.
    pub family: Family,
    /// The socket itself is IPv6 and its addresses were IPv4-mapped.
    pub mapped: bool,
    /// The connecting end; `None` for a listener.
    pub client: Option<Endpoint>,
    /// The end that serves: remote on connect, local on accept and listen.
    pub server: Endpoint,
    /// Inode of the network namespace.
    pub netns: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    pub tid: u32,
    /// At most 15 bytes, chosen by the process: display only, never identity.
    pub comm: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Process {
    /// Thread group id in the initial pid namespace.
    pub pid: u32,
    /// The same inside the process's own pid namespace.
    pub vpid: u32,
    /// Nanoseconds since boot.
    pub start_time_ns: u64,
    /// The group leader's name.
    pub comm: String,
    pub exe: Executable,
    /// argv, argv[0] first.
    pub args: Vec<String>,
    pub cwd: String,
    pub cgroup: String,
    pub uid: u32,
    pub gid: u32,
    pub euid: u32,
    /// `None` when unset.
    pub login_uid: Option<u32>,
    pub user_name: Option<String>,
    pub group_name: Option<String>,
    pub login_name: Option<String>,
    pub session: u32,
    pub process_group: u32,
    /// Device number as Falco's `proc.tty`; 0 for none.
    pub tty: u32,
    /// Effective capabilities, one bit each.
    pub capabilities: u64,
    pub namespaces: Namespaces,
    /// Full container id from the cgroup path; `None` on the host.
    pub container_id: Option<String>,
    /// Parent first, at most 8.
    pub ancestors: Vec<Ancestor>,
    pub truncated: Truncated,
    /// What rules ask for beyond the snapshot; a trace writes it beside the process.
    #[serde(skip)]
    pub details: Option<Box<Details>>,
    #[serde(skip)]
    pub texts: Texts,
}

/// What fields print of a process, put together once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Texts {
    pub arguments: Once,
    pub command_line: Once,
    pub executable_line: Once,
    pub cwd: Once,
    pub capabilities: Once,
    pub pod_uid: Once,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Executable {
    pub path: String,
    /// `major << 20 | minor`, as the kernel keeps it.
    pub device: u32,
    pub inode: u64,
    pub memfd: bool,
    pub deleted: bool,
    pub upper_layer: bool,
}

/// Inode of the host's own namespace of process ids (include/linux/proc_ns.h).
pub const HOST_PIDS: u32 = 0xefff_fffc;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Namespaces {
    pub pid: u32,
    pub mnt: u32,
    pub net: u32,
    pub user: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ancestor {
    pub pid: u32,
    pub start_time_ns: u64,
    pub comm: String,
    /// File name of the executable, without its folder; empty for a kernel thread.
    pub exe_name: String,
}

/// Parts of the record that did not fit, or could not be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Truncated {
    pub exe: bool,
    pub args: bool,
    pub cwd: bool,
    pub cgroup: bool,
    pub ancestors: bool,
}
