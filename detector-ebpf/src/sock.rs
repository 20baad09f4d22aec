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

/// A sock that can be read.
pub(crate) trait Readable: Copy {
    fn address(self) -> u64;

    fn member<T: Copy + Default>(self, row: usize) -> T;

    /// A member of what was come to from the sock.
    fn beyond<T: Copy + Default>(base: u64, row: usize) -> T;
}

/// A sock that the verifier knows: an argument of a traced function, read without a helper. Never a
/// null one: see `accept`.
#[derive(Clone, Copy)]
pub(crate) struct Sock(pub(crate) *const u8);

impl Sock {
    #[inline(always)]
    pub(crate) fn is_tcp(self) -> bool {
        self.member::<u16>(offset::SOCK_PROTOCOL) == IPPROTO_TCP
    }

    #[inline(always)]
    pub(crate) fn family(self) -> u16 {
        self.member(offset::SOCK_FAMILY)
    }

    /// Host byte order.
    #[inline(always)]
    pub(crate) fn local_port(self) -> u16 {
        self.member(offset::SOCK_NUM)
    }

    #[inline(always)]
    pub(crate) fn remote_port(self) -> u16 {
        u16::from_be(self.member(offset::SOCK_DPORT))
    }
}

impl Readable for Sock {
    #[inline(always)]
    fn address(self) -> u64 {
        self.0 as u64
    }

    #[inline(always)]
    fn member<T: Copy + Default>(self, row: usize) -> T {
        unsafe { core::ptr::read_volatile(self.0.add(read::offset(row) as usize).cast()) }
    }

    #[inline(always)]
    fn beyond<T: Copy + Default>(base: u64, row: usize) -> T {
        read::known(base, row)
    }
}

/// A sock at an address, read by helpers; of address 0 all is zero.
#[derive(Clone, Copy)]
pub(crate) struct At(pub(crate) u64);

impl Readable for At {
    #[inline(always)]
    fn address(self) -> u64 {
        self.0
    }

    #[inline(always)]
    fn member<T: Copy + Default>(self, row: usize) -> T {
        read::member(self.0, row)
    }

    #[inline(always)]
    fn beyond<T: Copy + Default>(base: u64, row: usize) -> T {
        read::member(base, row)
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

/// The socket part of a record; `ended` if the sock may have lost its port.
#[inline(always)]
pub(crate) fn fill<S: Readable>(socket: &mut Socket, sock: S, notice: &Notice, ended: bool) {
    let family: u16 = sock.member(offset::SOCK_FAMILY);
    socket.family = family;
    // `inet_put_port` clears the bound port before CLOSE is announced, but not its wire form. A
    // socket that connects again still has the one of its last connection.
    let bound: u16 = sock.member(offset::SOCK_NUM);
    socket.local_port = if bound == 0 && ended {
        u16::from_be(read::member(sock.address(), offset::INET_SPORT))
    } else {
        bound
    };
    socket.remote_port = u16::from_be(sock.member(offset::SOCK_DPORT));
    socket.reserved = 0;
    socket.errno = notice.errno;
    let net: u64 = sock.member(offset::SOCK_NET);
    socket.netns = S::beyond(net, offset::NET_INUM);
    let (local, remote): ([u64; 2], [u64; 2]) = if family == AF_INET6 {
        (
            sock.member(offset::SOCK_V6_RCV_SADDR),
            sock.member(offset::SOCK_V6_DADDR),
        )
    } else {
        let address = |row| [u64::from(sock.member::<u32>(row)), 0];
        (address(offset::SOCK_RCV_SADDR), address(offset::SOCK_DADDR))
    };
    write(&mut socket.local, local);
    write(&mut socket.remote, remote);
    let name = notice.name;
    if name != 0 {
        socket.remote_port = u16::from_be(read::read(name + SOCKADDR_PORT));
        if family == AF_INET6 {
            read::copy(socket.remote.as_mut_ptr(), 16, name + SOCKADDR_V6);
        } else {
            read::copy(socket.remote.as_mut_ptr(), 4, name + SOCKADDR_V4);
        }
    }
}

/// In words: the sum of a record's members before is a multiple of eight.
#[inline(always)]
fn write(address: &mut [u8; 16], words: [u64; 2]) {
    unsafe { address.as_mut_ptr().cast::<[u64; 2]>().write(words) };
}
