//! Connects that no rule in force can match because of who makes them: they are counted, and cost
//! no record.

use aya_ebpf::helpers::generated::bpf_get_current_comm;
use detector_ebpf::{COMM_LEN, PORT_WORDS, PROGRAM_SLOTS, offset};

use crate::{
    maps::{LET_OFF_COUNTS, LET_OFF_NAMES, LET_OFF_PORTS},
    read,
    task::current,
};

/// Whether the rules let off the current thread's connects to the port, by its name; counts it
/// for the program of `slot`.
#[inline(always)]
pub(crate) fn is_let_off(port: u16, slot: u32) -> bool {
    let name = name();
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

/// Of the current thread, with zeroes at its end.
#[inline(always)]
fn name() -> [u64; COMM_LEN / 8] {
    if read::is_typed() {
        // So it is in the kernels that give types (`strscpy_pad` in `__set_task_comm`, since 5.17).
        return read::known(current(), offset::TASK_COMM);
    }
    let mut name = [0u64; COMM_LEN / 8];
    unsafe { bpf_get_current_comm((&raw mut name).cast(), COMM_LEN as u32) };
    name
}
