//! The only reader of `struct sock`.

use detector_ebpf::{PORT_WORDS, Socket, offset};

use crate::{maps::PORTS, read, record::Notice};

pub(crate) const IPPROTO_TCP: u16 = 6;
pub(crate) const AF_INET: u16 = 2;
pub(crate) const AF_INET6: u16 = 10;

/// `struct sockaddr_in` and `sockaddr_in6` (include/uapi/linux/in.h, in6.h): the port and the
/// address; sizes that the kernel takes.
const SOCKADDR_PORT: u64 = 2;
const SOCKADDR_V4: u64 = 4;
const SOCKADDR_V6: u64 = 8;
const SOCKADDR_IN_LEN: i32 = 16;
const SOCKADDR_IN6_LEN: i32 = 24;

/// A sock that the verifier knows: an argument of a traced function, read without a helper. Never a
/// null one: see `accept`.
#[derive(Clone, Copy)]
pub(crate) struct Sock(pub(crate) *const u8);

impl Sock {
    #[inline(always)]
    fn load(self, row: usize) -> u16 {
        unsafe { core::ptr::read_volatile(self.0.add(read::offset(row) as usize).cast()) }
    }

    #[inline(always)]
    pub(crate) fn is_tcp(self) -> bool {
        self.load(offset::SOCK_PROTOCOL) == IPPROTO_TCP
    }

    #[inline(always)]
    pub(crate) fn family(self) -> u16 {
        self.load(offset::SOCK_FAMILY)
    }

    /// Host byte order.
    #[inline(always)]
    pub(crate) fn local_port(self) -> u16 {
        self.load(offset::SOCK_NUM)
    }

    #[inline(always)]
    pub(crate) fn remote_port(self) -> u16 {
        u16::from_be(self.load(offset::SOCK_DPORT))
    }

    #[inline(always)]
    pub(crate) fn address(self) -> u64 {
        self.0 as u64
    }
}

/// Whether any rule can match this port in this direction.
#[inline(always)]
pub(crate) fn is_watched(direction: u32, port: u16) -> bool {
    let word = direction * PORT_WORDS + (port as u32 >> 6);
    match PORTS.get(word) {
        Some(bits) => (bits >> (port & 63)) & 1 == 1,
        None => false,
    }
}

/// The port in the kernel's copy of what connect was called with; `None` if that is no address of
/// the sock's family.
#[inline(always)]
pub(crate) fn named_port(sock: u64, name: u64, length: i32) -> Option<u16> {
    let family: u16 = read::read(name);
    let least = if family == AF_INET6 {
        SOCKADDR_IN6_LEN
    } else {
        SOCKADDR_IN_LEN
    };
    if length < least || family != read::member::<u16>(sock, offset::SOCK_FAMILY) {
        return None;
    }
    Some(u16::from_be(read::read(name + SOCKADDR_PORT)))
}

/// The socket part of a record, for a sock at any address; `ended` if it may have lost its port.
#[inline(always)]
pub(crate) fn fill(socket: &mut Socket, notice: &Notice, ended: bool) {
    let Notice {
        sock, errno, name, ..
    } = *notice;
    let family: u16 = read::member(sock, offset::SOCK_FAMILY);
    socket.family = family;
    // `inet_put_port` clears the bound port before CLOSE is announced, but not its wire form. A
    // socket that connects again still has the one of its last connection.
    let bound: u16 = read::member(sock, offset::SOCK_NUM);
    let on_wire: u16 = read::member(sock, offset::INET_SPORT);
    socket.local_port = if bound == 0 && ended {
        u16::from_be(on_wire)
    } else {
        bound
    };
    socket.remote_port = u16::from_be(read::member(sock, offset::SOCK_DPORT));
    socket.reserved = 0;
    socket.errno = errno;
    let net: u64 = read::member(sock, offset::SOCK_NET);
    socket.netns = read::member(net, offset::NET_INUM);
    if family == AF_INET6 {
        read::copy(
            socket.local.as_mut_ptr(),
            16,
            sock + read::offset(offset::SOCK_V6_RCV_SADDR),
        );
        read::copy(
            socket.remote.as_mut_ptr(),
            16,
            sock + read::offset(offset::SOCK_V6_DADDR),
        );
    } else {
        read::clear(&mut socket.local);
        read::clear(&mut socket.remote);
        read::copy(
            socket.local.as_mut_ptr(),
            4,
            sock + read::offset(offset::SOCK_RCV_SADDR),
        );
        read::copy(
            socket.remote.as_mut_ptr(),
            4,
            sock + read::offset(offset::SOCK_DADDR),
        );
    }
    if name != 0 {
        socket.remote_port = u16::from_be(read::read(name + SOCKADDR_PORT));
        if family == AF_INET6 {
            read::copy(socket.remote.as_mut_ptr(), 16, name + SOCKADDR_V6);
        } else {
            read::copy(socket.remote.as_mut_ptr(), 4, name + SOCKADDR_V4);
        }
    }
}
