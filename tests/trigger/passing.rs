//! Sockets that one process makes and another uses.

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    net::{TcpListener, TcpStream},
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::{
    io::Errno,
    net,
    process::{PidfdFlags, PidfdGetfdFlags, getppid, pidfd_getfd, pidfd_open},
};

use crate::{
    Lacks, Result, fact, in_a_thread, raw, traffic,
    ways::{client, fails, local, tcp},
};

/// Made by the first thread, connected by another.
pub(crate) fn other_thread(port: u16) -> Result {
    let socket = tcp(local(port))?;
    in_a_thread(move || fails(&socket, local(port), Errno::CONNREFUSED))
}

/// Made before the fork, connected after it.
pub(crate) fn forked(port: u16) -> Result {
    let socket = tcp(local(port))?;
    raw::forked(|| {
        fact("client", std::process::id());
        fails(&socket, local(port), Errno::CONNREFUSED)
    })
}

/// The listener is of the parent, the one that accepts is its child.
pub(crate) fn forked_accept(port: u16) -> Result {
    let listener = TcpListener::bind(local(port))?;
    raw::forked(|| {
        fact("acceptor", std::process::id());
        let stream = TcpStream::connect(local(port))?;
        fact("source", stream.local_addr()?.port());
        fact("client", std::process::id());
        drop(listener.accept()?);
        Ok(())
    })
}

/// The same, once the child is told to.
pub(crate) fn late_forked_accept(port: u16) -> Result {
    let listener = TcpListener::bind(local(port))?;
    client(port)?;
    raw::forked(|| {
        fact("acceptor", std::process::id());
        traffic::wait_for_line()?;
        drop(listener.accept()?);
        Ok(())
    })
}

/// Sent over a UNIX socket.
pub(crate) fn sent(port: u16) -> Result {
    let (here, there) = UnixStream::pair()?;
    let socket = tcp(local(port))?;
    send(&here, &socket)?;
    drop(socket);
    raw::forked(|| {
        fact("client", std::process::id());
        fails(&receive(&there)?, local(port), Errno::CONNREFUSED)
    })
}

/// Taken out of the table of the process that made it.
pub(crate) fn taken(port: u16) -> Result {
    let socket = tcp(local(port))?;
    raw::forked(|| {
        fact("client", std::process::id());
        let maker = getppid().ok_or("the process has no parent")?;
        let lacks = |_errno| Lacks("pidfd_getfd");
        let maker = pidfd_open(maker, PidfdFlags::empty()).map_err(lacks)?;
        let number = socket.as_raw_fd();
        let taken = pidfd_getfd(maker, number, PidfdGetfdFlags::empty()).map_err(lacks)?;
        fails(&taken, local(port), Errno::CONNREFUSED)
    })
}

/// Made by a process that is no ancestor of the one that connects: both are here until they are told to
/// end.
pub(crate) fn sent_by_another(port: u16) -> Result {
    let listener = TcpListener::bind(local(port))?;
    let socket = received_from_child(port)?;
    net::connect(&socket, &local(port))?;
    drop(listener.accept()?);
    fact("ready", 1);
    traffic::wait_for_line()?;
    drop(socket);
    Ok(())
}

/// As above; the socket is closed when the event is looked at.
pub(crate) fn sent_by_another_and_closed(port: u16) -> Result {
    let socket = received_from_child(port)?;
    fails(&socket, local(port), Errno::CONNREFUSED)?;
    drop(socket);
    fact("ready", 1);
    traffic::wait_for_line()
}

fn received_from_child(port: u16) -> Result<OwnedFd> {
    let (here, there) = UnixStream::pair()?;
    let maker = raw::fork(|| {
        send(&there, &tcp(local(port))?)?;
        traffic::wait_for_line()
    })?;
    fact("maker", maker);
    receive(&here)
}

/// Made by a process that has ended before.
pub(crate) fn sent_by_one_that_ended(port: u16) -> Result {
    let (here, there) = UnixStream::pair()?;
    raw::forked(|| send(&there, &tcp(local(port))?))?;
    fails(&receive(&here)?, local(port), Errno::CONNREFUSED)
}

fn send(through: &UnixStream, what: &OwnedFd) -> Result {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = net::SendAncillaryBuffer::new(&mut space);
    let passed = [what.as_fd()];
    control.push(net::SendAncillaryMessage::ScmRights(&passed));
    let data = [IoSlice::new(b"x")];
    net::sendmsg(through, &data, &mut control, net::SendFlags::empty())?;
    Ok(())
}

fn receive(through: &UnixStream) -> Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = net::RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut data = [IoSliceMut::new(&mut byte)];
    net::recvmsg(through, &mut data, &mut control, net::RecvFlags::empty())?;
    let passed = control.drain().find_map(|message| match message {
        net::RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    passed.ok_or_else(|| "no file was passed".into())
}
