//! Every map of the probes, and how a number in one is changed by several at a time.

use core::arch::asm;

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use detector_ebpf::{
    COMM_LEN, COUNTER_SLOTS, Full, LET_OFF_SETS, LetOff, PORT_WORDS, PROGRAM_SLOTS, RING_BYTES,
    SEARCH_WORDS, TOLD_WORDS,
};

use crate::{
    brief::{Sent, Witness},
    connect::Call,
    pending::Place,
    record::Notice,
};

/// Records on their way to user space.
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(RING_BYTES, 0);

/// 1 while the reader of `EVENTS` sleeps until it is woken.
#[map]
pub(crate) static SLEEPING: Array<u32> = Array::with_max_entries(1, 0);

/// Watched ports: three bitmaps (connect, accept, listen) of 65,536 bits.
#[map]
pub(crate) static PORTS: Array<u64> = Array::with_max_entries(3 * PORT_WORDS, 0);

/// 1 for a subject that another program tells of: of a connect the state tracepoint need not then, of
/// an accept it tells that the handshake has ended. See `ELSEWHERE_CONNECT`. Set before the tracepoint
/// is attached, never after.
#[map]
pub(crate) static ELSEWHERE: Array<u32> = Array::with_max_entries(2, 0);

/// Connects under way, as `pending` has them. A power of two.
pub(crate) const PLACES: u32 = 4096;

#[map]
pub(crate) static PLACED: Array<Place> = Array::with_max_entries(PLACES, 0);

/// Those that have no place there: address of the sock to its cookie, with the flags of `pending`.
#[map]
pub(crate) static PENDING: LruHashMap<u64, u64> = LruHashMap::with_max_entries(16_384, 0);

/// Connections that no process has accepted yet: address of the sock to its cookie, with the flag of
/// `accept`. Only where accepts have a program of their own.
#[map]
pub(crate) static UNACCEPTED: LruHashMap<u64, u64> = LruHashMap::with_max_entries(16_384, 0);

/// Processes that add attempts to a ring buffer that fills up; see `fair`.
#[map]
pub(crate) static BUDGETS: LruHashMap<u32, u64> = LruHashMap::with_max_entries(4096, 0);

/// Threads in a connect function to what they called it with: a return probe has the result only.
#[map]
pub(crate) static CALLS: LruHashMap<u64, Call> = LruHashMap::with_max_entries(4096, 0);

/// Generated, lost and suppressed records for each program and subject; see `COUNTER_SLOTS`.
#[map]
pub(crate) static COUNTERS: PerCpuArray<u64> =
    PerCpuArray::with_max_entries(PROGRAM_SLOTS * COUNTER_SLOTS, 0);

/// The last cookie of each CPU and program, by the slots of `SCRATCH`.
#[map]
pub(crate) static COOKIES: PerCpuArray<u64> = PerCpuArray::with_max_entries(PROGRAM_SLOTS, 0);

/// Names of threads, with zeroes at their end, that rules let off.
#[map]
pub(crate) static LET_OFF_NAMES: HashMap<[u64; COMM_LEN / 8], LetOff> =
    HashMap::with_max_entries(detector_ebpf::LET_OFF_NAMES, 0);

/// Bitmaps of 65,536 ports.
#[map]
pub(crate) static LET_OFF_PORTS: Array<u64> = Array::with_max_entries(LET_OFF_SETS * PORT_WORDS, 0);

/// How often each program let off each name.
#[map]
pub(crate) static LET_OFF_COUNTS: PerCpuArray<u64> =
    PerCpuArray::with_max_entries(detector_ebpf::LET_OFF_NAMES * PROGRAM_SLOTS, 0);

/// Of user space alone: what it told of `EVENTS` and `COUNTERS`, for its successor.
#[map]
pub(crate) static TOLD: Array<[u64; TOLD_WORDS]> = Array::with_max_entries(1, 0);

/// What user space looks for and finds with `find_creator`.
#[map]
pub(crate) static SEARCH: Array<[u64; SEARCH_WORDS]> = Array::with_max_entries(1, 0);

/// Where a record is put together.
#[repr(C)]
pub(crate) struct Scratch {
    /// Bytes of text written so far. Kept in memory on purpose: the verifier forgets what it knew
    /// of a value that it reads from a map, so all ways through a loop look the same to it.
    pub(crate) text_end: u64,
    pub(crate) number: u64,
    pub(crate) notice: Notice,
    pub(crate) witness: Witness,
    pub(crate) record: Full,
}

/// Slots of `SCRATCH`: two programs share one only if they never interrupt each other on one CPU.
/// The kernel keeps a program from interrupting itself.
pub(crate) use detector_ebpf::SLOT_STATE;
/// Kprobes and syscall tracepoints: the kernel runs one of all these at a time (`trace_call_bpf`).
pub(crate) const SLOT_PERF: u32 = 1;
/// Programs at function exits, each preempted by the next.
pub(crate) const SLOT_CONNECT_V4: u32 = 2;
pub(crate) const SLOT_CONNECT_V6: u32 = 3;
pub(crate) const SLOT_ACCEPT: u32 = 4;

#[map]
pub(crate) static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(PROGRAM_SLOTS, 0);

/// Full records of all programs and CPUs.
#[map]
pub(crate) static FULLS: Array<u64> = Array::with_max_entries(1, 0);

/// Of each program, a power of two.
pub(crate) const SENT_PLACES: u32 = 64;

/// Processes that each program told last, by the slots of `SCRATCH`; see `brief`.
#[map]
pub(crate) static SENT: PerCpuArray<Sent> =
    PerCpuArray::with_max_entries(PROGRAM_SLOTS * SENT_PLACES, 0);

#[inline(always)]
pub(crate) fn is_elsewhere(subject: u32) -> bool {
    ELSEWHERE.get(subject).is_some_and(|set| *set != 0)
}

/// In one step. The compiler has none for this machine: the first kernels knew only this one
/// (`BPF_XADD`), which gives no result.
#[inline(always)]
pub(crate) fn add(number: *mut u64, value: i64) {
    unsafe { asm!("lock *(u64 *)({} + 0) += {}", in(reg) number, in(reg) value) };
}
