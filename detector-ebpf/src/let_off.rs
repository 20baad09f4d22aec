//! Connects that no rule in force can match because of who makes them: they are counted, and cost
//! no record.

use aya_ebpf::helpers::generated::bpf_get_current_comm;
use detector_ebpf::{COMM_LEN, PORT_WORDS, PROGRAM_SLOTS};

use crate::{
    maps::{LET_OFF_COUNTS, LET_OFF_NAMES, LET_OFF_PORTS, LET_OFF_SOCKS, MARKS},
    read,
};

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

/// Socks are aligned: the low bits of a place are free for flags.
const FLAGS: u64 = 7;

/// Where a sock is marked whose outcome is let off too: the one place that its address gives it, at
/// a fraction of what a hash map costs. A place that another sock has is no place.
pub(crate) struct Place {
    held: *mut u64,
    address: u64,
}

impl Place {
    /// The address as a number: the verifier does no arithmetic with a pointer that it knows.
    #[inline(always)]
    pub(crate) fn of(sock: u64) -> Option<Self> {
        let address: u64 = read::read(&raw const sock as u64);
        // Socks are so far apart at least.
        let folded = (address >> 6) ^ (address >> 18);
        let held = LET_OFF_SOCKS.get_ptr_mut(folded as u32 & (MARKS - 1))?;
        Some(Self { held, address })
    }

    /// Marks the sock; false if another is there. Of two that come at the same time one loses its
    /// mark: its outcome counts as unjoined.
    #[inline(always)]
    pub(crate) fn mark(&self, flags: u64) -> bool {
        let held = unsafe { *self.held };
        let free = held == 0 || held & !FLAGS == self.address;
        if free {
            unsafe { *self.held = self.address | flags };
        }
        free
    }

    /// The flags of the sock's mark.
    #[inline(always)]
    pub(crate) fn marked(&self) -> Option<u64> {
        let held = unsafe { *self.held };
        (held & !FLAGS == self.address).then_some(held & FLAGS)
    }

    #[inline(always)]
    pub(crate) fn unmark(&self) {
        if self.marked().is_some() {
            unsafe { *self.held = 0 };
        }
    }
}
