//! The wire ABI between the probes and user space: integers and byte arrays only, `repr(C)`.
//!
//! Every record begins with [`Header`]; its `kind` and length say whether it is a [`Short`], a [`Brief`]
//! or a [`Full`].
//! User space decodes the bytes by these layouts without casting them.
#![no_std]

pub mod offset;

/// Bumped whenever a layout below changes.
pub const ABI_VERSION: u16 = 5;

pub const KIND_CONNECT: u16 = 1;
pub const KIND_OUTCOME: u16 = 2;
pub const KIND_ACCEPT: u16 = 3;
pub const KIND_LISTEN: u16 = 4;
/// Beside the kind: the record is a [`Brief`].
pub const BRIEF: u16 = 1 << 15;

/// Subjects in the order of the `COUNTERS` map: kind minus one.
pub const SUBJECTS: [&str; 4] = ["connect", "outcome", "accept", "listen"];
/// Programs that may interrupt one another on a CPU, and so count apart.
pub const PROGRAM_SLOTS: u32 = 5;
/// The program of the state tracepoint.
pub const SLOT_STATE: u32 = 0;
/// Where a cookie has the slot of the program that made it.
pub const COOKIE_SLOT_SHIFT: u32 = 45;
pub const COOKIE_SLOT_MASK: u64 = 7;
/// Counters of each program: for each subject generated and lost, then outcomes without an attempt,
/// attempts of a process that has added its share, and their outcomes.
pub const COUNTER_SLOTS: u32 = 11;
pub const COUNTER_UNJOINED: u32 = 8;
pub const COUNTER_SUPPRESSED: u32 = 9;

/// Bytes of the ring buffer: about 3,500 attempts of as many processes, or 18,000 of one.
pub const RING_BYTES: u32 = 4 << 20;
/// How long after a [`Full`] record those of the same process may be [`Brief`], and how many other
/// full ones may be between.
pub const BRIEF_NS: u64 = 100_000_000;
pub const BRIEF_SPAN: u64 = 2048;
/// What each process may add to a ring buffer that is half full: 100 attempts a second, and 100 at
/// once.
pub const FAIR_INTERVAL_NS: u64 = 10_000_000;
pub const FAIR_BURST_NS: u64 = 1_000_000_000;

/// One bitmap of 65,536 ports for each direction, in words of 64 bits, one after the other.
pub const PORT_WORDS: u32 = 1024;
pub const PORTS_CONNECT: u32 = 0;
pub const PORTS_ACCEPT: u32 = 1;
pub const PORTS_LISTEN: u32 = 2;

/// Names of threads that rules let off, and sets of ports that they are let off at; the first set is
/// empty.
pub const LET_OFF_NAMES: u32 = 1024;
pub const LET_OFF_SETS: u32 = 16;

/// Words of `TOLD`, which only user space reads.
pub const TOLD_WORDS: usize = 16;

/// Slots of `ELSEWHERE`: subjects that have a program of their own beside the state tracepoint.
pub const ELSEWHERE_CONNECT: u32 = 0;
pub const ELSEWHERE_ACCEPT: u32 = 1;

pub const COMM_LEN: usize = 16;
pub const EXE_NAME_LEN: usize = 32;
pub const ANCESTORS: usize = 8;
/// `NAME_MAX` and its NUL.
pub const NAME_LEN: usize = 256;
pub const ARGS_LEN: usize = 1024;
/// Where path components stop being written, so that one more always fits.
pub const TEXT_LIMIT: usize = 3840;
pub const TEXT_LEN: usize = TEXT_LIMIT + NAME_LEN + ARGS_LEN;

pub const TRUNCATED_EXE: u32 = 1;
pub const TRUNCATED_ARGS: u32 = 1 << 1;
pub const TRUNCATED_CWD: u32 = 1 << 2;
pub const TRUNCATED_CGROUP: u32 = 1 << 3;
pub const TRUNCATED_ANCESTORS: u32 = 1 << 4;

/// Value of `LET_OFF_NAMES`.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LetOff {
    /// Number of the name, for `LET_OFF_COUNTS`.
    pub name: u32,
    /// Set of `LET_OFF_PORTS`.
    pub row: u32,
}

/// What [`Creator::relation`] says: nothing is known; the process of the record; none that the probe
/// compared with, which user space looks for; and from here on an ancestor, the parent first.
pub const CREATOR_UNKNOWN: u32 = 0;
pub const CREATOR_OWN: u32 = 1;
pub const CREATOR_OTHER: u32 = 2;
pub const CREATOR_ANCESTOR: u32 = 3;

