//! Connects whose outcome is still to come.

use core::ptr::{read_volatile, write_volatile};

use aya_ebpf::EbpfContext;
use aya_log_ebpf::warn;

use crate::maps::{PENDING, PLACED, PLACES, SCRATCH, add};

/// Beside the cookie: the attempt is not told yet, the function's end will.
pub(crate) const UNTOLD: u64 = 1 << 63;
/// Its outcome was told before: the function failed after SYN_SENT.
pub(crate) const ENDED: u64 = 1 << 62;
/// The attempt was suppressed, and its outcome will be.
pub(crate) const SUPPRESSED: u64 = 1 << 61;
/// The attempt was let off, and its outcome will be.
pub(crate) const LET_OFF: u64 = 1 << 60;
pub(crate) const COOKIE: u64 = !(UNTOLD | ENDED | SUPPRESSED | LET_OFF);

#[inline(always)]
pub(crate) fn flag(flag: u64, set: bool) -> u64 {
    if set { flag } else { 0 }
}

/// The one place that the address of a sock gives it, at a fraction of what a hash map costs.
#[repr(C)]
pub(crate) struct Place {
    /// How many have it or try to: who finds 1 after adding itself has it, and is the only one.
    claims: u64,
    /// Who has it, as long as it does.
    sock: u64,
    pending: u64,
}

/// What is remembered of a sock whose outcome is still to come: the attempt's cookie and flags. In
/// its place, or where another sock has that, in a hash map.
pub(crate) struct Entry {
    sock: u64,
    place: *mut Place,
}

impl Entry {
    #[inline(always)]
    pub(crate) fn of(sock: u64, slot: u32) -> Option<Self> {
        Self::of_number(number(sock, slot)?)
    }

    /// Of an address that the verifier takes for a number.
    #[inline(always)]
    pub(crate) fn of_number(sock: u64) -> Option<Self> {
        // Socks are so far apart at least.
        let folded = (sock >> 6) ^ (sock >> 18);
        let place = PLACED.get_ptr_mut(folded as u32 & (PLACES - 1))?;
        Some(Self { sock, place })
    }

    #[inline(always)]
    fn is_placed(&self) -> bool {
        unsafe { read_volatile(&raw const (*self.place).sock) == self.sock }
    }

    #[inline(always)]
    pub(crate) fn pending(&self) -> Option<u64> {
        if self.is_placed() {
            Some(unsafe { (*self.place).pending })
        } else {
            (unsafe { PENDING.get(self.sock) }).copied()
        }
    }

    /// Of an attempt that is not remembered yet.
    #[inline(always)]
    pub(crate) fn remember(&self, ctx: &impl EbpfContext, pending: u64) {
        if self.is_placed() || self.take_place() {
            unsafe { write_volatile(&raw mut (*self.place).pending, pending) };
        } else {
            self.list(ctx, pending);
        }
    }

    /// Of one that is, where it is.
    #[inline(always)]
    pub(crate) fn change(&self, ctx: &impl EbpfContext, pending: u64) {
        if self.is_placed() {
            unsafe { write_volatile(&raw mut (*self.place).pending, pending) };
        } else {
            self.list(ctx, pending);
        }
    }

    /// A full LRU map evicts; the outcome of the evicted attempt counts as unjoined.
    #[inline(always)]
    fn list(&self, ctx: &impl EbpfContext, pending: u64) {
        if PENDING.insert(self.sock, pending, 0).is_err() {
            warn!(
                ctx,
                "attempt {} is not remembered: its outcome will be unjoined",
                pending & COOKIE
            );
        }
    }

    /// False if another sock has it, or tries to have it at the same time.
    #[inline(always)]
    fn take_place(&self) -> bool {
        let claims = unsafe { &raw mut (*self.place).claims };
        if unsafe { read_volatile(claims) } != 0 {
            return false;
        }
        add(claims, 1);
        let is_taken = unsafe { read_volatile(claims) } == 1;
        if is_taken {
            unsafe { write_volatile(&raw mut (*self.place).sock, self.sock) };
        } else {
            add(claims, -1);
        }
        is_taken
    }

    #[inline(always)]
    pub(crate) fn forget(&self) {
        if self.is_placed() {
            unsafe { write_volatile(&raw mut (*self.place).sock, 0) };
            add(unsafe { &raw mut (*self.place).claims }, -1);
        } else {
            let _ = PENDING.remove(self.sock);
        }
    }
}

/// An address as a number: the verifier does no arithmetic with a pointer that it knows, and forgets
/// what it knew of a value that is read from a map.
#[inline(always)]
fn number(address: u64, slot: u32) -> Option<u64> {
    let scratch = SCRATCH.get_ptr_mut(slot)?;
    let number = unsafe { &raw mut (*scratch).number };
    unsafe {
        write_volatile(number, address);
        Some(read_volatile(number))
    }
}
