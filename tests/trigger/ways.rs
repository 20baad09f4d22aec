//! Connects and accepts by plain sockets: addresses, bindings, and every way to fail.

use std::{
    io::{self, Read as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd as _, OwnedFd},
    time::Duration,
};

use rustix::{io::Errno, net};

use crate::{Result, fact, netns, nft, raw, traffic};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A TCP socket of the address's family.
pub(crate) fn tcp(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() {
        net::AddressFamily::INET
    } else {
        net::AddressFamily::INET6
    };
    let flags = net::SocketFlags::CLOEXEC;
    Ok(net::socket_with(
        family,
        net::SocketType::STREAM,
        flags,
        None,
    )?)
}

pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::new(LOOPBACK, port)
}

/// A connect that has to end with this error.
pub(crate) fn fails(socket: &OwnedFd, address: SocketAddr, errno: Errno) -> Result {
    match net::connect(socket, &address) {
        Err(error) if error == errno => Ok(()),
        other => Err(format!("the connect to {address} ended with {other:?}").into()),
    }
}

/// Says which port the socket has.
pub(crate) fn tell_source(socket: &OwnedFd) -> Result {
    let bound: SocketAddr = net::getsockname(socket)?.try_into()?;
    fact("source", bound.port());
    Ok(())
}

/// From a port that was chosen: taken by a bind with `SO_REUSEADDR`.
pub(crate) fn bound_source(port: u16) -> Result {
    let socket = tcp(local(port))?;
    net::sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &local(port + 1))?;
    tell_source(&socket)?;
    fails(&socket, local(port), Errno::CONNREFUSED)
}

/// The watched port as the source: nobody serves there.
pub(crate) fn watched_source(port: u16) -> Result {
    let socket = tcp(local(port))?;
    net::sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &local(port))?;
    fails(&socket, local(port + 1), Errno::CONNREFUSED)
}

/// One socket, connected again after a refusal.
pub(crate) fn again(port: u16) -> Result {
    let socket = tcp(local(port))?;
    fails(&socket, local(port), Errno::CONNREFUSED)?;
    fails(&socket, local(port), Errno::CONNREFUSED)
}

/// A listener at `at` that is connected to at `to`; both ends are used.
pub(crate) fn served(at: IpAddr, to: IpAddr, port: u16) -> Result {
    let listener = TcpListener::bind((at, port))?;
    let stream = TcpStream::connect((to, port))?;
    fact("source", stream.local_addr()?.port());
    let accepted = listener.accept()?;
    drop((stream, accepted));
    Ok(())
}

/// `0.0.0.0` and `::` as destinations mean this node.
pub(crate) fn unspecified(port: u16) -> Result {
    served(LOOPBACK, Ipv4Addr::UNSPECIFIED.into(), port)
}

pub(crate) fn unspecified_ipv6(port: u16) -> Result {
    served(
        Ipv6Addr::LOCALHOST.into(),
        Ipv6Addr::UNSPECIFIED.into(),
        port,
    )
}

pub(crate) fn dual_stack(port: u16) -> Result {
    served(Ipv6Addr::UNSPECIFIED.into(), LOOPBACK, port)
}

pub(crate) fn node_address(port: u16) -> Result {
    netns::enter()?;
    netns::add_node_address()?;
    served(Ipv4Addr::UNSPECIFIED.into(), netns::NODE.into(), port)
}

pub(crate) fn own_namespace(port: u16) -> Result {
    netns::enter()?;
    served(LOOPBACK, LOOPBACK, port)
}

/// A socket that was made in another network namespace than its process is in now.
pub(crate) fn foreign_socket(port: u16) -> Result {
    netns::enter()?;
    let socket = tcp(local(port))?;
    let there = netns::inode()?;
    netns::enter()?;
    fact("netns", there);
    fails(&socket, local(port), Errno::CONNREFUSED)
}

/// Nothing leads there: the kernel refuses before it sends anything.
pub(crate) fn no_route(port: u16) -> Result {
    netns::enter()?;
    let address = SocketAddr::new(Ipv4Addr::new(198, 51, 100, 1).into(), port);
    fails(&tcp(address)?, address, Errno::NETUNREACH)
}

/// A router answers that the host cannot be reached.
pub(crate) fn host_unreachable(port: u16) -> Result {
    netns::enter()?;
    nft::filter(port, nft::Verdict::HostUnreachable)?;
    fails(&tcp(local(port))?, local(port), Errno::HOSTUNREACH)
}

/// A filter answers the SYN with RST, though somebody listens.
pub(crate) fn reset_by_filter(port: u16) -> Result {
    netns::enter()?;
    nft::filter(port, nft::Verdict::Reset)?;
    let listener = TcpListener::bind(local(port))?;
    fails(&tcp(local(port))?, local(port), Errno::CONNREFUSED)?;
    drop(listener);
    Ok(())
}

