//! Connects that no rule in force can match because of who makes them: they are counted, and cost
//! no record.

use aya_ebpf::helpers::generated::bpf_get_current_comm;
use detector_ebpf::{COMM_LEN, PORT_WORDS, PROGRAM_SLOTS};

use crate::maps::{LET_OFF_COUNTS, LET_OFF_NAMES, LET_OFF_PORTS};

/// Whether the rules let off the current thread's connects to the port, by its name; counts it
/// for the program of `slot`.
#[inline(always)]
pub(crate) fn is_let_off(port: u16, slot: u32) -> bool {
    let mut name = [0u64; COMM_LEN / 8];
    // Fills it up with zeroes.
    unsafe { bpf_get_current_comm((&raw mut name).cast(), COMM_LEN as u32) };
    let Some(entry) = (unsafe { LET_OFF_NAMES.get(name) }).copied() else {
        return false;
    };
    let bits = LET_OFF_PORTS.get(entry.row * PORT_WORDS + (port as u32 >> 6));
    if !bits.is_some_and(|bits| (bits >> (port & 63)) & 1 == 1) {
        return false;
    }
    if let Some(count) = LET_OFF_COUNTS.get_ptr_mut(entry.name * PROGRAM_SLOTS + slot) {
        unsafe { *count += 1 };
    }
    true
}
