//! Messages of netlink and their attributes (include/uapi/linux/netlink.h).

use std::os::fd::OwnedFd;

use rustix::{io::Errno, net};

use crate::Result;

const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
pub(crate) const NLM_F_ACK: u16 = 4;
const NLA_F_NESTED: u16 = 0x8000;
const HEADER: usize = 16;

pub(crate) fn socket(protocol: u32) -> rustix::io::Result<OwnedFd> {
    let protocol = std::num::NonZeroU32::new(protocol).map(net::Protocol::from_raw);
    net::socket(net::AddressFamily::NETLINK, net::SocketType::RAW, protocol)
}

pub(crate) fn message(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(body);
    bytes
}

/// The body of each answer, or the error in its place; an acknowledgement has none. An error is the
/// last: a kernel that does not know whom a batch is for answers it once, not for each message.
pub(crate) fn answers(
    socket: &OwnedFd,
    count: usize,
) -> Result<Vec<std::result::Result<Vec<u8>, Errno>>> {
    let mut answers: Vec<std::result::Result<Vec<u8>, Errno>> = Vec::new();
    let mut buffer = [0; 8192];
    while answers.len() < count && answers.iter().all(|answer| answer.is_ok()) {
        let (_, length) = net::recv(socket, &mut buffer, net::RecvFlags::empty())?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        while let Some(([a, b, c, d, kind, kind2, ..], _)) = rest.split_first_chunk::<HEADER>() {
            let length = usize::try_from(u32::from_ne_bytes([*a, *b, *c, *d]))?;
            let body = rest.get(HEADER..length).unwrap_or_default();
            let error = body.first_chunk().map(|error| i32::from_ne_bytes(*error));
            answers.push(match (u16::from_ne_bytes([*kind, *kind2]), error) {
                (NLMSG_ERROR, Some(0)) => Ok(Vec::new()),
                (NLMSG_ERROR, Some(error)) => Err(Errno::from_raw_os_error(-error)),
                _ => Ok(body.to_vec()),
            });
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
    Ok(answers)
}

pub(crate) fn string(kind: u16, text: &str) -> Vec<u8> {
    attribute(kind, &[text.as_bytes(), &[0]].concat())
}

pub(crate) fn nested(kind: u16, attributes: &[u8]) -> Vec<u8> {
    attribute(kind | NLA_F_NESTED, attributes)
}

pub(crate) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The value of the first attribute of this kind.
pub(crate) fn find(mut attributes: &[u8], kind: u16) -> Option<&[u8]> {
    loop {
        let ([a, b, c, d], _) = attributes.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([*a, *b]));
        if u16::from_ne_bytes([*c, *d]) & !NLA_F_NESTED == kind {
            return attributes.get(4..length);
        }
        attributes = attributes.get(length.next_multiple_of(4).max(4)..)?;
    }
}
