//! Whether what was written to a socket is with the peer: with its kernel over TCP, and read by itself
//! over a Unix socket.

use std::{ffi::c_int, os::fd::AsFd, time::Duration};

use rustix::{
    io,
    ioctl::{Getter, ioctl},
};
use tokio::time::sleep;

/// `SIOCOUTQ` (tcp(7), `unix_ioctl`): bytes that are not.
const SIOCOUTQ: u32 = 0x5411;
/// Between two looks.
const LOOK: Duration = Duration::from_micros(200);

/// Waits until it is; a peer that has gone is seen by what is written next.
pub(super) async fn acknowledged(socket: impl AsFd) -> io::Result<()> {
    while unacked(&socket)? > 0 {
        sleep(LOOK).await;
    }
    Ok(())
}

#[expect(unsafe_code, reason = "the kernel tells it by an ioctl only")]
fn unacked(socket: impl AsFd) -> io::Result<c_int> {
    // SAFETY: SIOCOUTQ of a socket writes one integer.
    unsafe { ioctl(socket, Getter::<SIOCOUTQ, c_int>::new()) }
}
