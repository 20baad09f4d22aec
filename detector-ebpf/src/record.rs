//! Puts records together and counts what becomes of them.

use aya_ebpf::helpers::generated::{
    bpf_get_smp_processor_id, bpf_ktime_get_boot_ns, bpf_ringbuf_output,
};
use core::mem::{MaybeUninit, size_of};
use detector_ebpf::{
    ABI_VERSION, BRIEF, Brief, COOKIE_SLOT_SHIFT, COUNTER_SLOTS, COUNTER_SUPPRESSED,
    COUNTER_UNJOINED, FULL_FIXED, Header, KIND_CONNECT, Short, TEXT_LEN,
};

use crate::{
    brief, creator,
    maps::{COOKIES, COUNTERS, EVENTS, SCRATCH, SLEEPING, SLOT_STATE, Scratch},
    sock::{self, Readable},
    task,
    text::Text,
};

/// include/uapi/linux/bpf.h
const BPF_RB_NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;

/// Unique for this load of the probes: the CPU above 48 bits, the program's slot of `SCRATCH` above
/// 45, below a counter that no other program touches, so that none is interrupted amid its step.
#[inline(always)]
pub(crate) fn next_cookie(slot: u32) -> u64 {
    let cpu = unsafe { bpf_get_smp_processor_id() } as u64;
    match COOKIES.get_ptr_mut(slot) {
        Some(next) => unsafe {
            *next += 1;
            let count = *next & ((1 << COOKIE_SLOT_SHIFT) - 1);
            (cpu << 48) | ((slot as u64) << COOKIE_SLOT_SHIFT) | count
        },
        None => 0,
    }
}

/// Each program has counters of its own, for the same reason.
#[inline(always)]
fn count(slot: u32, counter: u32) {
    if let Some(counter) = COUNTERS.get_ptr_mut(slot * COUNTER_SLOTS + counter) {
        unsafe { *counter += 1 };
    }
}

#[inline(always)]
pub(crate) fn count_unjoined(slot: u32) {
    count(slot, COUNTER_UNJOINED);
}

/// A record that will never be.
#[inline(always)]
pub(crate) fn count_lost(slot: u32, kind: u16) {
    let subject = subject(kind);
    count(slot, subject);
    count(slot, subject + 1);
}

/// An attempt that is one too many of its process, or the outcome of one.
#[inline(always)]
pub(crate) fn count_suppressed(slot: u32, kind: u16) {
    count(slot, subject(kind));
    count(slot, COUNTER_SUPPRESSED + (kind - KIND_CONNECT) as u32);
}

/// The counter of generated records; the next is of lost ones.
#[inline(always)]
fn subject(kind: u16) -> u32 {
    (kind as u32 - 1) * 2
}

/// What a record is about.
#[derive(Clone, Copy)]
pub(crate) struct Notice {
    /// Of the program that sends it.
    pub(crate) slot: u32,
    pub(crate) kind: u16,
    pub(crate) cookie: u64,
    pub(crate) sock: u64,
    /// Whose creator is told: the socket, or of an accept the listener, 0 where it is not known.
    pub(crate) made: u64,
    /// The credentials of that.
    pub(crate) cred: u64,
    pub(crate) errno: i32,
    /// Of an attempt: its outcome is to be told next.
    pub(crate) ends: bool,
    /// Where the kernel took the destination back: the address of the one that connect was called
    /// with; else 0.
    pub(crate) name: u64,
}

impl Notice {
    #[inline(always)]
    pub(crate) fn new(slot: u32, kind: u16, cookie: u64) -> Self {
        Self {
            slot,
            kind,
            cookie,
            sock: 0,
            made: 0,
            cred: 0,
            errno: 0,
            ends: false,
            name: 0,
        }
    }

    /// The creator of `sock` is to be told.
    #[inline(always)]
    pub(crate) fn made(self, sock: impl Readable) -> Self {
        Self {
            made: sock.address(),
            cred: creator::credentials(sock),
            ..self
        }
    }
}

#[inline(always)]
fn header(notice: &Notice, length: u32) -> Header {
    Header {
        abi: ABI_VERSION,
        kind: notice.kind,
        length,
        time_ns: unsafe { bpf_ktime_get_boot_ns() },
        cookie: notice.cookie,
        sock: notice.sock,
        cpu: unsafe { bpf_get_smp_processor_id() } as u32,
        reserved: 0,
    }
}

