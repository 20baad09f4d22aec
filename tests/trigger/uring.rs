//! Connects, accepts and listens by io_uring: no system call of the process names the address.
#![expect(
    unsafe_code,
    reason = "the kernel reads what an entry points to while the process goes on"
)]

use std::{
    mem::size_of,
    net::{SocketAddrV4, TcpListener, TcpStream},
    os::fd::{AsRawFd as _, RawFd},
};

use io_uring::{IoUring, Probe, opcode, squeue, types};
use rustix::io::Errno;

use crate::{
    Lacks, Result, fact, raw,
    ways::{local, tcp},
};

/// Which thread does the work.
#[derive(Clone, Copy)]
pub(crate) enum Issuer {
    /// The submitting thread, as far as it need not wait.
    Caller,
    /// A worker thread of io_uring.
    Worker,
    /// The thread that polls the submission queue.
    Poller,
}

/// The place of the only registered file: a poller takes no other before 5.11.
const FIXED: types::Fixed = types::Fixed(0);
/// How long an idle poller looks for submissions.
const IDLE_MS: u32 = 100;

pub(crate) fn connect(port: u16, issuer: Issuer) -> Result {
    let mut ring = ring(issuer)?;
    let socket = tcp(local(port))?;
    ring.submitter().register_files(&[socket.as_raw_fd()])?;
    let address = address(port);
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_in>())?;
    let entry = opcode::Connect::new(FIXED, (&raw const address).cast(), length).build();
    match submit(&mut ring, issuer, entry)? {
        Err(Errno::CONNREFUSED) => Ok(()),
        other => Err(format!("the connect ended with {other:?}").into()),
    }
}

pub(crate) fn accept(port: u16, issuer: Issuer) -> Result {
    let mut ring = ring(issuer)?;
    let listener = TcpListener::bind(local(port))?;
    ring.submitter().register_files(&[listener.as_raw_fd()])?;
    let stream = TcpStream::connect(local(port))?;
    fact("source", stream.local_addr()?.port());
    let entry = opcode::Accept::new(FIXED, std::ptr::null_mut(), std::ptr::null_mut()).build();
    submit(&mut ring, issuer, entry)??;
    release(&ring)
}

/// Socket, bind and listen too are done by the ring.
pub(crate) fn listen(port: u16) -> Result {
    let mut ring = ring(Issuer::Caller)?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    if !probe.is_supported(opcode::Listen::CODE) {
        return Err(Lacks("listen by io_uring").into());
    }
    let entry = opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, 0).build();
    let socket: RawFd = submit(&mut ring, Issuer::Caller, entry)??;
    ring.submitter().register_files(&[socket])?;
    let address = address(port);
    let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_in>())?;
    let entry = opcode::Bind::new(FIXED, (&raw const address).cast(), length).build();
    submit(&mut ring, Issuer::Caller, entry)??;
    let entry = opcode::Listen::new(FIXED, 1).build();
    submit(&mut ring, Issuer::Caller, entry)??;
    release(&ring)
}

/// A ring that ends with its process keeps its files open for a while.
fn release(ring: &IoUring) -> Result {
    Ok(ring.submitter().unregister_files()?)
}

fn address(port: u16) -> libc::sockaddr_in {
    raw::sockaddr(SocketAddrV4::new([127, 0, 0, 1].into(), port))
}

fn ring(issuer: Issuer) -> Result<IoUring> {
    let mut builder = IoUring::builder();
    if matches!(issuer, Issuer::Poller) {
        builder.setup_sqpoll(IDLE_MS);
    }
    builder.build(4).map_err(|_error| Lacks("io_uring").into())
}

/// The result of one entry, which is waited for.
fn submit(
    ring: &mut IoUring,
    issuer: Issuer,
    entry: squeue::Entry,
) -> Result<std::result::Result<i32, Errno>> {
    let entry = match issuer {
        Issuer::Worker => entry.flags(squeue::Flags::ASYNC),
        Issuer::Caller | Issuer::Poller => entry,
    };
    // SAFETY: what the entry points to lives in the caller, which waits for its completion here.
    unsafe { ring.submission().push(&entry)? };
    ring.submit_and_wait(1)?;
    let done = ring.completion().next().ok_or("nothing was completed")?;
    match done.result() {
        result if result < 0 => Ok(Err(Errno::from_raw_os_error(-result))),
        result => Ok(Ok(result)),
    }
}
