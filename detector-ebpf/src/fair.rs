//! No process takes the ring buffer from the others: once it is half full, each may add only so many
//! attempts a second.

use aya_ebpf::helpers::generated::{
    bpf_get_current_pid_tgid, bpf_ktime_get_boot_ns, bpf_ringbuf_query,
};
use detector_ebpf::{FAIR_BURST_NS, FAIR_INTERVAL_NS, RING_BYTES};

use crate::maps::{BUDGETS, EVENTS};

/// include/uapi/linux/bpf.h
const BPF_RB_AVAIL_DATA: u64 = 0;

/// Bytes that the reader has not released.
#[inline(always)]
fn waiting() -> u64 {
    unsafe { bpf_ringbuf_query((&raw const EVENTS).cast_mut().cast(), BPF_RB_AVAIL_DATA) }
}

/// Whether the room that is left is for connects and listens: whoever can reach a port from outside
/// can fill the rest with accepts, and no process is to be blamed for them.
#[inline(always)]
pub(crate) fn is_closed_to_accepts() -> bool {
    waiting() > RING_BYTES as u64 / 4 * 3
}

/// Whether the current process has added its share. Its budget is the time up to which it is used:
/// a token bucket in one number. Threads that change it at the same time may gain a token.
#[inline(always)]
pub(crate) fn is_over_budget() -> bool {
    if waiting() < RING_BYTES as u64 / 2 {
        return false;
    }
    let process = (unsafe { bpf_get_current_pid_tgid() } >> 32) as u32;
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let used = (unsafe { BUDGETS.get(process) }).copied().unwrap_or(0);
    if used > now + FAIR_BURST_NS {
        return true;
    }
    let from = if used > now { used } else { now };
    let _ = BUDGETS.insert(process, from + FAIR_INTERVAL_NS, 0);
    false
}
