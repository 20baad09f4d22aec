//! Puts records together and counts what becomes of them.

use aya_ebpf::helpers::generated::{
    bpf_get_smp_processor_id, bpf_ktime_get_boot_ns, bpf_ringbuf_output,
};
use core::mem::{MaybeUninit, size_of};
use detector_ebpf::{
    ABI_VERSION, COUNTER_UNJOINED, FULL_FIXED, Header, KIND_CONNECT, Short, TEXT_LEN,
};

use crate::{
    maps::{COOKIES, COUNTERS, EVENTS, SCRATCH, SLEEPING, Scratch},
    sock, task,
    text::Text,
};

/// include/uapi/linux/bpf.h
const BPF_RB_NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;

/// Unique for this load of the probes: the CPU above 48 bits of its own counter.
#[inline(always)]
pub(crate) fn next_cookie() -> u64 {
    let cpu = unsafe { bpf_get_smp_processor_id() } as u64;
    match COOKIES.get_ptr_mut(0) {
        Some(next) => unsafe {
            *next += 1;
            (cpu << 48) | (*next & 0xffff_ffff_ffff)
        },
        None => 0,
    }
}

#[inline(always)]
fn count(slot: u32) {
    if let Some(counter) = COUNTERS.get_ptr_mut(slot) {
        unsafe { *counter += 1 };
    }
}

pub(crate) fn count_unjoined() {
    count(COUNTER_UNJOINED);
}

#[inline(always)]
fn header(kind: u16, cookie: u64, sock: u64, length: u32) -> Header {
    Header {
        abi: ABI_VERSION,
        kind,
        length,
        time_ns: unsafe { bpf_ktime_get_boot_ns() },
        cookie,
        sock,
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
fn send(kind: u16, record: *mut core::ffi::c_void, length: u64) {
    let subject = (kind as u32 - 1) * 2;
    count(subject);
    let ring = (&raw const EVENTS).cast_mut().cast();
    let flags = if kind != KIND_CONNECT && reader_sleeps() {
        BPF_RB_FORCE_WAKEUP
    } else {
        BPF_RB_NO_WAKEUP
    };
    let sent = unsafe { bpf_ringbuf_output(ring, record, length, flags) };
    if sent != 0 {
        count(subject + 1);
    }
}

/// A record without a process. Apart, as the next, so that the way of an unwatched socket is short.
#[inline(never)]
pub(crate) fn send_short(kind: u16, cookie: u64, sock: u64, errno: i32) {
    // Every member is written below.
    let mut record: MaybeUninit<Short> = MaybeUninit::uninit();
    let short = unsafe { &mut *record.as_mut_ptr() };
    short.header = header(kind, cookie, sock, size_of::<Short>() as u32);
    sock::fill(&mut short.socket, sock, errno, true);
    send(kind, record.as_mut_ptr().cast(), size_of::<Short>() as u64);
}

/// A record with the current process, put together in the scratch slot.
#[inline(never)]
pub(crate) fn send_full(kind: u16, cookie: u64, sock: u64, slot: u32) {
    let Some(scratch) = SCRATCH.get_ptr_mut(slot) else {
        return;
    };
    let Scratch { text_end, record } = unsafe { &mut *scratch };
    sock::fill(&mut record.socket, sock, 0, false);
    let mut text = Text::new(record.text.as_mut_ptr(), text_end);
    task::snapshot(&mut record.thread, &mut record.process, &mut text);
    let mut written = text.end();
    if written > TEXT_LEN as u64 {
        written = TEXT_LEN as u64;
    }
    let length = FULL_FIXED as u64 + written;
    record.header = header(kind, cookie, sock, length as u32);
    send(kind, (&raw mut *record).cast(), length);
}
