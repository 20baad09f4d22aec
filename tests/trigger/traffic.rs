//! The connects, accepts and listens of the scenarios.

use std::{
    io::{ErrorKind, Read as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::OwnedFd,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net,
};

use crate::Result;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(crate) fn refused(address: (impl Into<IpAddr>, u16)) -> Result {
    let address = SocketAddr::new(address.0.into(), address.1);
    match TcpStream::connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(format!("somebody listens at {address}").into()),
    }
}

/// A connect that returns before its handshake, and the wait for its end.
pub(crate) fn non_blocking(port: u16) -> Result {
    let socket = start_connect(SocketAddr::new(LOOPBACK, port))?;
    wait(&socket, Duration::from_secs(5))?;
    match net::sockopt::socket_error(&socket)? {
        Err(Errno::CONNREFUSED) => Ok(()),
        other => Err(format!("the connect ended with {other:?}").into()),
    }
}

pub(crate) fn udp(port: u16) -> Result {
    let socket = UdpSocket::bind((LOOPBACK, 0))?;
    socket.connect((LOOPBACK, port))?;
    socket.send(b"x")?;
    Ok(())
}

pub(crate) fn listener(port: u16) -> Result {
    let listener = TcpListener::bind((LOOPBACK, port))?;
    let stream = TcpStream::connect((LOOPBACK, port))?;
    let accepted = listener.accept()?;
    drop((stream, accepted));
    Ok(())
}

/// On the port and on the fifth above it: the kubelet's API and its read-only port.
pub(crate) fn listen(port: u16) -> Result {
    drop(TcpListener::bind((LOOPBACK, port))?);
    drop(TcpListener::bind((LOOPBACK, port + 5))?);
    Ok(())
}

/// A listener until stdin ends.
pub(crate) fn held(port: u16) -> Result {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?;
    println!("listening");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(listener);
    Ok(())
}

/// A listener that another process connects to.
pub(crate) fn accept(port: u16, client: impl FnOnce() -> Result) -> Result {
    let listener = TcpListener::bind((LOOPBACK, port))?;
    client()?;
    drop(listener.accept()?);
    Ok(())
}

pub(crate) fn connected(port: u16) -> Result {
    drop(TcpStream::connect((LOOPBACK, port))?);
    Ok(())
}

/// A connect that gets no answer: the listener's queue is full with another.
pub(crate) fn unanswered(port: u16) -> Result {
    let address = SocketAddr::new(LOOPBACK, port);
    let listener = tcp_socket(net::SocketFlags::empty())?;
    net::sockopt::set_socket_reuseaddr(&listener, true)?;
    net::bind(&listener, &address)?;
    net::listen(&listener, 0)?;
    let first = TcpStream::connect(address)?;
    let second = start_connect(address)?;
    if wait(&second, Duration::from_millis(400))? {
        return Err("the second connect was answered".into());
    }
    drop((net::accept(&listener)?, first, second));
    Ok(())
}

/// Connects that the kernel refuses before it begins them: to a broadcast address, as a mapped one
/// too, and to a multicast address of IPv6.
pub(crate) fn unreachable(port: u16) -> Result {
    let broadcast = Ipv4Addr::new(127, 255, 255, 255);
    let addresses: [IpAddr; 3] = [
        broadcast.into(),
        broadcast.to_ipv6_mapped().into(),
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into(),
    ];
    for address in addresses {
        match TcpStream::connect((address, port)) {
            Err(error) if error.kind() == ErrorKind::NetworkUnreachable => {}
            other => return Err(format!("the connect to {address} returned {other:?}").into()),
        }
    }
    Ok(())
}

/// A connect that fails after the kernel began it: another has the same addresses and ports.
pub(crate) fn taken(port: u16) -> Result {
    let server = SocketAddr::new(LOOPBACK, port);
    let listener = TcpListener::bind(server)?;
    let bound = |client: SocketAddr| -> Result<OwnedFd> {
        let socket = tcp_socket(net::SocketFlags::empty())?;
        net::sockopt::set_socket_reuseaddr(&socket, true)?;
        net::bind(&socket, &client)?;
        Ok(socket)
    };
    let first = bound(SocketAddr::new(LOOPBACK, 0))?;
    let client = SocketAddr::try_from(net::getsockname(&first)?)?;
    let second = bound(client)?;
    net::connect(&first, &server)?;
    match net::connect(&second, &server) {
        Err(Errno::ADDRNOTAVAIL) => {}
        other => return Err(format!("the second connect returned {other:?}").into()),
    }
    drop((listener.accept()?, first, second));
    Ok(())
}

fn tcp_socket(flags: net::SocketFlags) -> Result<OwnedFd> {
    let (family, kind) = (net::AddressFamily::INET, net::SocketType::STREAM);
    Ok(net::socket_with(family, kind, flags, None)?)
}

fn start_connect(address: SocketAddr) -> Result<OwnedFd> {
    let socket = tcp_socket(net::SocketFlags::NONBLOCK)?;
    match net::connect(&socket, &address) {
        Err(Errno::INPROGRESS) => Ok(socket),
        other => Err(format!("the connect returned {other:?}").into()),
    }
}

/// Waits until a test says to go on.
pub(crate) fn wait_for_line() -> Result {
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// Whether the connect ended within that time.
fn wait(socket: &OwnedFd, time: Duration) -> Result<bool> {
    let time = Timespec::try_from(time)?;
    let ready = poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&time))?;
    Ok(ready > 0)
}
