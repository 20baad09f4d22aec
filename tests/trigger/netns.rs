//! A network namespace of this process's own: what is set up there is nobody else's.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddrV4},
    os::{
        fd::AsFd as _,
        unix::{fs::MetadataExt as _, process::CommandExt as _},
    },
    process::Command,
};

use rustix::{
    net,
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space},
};

use crate::{Result, fact, raw};

/// Address of documentation (RFC 5737), given to the loopback interface as if it were the node's.
pub(crate) const NODE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Moves the calling thread there, with the loopback interface up.
pub(crate) fn enter() -> Result {
    raw::unshare(UnshareFlags::NEWNET, "network namespaces")?;
    set_loopback(true)?;
    fact("netns", inode()?);
    Ok(())
}

/// Becomes another program, in a namespace whose loopback interface is up or down.
pub(crate) fn apart(program: &str, arguments: impl Iterator<Item = String>, up: bool) -> Result {
    raw::unshare(UnshareFlags::NEWNET, "network namespaces")?;
    set_loopback(up)?;
    Err(Command::new(program).args(arguments).exec().into())
}

/// Sets the loopback interface of another process's namespace up or down.
pub(crate) fn loopback_of(pid: u32, up: bool) -> Result {
    let namespace = fs::File::open(format!("/proc/{pid}/ns/net"))?;
    let network = LinkNameSpaceType::Network;
    move_into_link_name_space(namespace.as_fd(), Some(network))?;
    set_loopback(up)
}

fn set_loopback(up: bool) -> Result {
    let flags = if up {
        libc::IFF_UP | libc::IFF_RUNNING
    } else {
        0
    };
    raw::interface(
        &any_socket()?,
        libc::SIOCSIFFLAGS,
        &raw::flags_of("lo", flags),
    )?;
    Ok(())
}

/// The inode of the calling thread's network namespace.
pub(crate) fn inode() -> io::Result<u64> {
    Ok(fs::metadata("/proc/thread-self/ns/net")?.ino())
}

/// A second address of the loopback interface.
pub(crate) fn add_node_address() -> Result {
    let address = raw::address_of("lo:1", SocketAddrV4::new(NODE, 0));
    raw::interface(&any_socket()?, libc::SIOCSIFADDR, &address)?;
    Ok(())
}

fn any_socket() -> io::Result<std::os::fd::OwnedFd> {
    Ok(net::socket(
        net::AddressFamily::INET,
        net::SocketType::DGRAM,
        None,
    )?)
}

/// Sets a variable of this namespace, as `net/ipv4/tcp_fastopen`.
pub(crate) fn sysctl(name: &str, value: &str) -> Result {
    let path = format!("/proc/sys/{name}");
    fs::write(&path, value).map_err(|error| format!("{path}: {error}").into())
}
