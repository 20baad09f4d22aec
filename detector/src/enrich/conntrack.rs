//! Where the client of an accept connected to: a filter may have sent it to the watched port from
//! another one. The kernel's tracking of connections knows (ctnetlink), by network namespace.

use std::{
    fs::{self, File},
    io,
    net::IpAddr,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::{Path, PathBuf},
    thread,
};

use netlink_packet_core::{
    ErrorMessage, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
    conntrack::{ConntrackAttribute, ConntrackMessage, IPTuple, ProtoTuple, Protocol, Tuple},
};
use rustix::{
    net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use super::process;
use crate::event::{Endpoint, Event, Kind};

/// include/uapi/linux/netlink.h
const NETLINK_NETFILTER: u32 = 12;
/// Bytes of an answer; one connection has less than a thousand.
const MAX_ANSWER: usize = 4096;

pub(super) struct Conntrack {
    /// The host's /proc.
    proc: PathBuf,
    /// Inode of the network namespace that this process is in.
    home: Option<u64>,
    /// Of that namespace. One of another is not kept: it would keep the namespace.
    socket: Option<OwnedFd>,
    sequence: u32,
    /// That the kernel refuses was told.
    told: bool,
}

impl Conntrack {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            proc: process::mounted(root),
            home: inode(Path::new("/proc/thread-self/ns/net")),
            socket: None,
            sequence: 0,
            told: false,
        }
    }

    /// `None` also if the connection is not tracked.
    pub(super) fn original(&mut self, event: &Event) -> Option<Endpoint> {
        let client = event.socket.client.filter(|_| event.kind == Kind::Accept)?;
        let netns = u64::from(event.socket.netns);
        self.sequence = self.sequence.wrapping_add(1);
        let question = Question {
            sequence: self.sequence,
            server: event.socket.server,
            client,
        };
        let answer = if self.home == Some(netns) {
            self.at_home(&question)
        } else {
            let path = self.proc.join(format!("{}/ns/net", event.process.pid));
            socket_in(path, netns).and_then(|socket| question.ask(&socket))
        };
        answer.unwrap_or_else(|error| {
            if !self.told {
                tracing::warn!(%error, "connection tracking cannot be asked for flow.original.*");
            }
            self.told = true;
            None
        })
    }

    fn at_home(&mut self, question: &Question) -> io::Result<Option<Endpoint>> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => socket()?,
        };
        let answer = question.ask(&socket)?;
        self.socket = Some(socket);
        Ok(answer)
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|about| about.ino())
}

fn socket() -> io::Result<OwnedFd> {
    let protocol = std::num::NonZeroU32::new(NETLINK_NETFILTER).map(net::Protocol::from_raw);
    let flags = SocketFlags::CLOEXEC;
    Ok(net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        flags,
        protocol,
    )?)
}

/// Made by a thread of its own that goes into the namespace: the others stay where they are.
fn socket_in(path: PathBuf, netns: u64) -> io::Result<OwnedFd> {
    let file = File::open(path)?;
    if file.metadata()?.ino() != netns {
        let text = "no process is known of the network namespace of a connection";
        return Err(io::Error::other(text));
    }
    let make = move || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
        socket()
    };
    let made = thread::Builder::new().spawn(make)?.join();
    made.unwrap_or_else(|_panic| Err(io::Error::other("the thread panicked")))
}

/// About the connection from `client` as `server` sees it.
struct Question {
    sequence: u32,
    server: Endpoint,
    client: Endpoint,
}

impl Question {
    /// The kernel answers within the send, so nothing is waited for.
    fn ask(&self, socket: &OwnedFd) -> io::Result<Option<Endpoint>> {
        net::send(socket, &self.bytes(), SendFlags::empty())?;
        let mut buffer = [0; MAX_ANSWER];
        loop {
            let (_, length) = net::recv(socket, &mut buffer, RecvFlags::DONTWAIT)?;
            let bytes = buffer.get(..length).unwrap_or_default();
            let answer =
                NetlinkMessage::<NetfilterMessage>::deserialize(bytes).map_err(io::Error::other)?;
            // What is left of an earlier question that failed is passed over.
            if answer.header.sequence_number == self.sequence {
                return destination(answer.payload);
            }
        }
    }

