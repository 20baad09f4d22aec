//! Where events come from: the kernel's probes. (A replay's events come from `trace`.)

pub mod btf;
pub mod decode;
pub mod ebpf;
pub mod join;
pub mod live;
pub mod owner;
pub mod privilege;
pub mod process;
pub mod procfs;

/// Which column of the attach table to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Attach {
    /// The best mechanism that this build has.
    #[default]
    Auto,
    Fentry,
    Kprobe,
    Tracepoint,
}

/// How accepts are seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum AcceptVia {
    /// At the end of the handshake, attributed to the listener's owner: no syscall is slowed.
    #[default]
    Listener,
    /// At the exit of accept and accept4, attributed to the accepting process: every syscall of
    /// the node takes the slow path.
    Syscall,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    pub attach: Attach,
    pub accept_via: AcceptVia,
    /// The probes' own diagnostics.
    pub probe_log: bool,
}

/// Watched ports of the serving end, 65,536 bits for each kind of event.
#[derive(Debug, Clone, Copy)]
pub struct Ports<'a> {
    pub connect: &'a [u64; 1024],
    pub accept: &'a [u64; 1024],
    pub listen: &'a [u64; 1024],
}
