//! The texts of a record: written one after the other, the end kept in map memory.

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use detector_ebpf::{ARGS_LEN, NAME_LEN, TEXT_LIMIT};

use crate::read;

pub(crate) struct Text {
    bytes: *mut u8,
    end: *mut u64,
}

impl Text {
    #[inline(always)]
    pub(crate) fn new(bytes: *mut u8, end: *mut u64) -> Self {
        let mut text = Self { bytes, end };
        text.set_end(0);
        text
    }

    /// Volatile, so that the compiler does not carry in a register what the verifier is to forget.
    #[inline(always)]
    pub(crate) fn end(&self) -> u64 {
        unsafe { core::ptr::read_volatile(self.end) }
    }

    #[inline(always)]
    fn set_end(&mut self, end: u64) {
        unsafe { core::ptr::write_volatile(self.end, end) }
    }

    /// Appends the kernel string at `address` with its NUL; false if the text is full.
    #[inline(always)]
    pub(crate) fn push_name(&mut self, address: u64) -> bool {
        let end = self.end();
        if end > TEXT_LIMIT as u64 {
            return false;
        }
        let place = unsafe { self.bytes.add(end as usize) };
        self.set_end(end + read::copy_str(place, NAME_LEN as u32, address));
        true
    }

    /// Appends user memory, at most `ARGS_LEN` bytes; false if that was not all.
    #[inline(always)]
    pub(crate) fn push_user(&mut self, address: u64, size: u64) -> bool {
        let end = self.end();
        if end > TEXT_LIMIT as u64 {
            return false;
        }
        let taken = if size > ARGS_LEN as u64 {
            ARGS_LEN as u64
        } else {
            size
        };
        let place = unsafe { self.bytes.add(end as usize) };
        let failed =
            unsafe { bpf_probe_read_user(place.cast(), taken as u32, address as *const _) };
        if failed != 0 {
            return false;
        }
        self.set_end(end + taken);
        taken == size
    }
}
