//! System calls that no crate wraps safely.
#![expect(unsafe_code, reason = "nothing safe makes these calls")]

use std::{
    io,
    net::SocketAddrV4,
    os::fd::{AsRawFd as _, BorrowedFd, OwnedFd},
};

use rustix::thread::UnshareFlags;

use crate::{Lacks, Result};

/// Namespaces of its own for the calling thread; `what` names them where the kernel has none.
pub(crate) fn unshare(flags: UnshareFlags, what: &'static str) -> Result {
    // SAFETY: the file descriptors stay shared: no flag of the callers is CLONE_FILES.
    let outcome = unsafe { rustix::thread::unshare_unsafe(flags) };
    outcome.map_err(|_errno| Lacks(what).into())
}

/// A copy of this process that does `work` and ends: its id.
pub(crate) fn fork(work: impl FnOnce() -> Result) -> Result<i32> {
    // SAFETY: the callers have one thread, so the copy's memory is whole.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(io::Error::last_os_error().into());
    }
    if pid == 0 {
        end(work());
    }
    Ok(pid)
}

/// As above; its status is waited for.
pub(crate) fn forked(work: impl FnOnce() -> Result) -> Result {
    let pid = fork(work)?;
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    if unsafe { libc::waitpid(pid, &raw mut status, 0) } != pid {
        return Err(io::Error::last_os_error().into());
    }
    match status {
        0 => Ok(()),
        other => Err(Ended(other).into()),
    }
}

/// Ends the process, whichever thread calls.
#[expect(
    clippy::exit,
    reason = "the copy of a process, or one without its first thread"
)]
pub(crate) fn end(outcome: Result) -> ! {
    std::process::exit(i32::from(crate::report(outcome)))
}

/// A forked process that did not end with 0.
#[derive(Debug)]
pub(crate) struct Ended(i32);

impl Ended {
    pub(crate) fn by_signal(&self, signal: i32) -> bool {
        libc::WIFSIGNALED(self.0) && libc::WTERMSIG(self.0) == signal
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "the forked process ended with status {:#x}", self.0)
    }
}

impl std::error::Error for Ended {}

/// Sets a socket option that is a number.
pub(crate) fn option(socket: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    option_bytes(socket, level, name, &value.to_ne_bytes())
}

pub(crate) fn option_bytes(
    socket: BorrowedFd<'_>,
    level: i32,
    name: i32,
    value: &[u8],
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(value.len()).unwrap_or(0);
    // SAFETY: the kernel reads `length` bytes of `value`.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            value.as_ptr().cast(),
            length,
        )
    };
    checked(result)
}

/// Whether the connection's SYN had data that the server took (`TCPI_OPT_SYN_DATA`).
pub(crate) fn syn_had_data(socket: BorrowedFd<'_>) -> io::Result<bool> {
    const SYN_DATA: u8 = 32;
    Ok(tcp_info(socket)?.tcpi_options & SYN_DATA != 0)
}

/// As include/net/tcp_states.h counts them.
pub(crate) fn state(socket: BorrowedFd<'_>) -> io::Result<u8> {
    Ok(tcp_info(socket)?.tcpi_state)
}

fn tcp_info(socket: BorrowedFd<'_>) -> io::Result<libc::tcp_info> {
    // SAFETY: all zeros is a valid `tcp_info`.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of_val(&info)).unwrap_or(0);
    // SAFETY: the kernel writes at most `length` bytes.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    checked(result)?;
    Ok(info)
}

/// Subflows of an MPTCP socket beside its first: what `mptcp_info` begins with.
pub(crate) fn subflows(socket: BorrowedFd<'_>) -> io::Result<u8> {
    const SOL_MPTCP: libc::c_int = 284;
    const MPTCP_INFO: libc::c_int = 1;
    let mut count = 0_u8;
    let mut length = 1;
    // SAFETY: the kernel writes at most one byte.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            SOL_MPTCP,
            MPTCP_INFO,
            (&raw mut count).cast(),
            &raw mut length,
        )
    };
    checked(result).map(|()| count)
}

/// `SIOCSIFADDR` or `SIOCSIFFLAGS` on an interface.
pub(crate) fn interface(
    socket: &OwnedFd,
    request: libc::Ioctl,
    of: &libc::ifreq,
) -> io::Result<()> {
    // SAFETY: both requests read one `ifreq`.
    checked(unsafe { libc::ioctl(socket.as_raw_fd(), request, std::ptr::from_ref(of)) })
}

/// `ifreq` of `lo` with these flags.
pub(crate) fn flags_of(name: &str, flags: libc::c_int) -> libc::ifreq {
    let mut request = named(name);
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).unwrap_or(0);
    request
}

/// `ifreq` with an address for the interface.
pub(crate) fn address_of(name: &str, address: SocketAddrV4) -> libc::ifreq {
    let mut request = named(name);
    let address = sockaddr(address);
    // SAFETY: the two have the same size, and any bytes are a `sockaddr`.
    request.ifr_ifru.ifru_addr =
        unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(address) };
    request
}

fn named(name: &str) -> libc::ifreq {
    // SAFETY: all zeros is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::try_from(from).unwrap_or(0);
    }
    request
}

pub(crate) fn sockaddr(address: SocketAddrV4) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: 2,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*address.ip()).to_be(),
        },
        sin_zero: [0; 8],
    }
}

pub(crate) fn checked(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
