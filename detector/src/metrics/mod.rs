//! What the detector has done, at one moment: made by the pipeline about once a second, shown over
//! HTTP and over a Unix socket. Values only; who counts what is the stages' own affair.

mod board;
pub mod catalogue;
pub mod health;
pub mod process;
pub mod prometheus;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{alert::Priority, host::Host};

pub use board::{Board, Posted};

/// One moment of one run. What another version does not know is passed over, and what it lacks is
/// empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    pub build: Build,
    /// The run: every alert has it too.
    pub instance: Uuid,
    pub node: String,
    pub kernel: String,
    /// Unix times, by a clock that never steps.
    pub started_ns: u64,
    pub updated_ns: u64,
    pub events: Vec<Events>,
    pub alerts: Vec<Alerts>,
    pub probes: Probes,
    pub reloads: Reloads,
    pub evaluation: Times,
    pub sinks: Sinks,
    pub process: Process,
}

impl Status {
    /// Of a run that has done nothing yet.
    pub fn of(host: &Host) -> Self {
        Self {
            build: Build::this(),
            instance: host.instance,
            node: host.hostname.clone(),
            kernel: host.kernel.clone(),
            ..Self::default()
        }
    }
}

/// What runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Build {
    pub version: String,
    pub target: String,
    pub rustc: String,
}

impl Build {
    pub fn this() -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            target: env!("DETECTOR_TARGET").to_owned(),
            rustc: env!("DETECTOR_RUSTC").to_owned(),
        }
    }
}

/// Events of one kind that rules judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Events {
    pub kind: String,
    pub count: u64,
}

/// Alerts of one rule, the detector's own included.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts {
    pub rule: String,
    pub priority: Priority,
    pub source: String,
    pub count: u64,
}

/// The probes, and what came of their records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Probes {
    pub subjects: Vec<Subject>,
    /// What is wrong with them now.
    pub faults: Vec<String>,
    pub losses: Vec<Losses>,
    pub let_off: Vec<LetOff>,
    pub ring: Ring,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subject {
    /// `connect`, `outcome`, `accept` or `listen`.
    pub name: String,
    /// What its probes are attached to; empty if nothing is.
    pub mechanism: String,
    pub place: String,
    /// The canary's last connection was seen.
    pub proven: bool,
    /// generated = delivered + lost + suppressed, but for what waits in the ring buffer.
    pub generated: u64,
    pub delivered: u64,
    pub lost: u64,
    pub suppressed: u64,
}

/// Events that alerts told lost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Losses {
    pub subject: String,
    pub cause: String,
    pub count: u64,
}

/// Connects of threads of one name that no rule can match, counted by the probes alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LetOff {
    pub name: String,
    pub connects: u64,
}

/// Bytes of the ring buffer: in use, and in all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ring {
    pub used: u64,
    pub size: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Reloads {
    pub applied: u64,
    pub refused: u64,
}

/// How long something took together, each time that it was measured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Times {
    pub count: u64,
    pub total_ns: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sinks {
    pub each: Vec<Sink>,
    /// None if no sink goes over a network.
    pub spool: Option<Spool>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sink {
    pub name: String,
    /// `stdout`, `http`, `nats` and the like.
    pub kind: String,
    pub delivered: u64,
    /// Kept as dead letters.
    pub refused: u64,
    /// Alerts that were handed over in vain, each time that they were.
    pub retried: u64,
    pub dropped: Vec<Dropped>,
    /// Alerts of the spool from the first that it has not acknowledged on, wanted or not.
    pub behind: u64,
    /// Bytes that wait in memory for it; 0 of those that the spool serves.
    pub queued: u64,
    pub requests: Times,
    /// Why it does not take alerts; none while it does.
    pub failing: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dropped {
    pub cause: String,
    pub count: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spool {
    pub disk_bytes: u64,
    pub memory_bytes: u64,
    /// What `disk_bytes` may be; of a spool in memory, what `memory_bytes` may be.
    pub limit_bytes: u64,
    pub segments: u64,
    /// How long the oldest segment has been there that a sink lacks something of.
    pub oldest_ms: u64,
    /// The disk cannot be written.
    pub failing: bool,
}

/// What the process needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    pub resident_bytes: u64,
    pub cpu_ns: u64,
}
