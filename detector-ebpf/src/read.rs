//! Reads of kernel memory. None branches on failure: what cannot be read is zero.

use core::mem::size_of;

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str};
use detector_ebpf::offset::COUNT;

/// Filled by the loader and frozen: constants to the verifier.
#[unsafe(no_mangle)]
static OFFSETS: [u32; COUNT] = [0; COUNT];

/// The offset of a row of `detector_ebpf::offset`.
#[inline(always)]
pub(crate) fn offset(row: usize) -> u64 {
    unsafe { core::ptr::read_volatile(&raw const OFFSETS[row]) as u64 }
}

#[inline(always)]
pub(crate) fn read<T: Copy + Default>(address: u64) -> T {
    let mut value = T::default();
    unsafe {
        bpf_probe_read_kernel(
            (&raw mut value).cast(),
            size_of::<T>() as u32,
            address as *const core::ffi::c_void,
        );
    }
    value
}

/// The member `row` of the struct at `base`.
#[inline(always)]
pub(crate) fn member<T: Copy + Default>(base: u64, row: usize) -> T {
    read(base + offset(row))
}

/// Whether the kernel gives the current task with its type, and loads through it are safe.
#[unsafe(no_mangle)]
static TYPED: u32 = 0;

#[inline(always)]
pub(crate) fn is_typed() -> bool {
    unsafe { core::ptr::read_volatile(&raw const TYPED) != 0 }
}

/// As `member`, of a struct that was come to from the current task by `known` alone: without a
/// helper where the verifier knows its type.
#[inline(always)]
pub(crate) fn known<T: Copy + Default>(base: u64, row: usize) -> T {
    if is_typed() {
        unsafe { core::ptr::read_volatile((base + offset(row)) as *const T) }
    } else {
        member(base, row)
    }
}

/// Zeroes in words, `N` being a multiple of eight: a loop of bytes would be a call.
#[inline(always)]
pub(crate) fn clear<const N: usize>(bytes: &mut [u8; N]) {
    let words: *mut u64 = bytes.as_mut_ptr().cast();
    for index in 0..N / 8 {
        unsafe { words.add(index).write_volatile(0) };
    }
}

/// Copies `size` bytes of kernel memory into the record.
#[inline(always)]
pub(crate) fn copy(destination: *mut u8, size: u32, address: u64) {
    unsafe {
        bpf_probe_read_kernel(
            destination.cast(),
            size,
            address as *const core::ffi::c_void,
        );
    }
}

/// Copies a string with its NUL and returns the bytes written; 0 if it could not be read.
#[inline(always)]
pub(crate) fn copy_str(destination: *mut u8, size: u32, address: u64) -> u64 {
    let written = unsafe {
        bpf_probe_read_kernel_str(
            destination.cast(),
            size,
            address as *const core::ffi::c_void,
        )
    } as i64;
    // A negative result becomes 0 without a branch; the mask shows the verifier the bound.
    (written & !(written >> 63)) as u64 & 0x1ff
}
