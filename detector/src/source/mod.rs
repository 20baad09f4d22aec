//! Where events come from: the kernel's probes. (A replay's events come from `trace`.)

pub mod accepts;
pub mod beat;
pub mod btf;
pub mod canary;
pub mod creator;
pub mod decode;
pub mod ebpf;
pub mod inventory;
pub mod join;
pub mod live;
pub mod owner;
pub mod privilege;
pub mod process;
pub mod procfs;
pub mod reader;

use std::{fmt, path::PathBuf};

/// How the probes of connects and accepts are attached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Attach {
    /// For each subject the first of the others that this kernel has.
    #[default]
    Auto,
    /// At the exit of the kernel's functions, through a BPF trampoline.
    Fentry,
    /// The same through kretprobes; needs tracefs.
    Kprobe,
    /// At the socket's change of state.
    Tracepoint,
}

impl Attach {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Tracepoint => "tracepoint",
        }
    }
}

/// How accepts are seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum AcceptVia {
    /// In the accepting process where the kernel's function can be probed (see --attach); else, and
    /// if no process accepts within 100 ms, as `listener`.
    #[default]
    Auto,
    /// At the end of the handshake, attributed to the listener's owner, whether somebody accepts
    /// or not.
    Listener,
    /// At the exit of accept and accept4, attributed to the accepting process, else as `auto`: every
    /// syscall of the node takes the slow path.
    Syscall,
}

/// Where the probes are pinned, unless another folder is named.
pub const PINS: &str = "/sys/fs/bpf/kubelet-detector";

#[derive(Debug, Clone, Default)]
pub struct Options {
    pub attach: Attach,
    pub accept_via: AcceptVia,
    /// The probes' own diagnostics.
    pub probe_log: bool,
    /// The folder of a BPF file system in which the probes outlive the process.
    pub pin: Option<PathBuf>,
}

/// Watched ports of the serving end, 65,536 bits for each kind of event.
#[derive(Debug, Clone, Copy)]
pub struct Ports<'a> {
    pub connect: &'a [u64; 1024],
    pub accept: &'a [u64; 1024],
    pub listen: &'a [u64; 1024],
}

/// The probes are not as they should be: what a rule asks for may go unseen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the probes told nothing of the detector's own connection: no {}", .0.join(", no "))]
    Unseen(Vec<&'static str>),
    #[error("the probes were changed from outside: {}; restart the detector", .0.join("; "))]
    Changed(Vec<String>),
    #[error("the detector cannot connect to itself on loopback ({0}): the probes are not proven")]
    NoCanary(String),
}

/// What became of a subject's records: generated = delivered + lost + suppressed, but for those
/// that wait in the ring buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    pub subject: &'static str,
    /// Since the probes were attached, whoever read them.
    pub generated: u64,
    /// To this process.
    pub delivered: u64,
    /// The ring buffer was full.
    pub lost: u64,
    /// Of processes that flood the detector.
    pub suppressed: u64,
}

/// What a subject's probes are attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// `connect`, `outcome`, `accept` or `listen`.
    pub subject: &'static str,
    pub mechanism: Attach,
    pub place: &'static str,
    /// Why it is none of the mechanisms that come first.
    pub refused: Vec<String>,
}

impl fmt::Display for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.place)?;
        if !self.refused.is_empty() {
            write!(f, " ({})", self.refused.join("; "))?;
        }
        Ok(())
    }
}
