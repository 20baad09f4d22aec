//! Reads the ring buffer (kernel/bpf/ringbuf.c). What was read keeps its room until it is released:
//! a daemon that is killed leaves what it had not told.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd, RawFd},
    ptr::{self, NonNull},
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
};

use aya::maps::MapData;
use detector_ebpf::RING_BYTES;
use rustix::{
    mm::{MapFlags, ProtFlags, mmap, munmap},
    param::page_size,
};

/// include/uapi/linux/bpf.h
const BUSY: u32 = 1 << 31;
const DISCARDED: u32 = 1 << 30;
const HEADER: usize = 8;
const SIZE: usize = RING_BYTES as usize;

pub(super) struct Ring {
    /// The position up to which room is given back, writable.
    consumer: Pages,
    /// The position up to which the kernel wrote, on a page of its own, then the data, twice in a
    /// row so that no record is broken.
    producer: Pages,
    data: usize,
    /// Where the next record begins; positions never wrap.
    read: usize,
    map: MapData,
}

impl Ring {
    /// `map` is a ring buffer of `RING_BYTES`.
    pub(super) fn new(map: MapData) -> io::Result<Self> {
        let page = page_size();
        let consumer = Pages::new(&map, page, ProtFlags::READ | ProtFlags::WRITE, 0)?;
        let producer = Pages::new(&map, page + 2 * SIZE, ProtFlags::READ, page)?;
        let read = consumer.position().load(Ordering::Acquire);
        Ok(Self {
            consumer,
            producer,
            data: page,
            read,
            map,
        })
    }

    /// The next record, if the kernel has completed it.
    #[expect(
        unsafe_code,
        reason = "the record lies in memory that the kernel writes"
    )]
    pub(super) fn next(&mut self) -> Option<&[u8]> {
        loop {
            if self.read == self.producer.position().load(Ordering::Acquire) {
                return None;
            }
            let offset = self.data + (self.read & (SIZE - 1));
            // SAFETY: below `SIZE` of the data, which is mapped twice as large; records are aligned
            // to 8, and the kernel changes the header of one in one step.
            let header = unsafe { AtomicU32::from_ptr(self.producer.at(offset).cast().as_ptr()) };
            let header = header.load(Ordering::Acquire);
            if header & BUSY != 0 {
                return None;
            }
            let length = (header & !(BUSY | DISCARDED)) as usize;
            if length > SIZE - HEADER {
                // No record of the kernel; the reader stands still, and the canary tells.
                return None;
            }
            self.read += (HEADER + length).next_multiple_of(8);
            if header & DISCARDED == 0 {
                let record = self.producer.at(offset + HEADER);
                // SAFETY: within the data, as above; the kernel completed it, and does not write
                // there again before it is released.
                return Some(unsafe { std::slice::from_raw_parts(record.as_ptr(), length) });
            }
        }
    }

    /// Where the next record begins.
    pub(super) fn position(&self) -> u64 {
        self.read as u64
    }

    /// Up to where the kernel wrote.
    pub(super) fn end(&self) -> u64 {
        self.producer.position().load(Ordering::Acquire) as u64
    }

    /// Bytes that were read and not released.
    pub(super) fn unreleased(&self) -> u64 {
        let released = self.consumer.position().load(Ordering::Relaxed);
        self.read.saturating_sub(released) as u64
    }

    /// Bytes that the kernel cannot write to.
    pub(super) fn used(&self) -> u64 {
        let released = self.consumer.position().load(Ordering::Relaxed) as u64;
        self.end().saturating_sub(released)
    }

    /// Gives back the room of what was read before `position`.
    pub(super) fn release(&mut self, position: u64) {
        let position = usize::try_from(position).unwrap_or(self.read);
        let consumer = self.consumer.position();
        if position <= self.read && position > consumer.load(Ordering::Relaxed) {
            consumer.store(position, Ordering::Release);
        }
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.map.fd().as_fd().as_raw_fd()
    }
}

/// Mapped memory that begins with a position.
struct Pages {
    start: NonNull<u8>,
    length: usize,
}

#[expect(unsafe_code, reason = "memory that is shared with the kernel")]
// SAFETY: nothing of it belongs to a thread.
unsafe impl Send for Pages {}

impl Pages {
    #[expect(unsafe_code, reason = "as above")]
    fn new(map: &MapData, length: usize, protection: ProtFlags, offset: usize) -> io::Result<Self> {
        let flags = MapFlags::SHARED;
        // SAFETY: the kernel chooses a place that nothing else uses.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                length,
                protection,
                flags,
                map.fd().as_fd(),
                offset as u64,
            )
        }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    #[expect(unsafe_code, reason = "as above")]
    fn position(&self) -> &AtomicUsize {
        // SAFETY: a page is mapped at least, as long as this lives; the kernel too reads and writes
        // positions in one step.
        unsafe { AtomicUsize::from_ptr(self.start.cast().as_ptr()) }
    }

    #[expect(unsafe_code, reason = "as above")]
    fn at(&self, offset: usize) -> NonNull<u8> {
        // SAFETY: the end at most.
        unsafe { self.start.add(offset.min(self.length)) }
    }
}

impl Drop for Pages {
    #[expect(unsafe_code, reason = "as above")]
    fn drop(&mut self) {
        // SAFETY: it was mapped so, and nobody has it any more.
        let _unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}