/// Words of `SEARCH`: what user space looks for, the process that was found (0 if none was) and its
/// start, and whether the socket still had these credentials at the end.
pub const SEARCH_SOCK: usize = 0;
pub const SEARCH_CRED: usize = 1;
pub const SEARCH_PID: usize = 2;
pub const SEARCH_START: usize = 3;
pub const SEARCH_HELD: usize = 4;
pub const SEARCH_WORDS: usize = 5;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Header {
    pub abi: u16,
    pub kind: u16,
    /// Bytes of the whole record.
    pub length: u32,
    /// `CLOCK_BOOTTIME`, nanoseconds.
    pub time_ns: u64,
    pub cookie: u64,
    /// Address of the `struct sock`; with the cookie it asks `source_port` for the port.
    pub sock: u64,
    pub cpu: u32,
    pub reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Socket {
    /// `AF_INET` or `AF_INET6`.
    pub family: u16,
    /// Host byte order, as the next.
    pub local_port: u16,
    pub remote_port: u16,
    pub reserved: u16,
    /// 0 or a positive errno: of an outcome, and of an attempt that its system call refused.
    pub errno: i32,
    pub netns: u32,
    /// IPv4 in the first four bytes.
    pub local: [u8; 16],
    pub remote: [u8; 16],
}

/// Outcome, and accept in softirq context: no process to speak of.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Short {
    pub header: Header,
    pub socket: Socket,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Thread {
    pub tid: u32,
    pub reserved: u32,
    pub comm: [u8; COMM_LEN],
}

/// Who made the socket, of an accept the listener: by the `struct cred` that the file of a socket
/// keeps of the process that opened it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Creator {
    /// The address of that sock.
    pub sock: u64,
    /// Of the credentials; 0 of a socket without a file.
    pub cred: u64,
    pub relation: u32,
    pub uid: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Process {
    pub pid: u32,
    pub vpid: u32,
    pub start_time_ns: u64,
    pub comm: [u8; COMM_LEN],
    pub uid: u32,
    pub gid: u32,
    pub euid: u32,
    /// `u32::MAX` when unset.
    pub login_uid: u32,
    pub session: u32,
    pub process_group: u32,
    pub tty_major: u32,
    pub tty_minor: u32,
    pub capabilities: u64,
    pub pid_ns: u32,
    pub mnt_ns: u32,
    pub net_ns: u32,
    pub user_ns: u32,
    pub exe_inode: u64,
    /// Overlayfs: the dentry of the upper layer, 0 if there is none.
    pub exe_upper: u64,
    pub exe_device: u32,
    /// 0 if the name that was executed is gone.
    pub exe_links: u32,
    pub exe_fs_magic: u32,
    pub truncated: u32,
    /// Lengths of the texts, in this order, at the end of the record.
    pub exe_len: u16,
    pub args_len: u16,
    pub cwd_len: u16,
    pub cgroup_len: u16,
    pub ancestors: [Ancestor; ANCESTORS],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Ancestor {
    /// 0 ends the list.
    pub pid: u32,
    pub reserved: u32,
    pub start_time_ns: u64,
    pub comm: [u8; COMM_LEN],
    pub exe_name: [u8; EXE_NAME_LEN],
}

/// Connect, listen, and accept in the accepting process: with the process and its texts. Paths are
/// NUL-terminated components, leaf first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Full {
    pub header: Header,
    pub socket: Socket,
    pub creator: Creator,
    pub thread: Thread,
    pub process: Process,
    pub text: [u8; TEXT_LEN],
}

/// As [`Full`], of a process that has not changed since it was told, less than `BRIEF_NS` before.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Brief {
    pub header: Header,
    pub socket: Socket,
    pub creator: Creator,
    pub thread: Thread,
    /// The cookie of the full record that has the process.
    pub told: u64,
}

/// Bytes of a full record before its texts.
pub const FULL_FIXED: usize = size_of::<Full>() - TEXT_LEN;

const _: () = assert!(size_of::<Header>() == 40);
const _: () = assert!(size_of::<Socket>() == 48);
const _: () = assert!(size_of::<Short>() == 88);
const _: () = assert!(size_of::<Brief>() == 144);
const _: () = assert!(size_of::<Creator>() == 24);
const _: () = assert!(size_of::<Thread>() == 24);
const _: () = assert!(size_of::<Ancestor>() == 64);
const _: () = assert!(size_of::<Process>() == 128 + 64 * ANCESTORS);
const _: () = assert!(core::mem::offset_of!(Full, text) == FULL_FIXED);
// Records of all sizes are put together in one place.
const _: () = assert!(core::mem::offset_of!(Full, process) == core::mem::offset_of!(Brief, told));