/// Asked once for each sleep.
#[inline(always)]
fn reader_sleeps() -> bool {
    match SLEEPING.get_ptr_mut(0) {
        Some(sleeping) => unsafe {
            let sleeps = *sleeping != 0;
            if sleeps {
                *sleeping = 0;
            }
            sleeps
        },
        None => false,
    }
}

/// A wake-up costs several times a snapshot. So it is sent only to a reader that said it sleeps,
/// and not for an attempt: its outcome follows, and the reader looks in every 100 ms for those
/// without one.
#[inline(always)]
fn send(notice: &Notice, record: *mut core::ffi::c_void, length: u64) -> bool {
    let Notice { slot, kind, .. } = *notice;
    let subject = subject(kind);
    count(slot, subject);
    let ring = (&raw const EVENTS).cast_mut().cast();
    let flags = if kind != KIND_CONNECT && reader_sleeps() {
        BPF_RB_FORCE_WAKEUP
    } else {
        BPF_RB_NO_WAKEUP
    };
    let sent = unsafe { bpf_ringbuf_output(ring, record, length, flags) };
    if sent != 0 {
        count(slot, subject + 1);
    }
    sent == 0
}

/// A record without a process; false if it is lost. Apart, as the last, so that the way of an
/// unwatched socket is short.
#[inline(never)]
pub(crate) fn send_short<S: Readable>(notice: &Notice, sock: S) -> bool {
    let notice = &Notice {
        sock: sock.address(),
        ..*notice
    };
    // Every member is written below.
    let mut record: MaybeUninit<Short> = MaybeUninit::uninit();
    let short = unsafe { &mut *record.as_mut_ptr() };
    short.header = header(notice, size_of::<Short>() as u32);
    sock::fill(&mut short.socket, sock, notice, true);
    send(
        notice,
        record.as_mut_ptr().cast(),
        size_of::<Short>() as u64,
    )
}

/// A record with the current process, put together in the scratch slot. What it is about is laid
/// there first: the verifier forgets what it knew of it, and all ways to a record look the same.
#[inline(always)]
pub(crate) fn send_full(notice: &Notice, sock: impl Readable) {
    if let Some(scratch) = SCRATCH.get_ptr_mut(notice.slot) {
        let Scratch {
            notice: laid,
            record,
            ..
        } = unsafe { &mut *scratch };
        *laid = Notice {
            sock: sock.address(),
            ..*notice
        };
        // The state tracepoint comes before the port, the functions' ends come after it.
        sock::fill(&mut record.socket, sock, notice, notice.slot != SLOT_STATE);
        send_laid(notice.slot);
    }
}

#[inline(never)]
fn send_laid(slot: u32) {
    let (Some(scratch), Some(sent)) = (SCRATCH.get_ptr_mut(slot), brief::place(slot)) else {
        return;
    };
    let (
        Scratch {
            text_end,
            notice,
            witness,
            record,
            ..
        },
        sent,
    ) = unsafe { (&mut *scratch, &mut *sent) };
    let notice = &Notice { slot, ..*notice };
    record.header = header(notice, size_of::<Brief>() as u32);
    let task = task::current();
    creator::fill(&mut record.creator, notice, task);
    task::fill(&mut record.thread, task);
    witness.fill(task);
    if sent.holds(witness, record.header.time_ns) {
        record.header.kind |= BRIEF;
        let brief: *mut Brief = (&raw mut *record).cast();
        unsafe { (*brief).told = sent.cookie };
        send(notice, brief.cast(), size_of::<Brief>() as u64);
        return;
    }
    let mut text = Text::new(record.text.as_mut_ptr(), text_end);
    task::snapshot(&mut record.process, task, &mut text);
    let mut written = text.end();
    if written > TEXT_LEN as u64 {
        written = TEXT_LEN as u64;
    }
    let length = FULL_FIXED as u64 + written;
    record.header.length = length as u32;
    let number = brief::fulls();
    if send(notice, (&raw mut *record).cast(), length) {
        sent.keep(&record.header, witness, number);
    }
}

/// The attempt that `send_full` told last, as if it were not known, if its outcome is to be told.
#[inline(always)]
pub(crate) fn ending(slot: u32) -> Option<Notice> {
    let scratch = SCRATCH.get_ptr_mut(slot)?;
    let notice = unsafe { &(*scratch).notice };
    notice.ends.then(|| Notice { slot, ..*notice })
}