    /// What this node sends back is the reply: from the server, whatever a filter makes of it then.
    fn bytes(&self) -> Vec<u8> {
        let (server, client) = (self.server, self.client);
        let tuple = vec![
            Tuple::Ip(vec![
                IPTuple::SourceAddress(server.ip),
                IPTuple::DestinationAddress(client.ip),
            ]),
            Tuple::Proto(vec![
                ProtoTuple::Protocol(Protocol::Tcp),
                ProtoTuple::SourcePort(server.port),
                ProtoTuple::DestinationPort(client.port),
            ]),
        ];
        let family = match server.ip {
            IpAddr::V4(_) => NetfilterProtoFamily::IPv4,
            IpAddr::V6(_) => NetfilterProtoFamily::IPv6,
        };
        let get = ConntrackMessage::Get(vec![ConntrackAttribute::CtaTupleReply(tuple)]);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST;
        header.sequence_number = self.sequence;
        let inner = NetfilterMessage::new(NetfilterHeader::new(family, 0, 0), get);
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(inner));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }
}

/// Of the original direction; a connection that is not tracked has none.
fn destination(payload: NetlinkPayload<NetfilterMessage>) -> io::Result<Option<Endpoint>> {
    let attributes = match payload {
        NetlinkPayload::InnerMessage(NetfilterMessage {
            inner: NetfilterMessageInner::Conntrack(ConntrackMessage::New(attributes)),
            ..
        }) => attributes,
        NetlinkPayload::Error(error) => return refused(&error),
        _ => return Err(io::Error::other("the answer is of another kind")),
    };
    let (mut ip, mut port) = (None, None);
    for attribute in attributes {
        let ConntrackAttribute::CtaTupleOrig(tuples) = attribute else {
            continue;
        };
        for tuple in tuples {
            match tuple {
                Tuple::Ip(parts) => {
                    ip = parts.into_iter().find_map(|part| match part {
                        IPTuple::DestinationAddress(ip) => Some(ip),
                        _ => None,
                    });
                }
                Tuple::Proto(parts) => {
                    port = parts.into_iter().find_map(|part| match part {
                        ProtoTuple::DestinationPort(port) => Some(port),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
    }
    Ok(ip.zip(port).map(|(ip, port)| Endpoint { ip, port }))
}

fn refused(error: &ErrorMessage) -> io::Result<Option<Endpoint>> {
    let error = error.to_io();
    match error.kind() {
        io::ErrorKind::NotFound => Ok(None),
        _ => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(ip: &str, port: u16) -> Endpoint {
        let ip = ip.parse().unwrap();
        Endpoint { ip, port }
    }

    #[test]
    fn the_destination_is_that_of_the_original_direction() {
        let tuple = |from: Endpoint, to: Endpoint| {
            vec![
                Tuple::Ip(vec![
                    IPTuple::SourceAddress(from.ip),
                    IPTuple::DestinationAddress(to.ip),
                ]),
                Tuple::Proto(vec![
                    ProtoTuple::Protocol(Protocol::Tcp),
                    ProtoTuple::SourcePort(from.port),
                    ProtoTuple::DestinationPort(to.port),
                ]),
            ]
        };
        let (client, named) = (end("10.0.0.9", 5002), end("10.0.0.5", 443));
        let server = end("10.0.0.5", 10250);
        let answer = ConntrackMessage::New(vec![
            ConntrackAttribute::CtaTupleReply(tuple(server, client)),
            ConntrackAttribute::CtaTupleOrig(tuple(client, named)),
        ]);
        let header = NetfilterHeader::new(NetfilterProtoFamily::IPv4, 0, 0);
        let payload = NetlinkPayload::from(NetfilterMessage::new(header, answer));
        assert_eq!(destination(payload).unwrap(), Some(named));
    }

    #[test]
    fn a_connection_that_is_not_tracked_has_none() {
        let Ok(socket) = socket() else {
            return;
        };
        let question = Question {
            sequence: 7,
            server: end("192.0.2.1", 10250),
            client: end("192.0.2.2", 1),
        };
        match question.ask(&socket) {
            Ok(found) => assert_eq!(found, None),
            // Without privileges, or where connections cannot be tracked.
            Err(error) => assert_ne!(error.kind(), io::ErrorKind::NotFound, "{error}"),
        }
    }
}
