//! Whether the peer's kernel has what was written to a TCP socket.

use std::{ffi::c_int, os::fd::AsFd};

use rustix::{
    io,
    ioctl::{Getter, ioctl},
};

/// `SIOCOUTQ` (tcp(7)): bytes that the peer has not acknowledged.
const SIOCOUTQ: u32 = 0x5411;

#[expect(unsafe_code, reason = "the kernel tells it by an ioctl only")]
pub(super) fn unacked(socket: impl AsFd) -> io::Result<c_int> {
    // SAFETY: SIOCOUTQ of a socket writes one integer.
    unsafe { ioctl(socket, Getter::<SIOCOUTQ, c_int>::new()) }
}
