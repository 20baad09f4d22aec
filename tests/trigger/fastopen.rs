//! TCP Fast Open: a connection whose first segment has data, made by a call that sends.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::{AsFd as _, OwnedFd},
};

use rustix::{io::Errno, net};

use crate::{
    Lacks, Result, netns, nft, raw,
    ways::{local, tcp, tell_source},
};

/// `MSG_FASTOPEN` (include/linux/socket.h).
const FASTOPEN: net::SendFlags = net::SendFlags::from_bits_retain(0x2000_0000);
/// Client and server, without cookies, at every listener (net.ipv4.tcp_fastopen).
const WITHOUT_COOKIES: &str = "1543";
const DATA: &[u8] = b"GET /pods HTTP/1.0\r\n\r\n";

/// `sendto` in place of connect, to a port that is closed.
pub(crate) fn refused(port: u16) -> Result {
    let socket = tcp(local(port))?;
    match net::sendto(&socket, DATA, FASTOPEN, &local(port)) {
        Err(Errno::CONNREFUSED) => Ok(()),
        Err(Errno::OPNOTSUPP) => Err(Lacks("TCP Fast Open").into()),
        other => Err(format!("the sendto ended with {other:?}").into()),
    }
}

/// The request is in the SYN, and the server reads it.
pub(crate) fn sendto(port: u16) -> Result {
    netns::enter()?;
    without_cookies()?;
    let listener = TcpListener::bind(local(port))?;
    let socket = tcp(local(port))?;
    net::sendto(&socket, DATA, FASTOPEN, &local(port))?;
    tell_source(&socket)?;
    take(&listener, socket)
}

/// The connect returns at once, and the SYN goes with what is written.
pub(crate) fn deferred(port: u16) -> Result {
    netns::enter()?;
    without_cookies()?;
    let listener = TcpListener::bind(local(port))?;
    let socket = deferring(local(port))?;
    net::connect(&socket, &local(port))?;
    net::send(&socket, DATA, net::SendFlags::empty())?;
    tell_source(&socket)?;
    take(&listener, socket)
}

/// The server accepts before the handshake has ended, which ends when the client sends more.
pub(crate) fn early(port: u16) -> Result {
    const SYN_RECV: u8 = 3;
    netns::enter()?;
    without_cookies()?;
    nft::drop_acknowledgements(port)?;
    let listener = TcpListener::bind(local(port))?;
    let socket = tcp(local(port))?;
    net::sendto(&socket, DATA, FASTOPEN, &local(port))?;
    tell_source(&socket)?;
    let (mut accepted, _peer) = listener.accept()?;
    let state = raw::state(accepted.as_fd())?;
    if state != SYN_RECV {
        return Err(format!("it was accepted in state {state}").into());
    }
    net::send(&socket, b"x", net::SendFlags::empty())?;
    accepted.read_exact(&mut [0; DATA.len() + 1])?;
    drop(socket);
    Ok(())
}

/// Nothing is written after the connect: no SYN is ever sent.
pub(crate) fn never_sent(port: u16) -> Result {
    netns::enter()?;
    without_cookies()?;
    let socket = deferring(local(port))?;
    net::connect(&socket, &local(port))?;
    tell_source(&socket)?;
    drop(socket);
    Ok(())
}

fn deferring(address: SocketAddr) -> Result<OwnedFd> {
    let socket = tcp(address)?;
    raw::option(
        socket.as_fd(),
        libc::IPPROTO_TCP,
        libc::TCP_FASTOPEN_CONNECT,
        1,
    )
    .map_err(|_error| Lacks("TCP_FASTOPEN_CONNECT"))?;
    Ok(socket)
}

fn without_cookies() -> Result {
    netns::sysctl("net/ipv4/tcp_fastopen", WITHOUT_COOKIES)
        .map_err(|_error| Lacks("TCP Fast Open"))?;
    Ok(())
}

/// The server reads the request; the SYN had it, or this is no Fast Open.
fn take(listener: &TcpListener, client: OwnedFd) -> Result {
    let (mut accepted, _peer) = listener.accept()?;
    let mut request = [0; DATA.len()];
    accepted.read_exact(&mut request)?;
    accepted.write_all(b"x")?;
    let mut client = TcpStream::from(client);
    client.read_exact(&mut [0])?;
    if !raw::syn_had_data(client.as_fd())? {
        return Err("the SYN was sent without data".into());
    }
    Ok(())
}
