//! Every map of the probes.

use aya_ebpf::{
    macros::map,
    maps::{Array, LruHashMap, PerCpuArray, RingBuf},
};
use detector_ebpf::{COUNTER_SLOTS, Full, PORT_WORDS};

/// Records on their way to user space.
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(4 << 20, 0);

/// 1 while the reader of `EVENTS` sleeps until it is woken.
#[map]
pub(crate) static SLEEPING: Array<u32> = Array::with_max_entries(1, 0);

/// Watched ports: three bitmaps (connect, accept, listen) of 65,536 bits.
#[map]
pub(crate) static PORTS: Array<u64> = Array::with_max_entries(3 * PORT_WORDS, 0);

/// Connects under way: address of the sock to its cookie.
#[map]
pub(crate) static PENDING: LruHashMap<u64, u64> = LruHashMap::with_max_entries(16_384, 0);

/// Generated and lost records for each subject; see `COUNTER_SLOTS`.
#[map]
pub(crate) static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(COUNTER_SLOTS, 0);

/// The next cookie of each CPU.
#[map]
pub(crate) static COOKIES: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Where a record is put together.
#[repr(C)]
pub(crate) struct Scratch {
    /// Bytes of text written so far. Kept in memory on purpose: the verifier forgets what it knew
    /// of a value that it reads from a map, so all ways through a loop look the same to it.
    pub(crate) text_end: u64,
    pub(crate) record: Full,
}

/// Slot 0 for the state tracepoint, 1 for the accept syscalls: these may interrupt one another on
/// one CPU.
#[map]
pub(crate) static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(2, 0);
