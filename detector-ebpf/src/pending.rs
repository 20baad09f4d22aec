//! Connects whose outcome is still to come.

use aya_ebpf::EbpfContext;
use aya_log_ebpf::warn;

use crate::{let_off::Place, maps::PENDING};

/// Beside the cookie in `PENDING`: the attempt is not told yet, the function's end will.
pub(crate) const UNTOLD: u64 = 1 << 63;
/// Its outcome was told before: the function failed after SYN_SENT.
pub(crate) const ENDED: u64 = 1 << 62;
/// The attempt was suppressed, and its outcome will be.
pub(crate) const SUPPRESSED: u64 = 1 << 61;
/// The attempt was let off, and its outcome will be.
pub(crate) const LET_OFF: u64 = 1 << 60;
/// Where the first two are, of the flags of a mark.
const MARKED: u32 = 62;
pub(crate) const COOKIE: u64 = !(UNTOLD | ENDED | SUPPRESSED | LET_OFF);

#[inline(always)]
pub(crate) fn flag(flag: u64, set: bool) -> u64 {
    if set { flag } else { 0 }
}

/// What is remembered of a sock whose outcome is still to come: the attempt's cookie and flags.
pub(crate) struct Entry {
    sock: u64,
    place: Place,
}

impl Entry {
    #[inline(always)]
    pub(crate) fn of(sock: u64) -> Option<Self> {
        let place = Place::of(sock)?;
        Some(Self { sock, place })
    }

    #[inline(always)]
    pub(crate) fn pending(&self) -> Option<u64> {
        match self.place.marked() {
            Some(flags) => Some(LET_OFF | flags << MARKED),
            None => (unsafe { PENDING.get(self.sock) }).copied(),
        }
    }

    /// A full LRU map evicts; the outcome of the evicted attempt counts as unjoined.
    #[inline(always)]
    pub(crate) fn remember(&self, ctx: &impl EbpfContext, pending: u64) {
        if pending & LET_OFF == 0 {
            // One that was left where the kernel skipped an outcome is not this connect's.
            self.place.unmark();
        } else if self.place.mark(pending >> MARKED) {
            return;
        }
        if PENDING.insert(self.sock, pending, 0).is_err() {
            warn!(
                ctx,
                "attempt {} is not remembered: its outcome will be unjoined",
                pending & COOKIE
            );
        }
    }

    #[inline(always)]
    pub(crate) fn forget(&self) {
        if self.place.marked().is_some() {
            self.place.unmark();
        } else {
            let _ = PENDING.remove(self.sock);
        }
    }
}
