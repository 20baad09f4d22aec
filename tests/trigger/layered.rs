//! Protocols whose sockets have a TCP socket inside: MPTCP and SMC.

use std::{
    net::TcpListener,
    os::fd::{AsFd as _, OwnedFd},
};

use rustix::{io::Errno, net};

use crate::{
    Lacks, Result, fact, raw, traffic,
    ways::{fails, local, tcp, tell_source},
};

/// include/linux/socket.h
const AF_SMC: net::AddressFamily = net::AddressFamily::from_raw(43);
/// include/uapi/linux/tcp.h
const TCP_ULP: i32 = 31;

pub(crate) fn mptcp() -> Result<OwnedFd> {
    net::socket(
        net::AddressFamily::INET,
        net::SocketType::STREAM,
        Some(net::ipproto::MPTCP),
    )
    .map_err(|_errno| Lacks("MPTCP").into())
}

/// As Go's `net.Listen` makes it since 1.24, where the kernel has MPTCP.
pub(crate) fn mptcp_listener(port: u16) -> Result<TcpListener> {
    let socket = mptcp()?;
    net::sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &local(port))?;
    net::listen(&socket, 128)?;
    Ok(TcpListener::from(socket))
}

fn connected(listener: &TcpListener, client: OwnedFd, port: u16) -> Result {
    net::connect(&client, &local(port))?;
    tell_source(&client)?;
    drop(listener.accept()?);
    drop(client);
    Ok(())
}

pub(crate) fn mptcp_refused(port: u16) -> Result {
    fails(&mptcp()?, local(port), Errno::CONNREFUSED)
}

pub(crate) fn mptcp_both(port: u16) -> Result {
    connected(&mptcp_listener(port)?, mptcp()?, port)
}

pub(crate) fn mptcp_server(port: u16) -> Result {
    connected(&mptcp_listener(port)?, tcp(local(port))?, port)
}

pub(crate) fn mptcp_client(port: u16) -> Result {
    connected(&TcpListener::bind(local(port))?, mptcp()?, port)
}

/// Listens by MPTCP and says so; accepts once it is told to.
pub(crate) fn mptcp_older(port: u16) -> Result {
    let listener = mptcp_listener(port)?;
    fact("ready", 1);
    traffic::wait_for_line()?;
    drop(listener.accept()?);
    Ok(())
}

fn smc() -> Result<OwnedFd> {
    let kind = net::SocketType::STREAM;
    net::socket(AF_SMC, kind, None).map_err(|_errno| Lacks("SMC").into())
}

pub(crate) fn smc_refused(port: u16) -> Result {
    fails(&smc()?, local(port), Errno::CONNREFUSED)
}

pub(crate) fn smc_both(port: u16) -> Result {
    let socket = smc()?;
    // A run shortly before may have left a connection in TIME_WAIT.
    net::sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &local(port))?;
    net::listen(&socket, 1)?;
    connected(&TcpListener::from(socket), smc()?, port)
}

/// A TCP socket that is made one of SMC before it connects.
pub(crate) fn smc_upgraded(port: u16) -> Result {
    let socket = tcp(local(port))?;
    raw::option_bytes(socket.as_fd(), libc::IPPROTO_TCP, TCP_ULP, b"smc")
        .map_err(|_error| Lacks("TCP_ULP smc"))?;
    let listener = TcpListener::bind(local(port))?;
    connected(&listener, socket, port)
}