/// Nobody answers; the connect ends after a second.
pub(crate) fn timed_out(port: u16) -> Result {
    netns::enter()?;
    nft::filter(port, nft::Verdict::Drop)?;
    let socket = tcp(local(port))?;
    net::sockopt::set_tcp_user_timeout(&socket, 300)?;
    fails(&socket, local(port), Errno::TIMEDOUT)
}

/// Nobody answers, and the process that connects closes its socket.
pub(crate) fn given_up(port: u16) -> Result {
    netns::enter()?;
    nft::filter(port, nft::Verdict::Drop)?;
    let socket = tcp(local(port))?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    fails(&socket, local(port), Errno::INPROGRESS)?;
    tell_source(&socket)?;
    drop(socket);
    Ok(())
}

/// The client resets before the server takes the connection.
pub(crate) fn reset_before_accept(port: u16) -> Result {
    let listener = TcpListener::bind(local(port))?;
    let stream = TcpStream::connect(local(port))?;
    fact("source", stream.local_addr()?.port());
    net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    drop(stream);
    let (mut accepted, _peer) = listener.accept()?;
    match accepted.read(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
        other => Err(format!("the read ended with {other:?}").into()),
    }
}

/// A socket that connects to itself: both ends send a SYN, nobody listens.
pub(crate) fn to_itself(port: u16) -> Result {
    let socket = tcp(local(port))?;
    net::sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &local(port))?;
    net::connect(&socket, &local(port))?;
    Ok(())
}

/// A socket that another connects to while it connects there itself is in SYN_RECV. Its answer does not
/// arrive, and its own side closes it.
pub(crate) fn crossed(port: u16) -> Result {
    const SYN_RECV: u8 = 3;
    netns::enter()?;
    nft::filter(port, nft::Verdict::Drop)?;
    let connect = |from: u16, to: u16| -> Result<OwnedFd> {
        let socket = tcp(local(to))?;
        net::bind(&socket, &local(from))?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        fails(&socket, local(to), Errno::INPROGRESS)?;
        Ok(socket)
    };
    let socket = connect(port + 1, port)?;
    tell_source(&socket)?;
    let _other = connect(port, port + 1)?;
    while raw::state(socket.as_fd())? != SYN_RECV {
        std::thread::yield_now();
    }
    drop(socket);
    Ok(())
}

/// `TCP_REPAIR`: the kernel takes the connection for established and sends nothing.
pub(crate) fn repaired(port: u16) -> Result {
    netns::enter()?;
    let socket = tcp(local(port))?;
    raw::option(socket.as_fd(), libc::IPPROTO_TCP, libc::TCP_REPAIR, 1)
        .map_err(|_error| crate::Lacks("TCP_REPAIR"))?;
    net::bind(&socket, &local(0))?;
    net::connect(&socket, &local(port))?;
    tell_source(&socket)
}

/// The filter sends another port's connections to the watched one. Stays until it is told to end: so does
/// its network namespace.
pub(crate) fn redirected(port: u16) -> Result {
    netns::enter()?;
    nft::redirect(port + 1, port)?;
    let listener = TcpListener::bind(local(port))?;
    let stream = TcpStream::connect(local(port + 1))?;
    fact("source", stream.local_addr()?.port());
    drop(listener.accept()?);
    drop(stream);
    fact("ready", 1);
    traffic::wait_for_line()
}

/// Listens, says so, and blocks in accept; stays until it is told to end.
pub(crate) fn blocked_accept(port: u16) -> Result {
    let listener = TcpListener::bind(local(port))?;
    fact("ready", 1);
    drop(listener.accept()?);
    traffic::wait_for_line()
}

/// Listens and says so; accepts once it is told to.
pub(crate) fn older_listener(port: u16) -> Result {
    let listener = TcpListener::bind(local(port))?;
    fact("ready", 1);
    traffic::wait_for_line()?;
    drop(listener.accept()?);
    Ok(())
}

/// A connection that stays in the queue.
pub(crate) fn never_accepted(port: u16) -> Result {
    let listener = TcpListener::bind(local(port))?;
    client(port)?;
    drop(listener);
    Ok(())
}

/// A connection that is accepted once the trigger is told to.
pub(crate) fn late_accept(port: u16) -> Result {
    let listener = TcpListener::bind(local(port))?;
    client(port)?;
    traffic::wait_for_line()?;
    drop(listener.accept()?);
    Ok(())
}

/// Connects to what an older trigger listens at.
pub(crate) fn client(port: u16) -> Result {
    let stream = TcpStream::connect(local(port))?;
    fact("source", stream.local_addr()?.port());
    drop(stream);
    Ok(())
}
