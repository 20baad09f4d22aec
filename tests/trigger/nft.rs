//! One rule of nftables in the network namespace of the calling thread, over netlink
//! (include/uapi/linux/netfilter/nf_tables.h).

use std::os::fd::OwnedFd;

use rustix::{io::Errno, net};

use crate::{Lacks, Result};

const NETLINK_NETFILTER: u32 = 12;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_APPEND: u16 = 0x800;
const NLA_F_NESTED: u16 = 0x8000;

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const SUBSYSTEM: u16 = 10 << 8;
const NEWTABLE: u16 = SUBSYSTEM;
const NEWCHAIN: u16 = SUBSYSTEM | 3;
const NEWRULE: u16 = SUBSYSTEM | 6;

const AF_INET: u8 = 2;
const HOOK_INPUT: u32 = 1;
const HOOK_OUTPUT: u32 = 3;
const PRIORITY_DNAT: u32 = (-100_i32).cast_unsigned();
const REGISTER: u32 = 1;
const SECOND_REGISTER: u32 = 2;
const VERDICT_REGISTER: u32 = 0;
/// Offset of the destination in a TCP header.
const DESTINATION_PORT: u32 = 2;

pub(crate) enum Verdict {
    Drop,
    Reset,
    HostUnreachable,
}

/// What becomes of segments to this port.
pub(crate) fn filter(port: u16, verdict: Verdict) -> Result {
    let action = match verdict {
        Verdict::Drop => {
            let verdict = nested(2, &nested(2, &number(1, 0)));
            expression("immediate", &[number(1, VERDICT_REGISTER), verdict])
        }
        Verdict::Reset => expression("reject", &[number(1, 1), attribute(2, &[0])]),
        // ICMP_HOST_UNREACH
        Verdict::HostUnreachable => expression("reject", &[number(1, 0), attribute(2, &[1])]),
    };
    install("filter", HOOK_INPUT, 0, port, &[action])
}

/// Connections of this node to `from` go to `to`.
pub(crate) fn redirect(from: u16, to: u16) -> Result {
    let load = |register, bytes: &[u8]| {
        let data = nested(2, &attribute(1, bytes));
        expression("immediate", &[number(1, register), data])
    };
    let actions = [
        load(REGISTER, &[127, 0, 0, 1]),
        load(SECOND_REGISTER, &to.to_be_bytes()),
        // NFT_NAT_DNAT, NFPROTO_IPV4, and the registers of address and port.
        expression(
            "nat",
            &[
                number(1, 1),
                number(2, AF_INET.into()),
                number(3, REGISTER),
                number(5, SECOND_REGISTER),
            ],
        ),
    ];
    install("nat", HOOK_OUTPUT, PRIORITY_DNAT, from, &actions)
}

/// A table `t`, a chain `c` of this kind, and a rule on TCP segments to the port.
fn install(kind: &str, hook: u32, priority: u32, port: u16, actions: &[Vec<u8>]) -> Result {
    let table = string(1, "t");
    let chain = [
        table.clone(),
        string(3, "c"),
        nested(4, &[number(1, hook), number(2, priority)].concat()),
        string(7, kind),
    ]
    .concat();
    let mut expressions = vec![
        // NFT_META_L4PROTO
        expression("meta", &[number(2, 16), number(1, REGISTER)]),
        equals(&[6]),
        // NFT_PAYLOAD_TRANSPORT_HEADER
        expression(
            "payload",
            &[
                number(1, REGISTER),
                number(2, 2),
                number(3, DESTINATION_PORT),
                number(4, 2),
            ],
        ),
        equals(&port.to_be_bytes()),
    ];
    expressions.extend_from_slice(actions);
    let rule = [
        table.clone(),
        string(2, "c"),
        nested(4, &expressions.concat()),
    ]
    .concat();
    let create = NLM_F_CREATE | NLM_F_ACK;
    let batch = [
        message(BATCH_BEGIN, 0, 0, &[]),
        message(NEWTABLE, create, 1, &table),
        message(NEWCHAIN, create, 2, &chain),
        message(NEWRULE, create | NLM_F_APPEND, 3, &rule),
        message(BATCH_END, 0, 4, &[]),
    ];
    send(&batch.concat(), 3)
}

/// Sends a batch and reads the answers of its messages.
fn send(batch: &[u8], messages: u32) -> Result {
    let protocol = std::num::NonZeroU32::new(NETLINK_NETFILTER).map(net::Protocol::from_raw);
    let socket: OwnedFd = net::socket(net::AddressFamily::NETLINK, net::SocketType::RAW, protocol)
        .map_err(|_errno| Lacks("nf_tables"))?;
    net::send(&socket, batch, net::SendFlags::empty())?;
    let mut answered = 0;
    let mut buffer = [0; 8192];
    while answered < messages {
        let (_, length) = net::recv(&socket, &mut buffer, net::RecvFlags::empty())?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        while let Some((header, _)) = rest.split_first_chunk::<20>() {
            let [
                a,
                b,
                c,
                d,
                kind,
                kind2,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                _,
                error @ ..,
            ] = *header;
            if u16::from_ne_bytes([kind, kind2]) == NLMSG_ERROR {
                match i32::from_ne_bytes(error) {
                    0 => answered += 1,
                    error => return Err(refusal(-error)),
                }
            }
            let length = usize::try_from(u32::from_ne_bytes([a, b, c, d]))?;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
    Ok(())
}

/// A kernel without the table's family or an expression says that it does not find it.
fn refusal(errno: i32) -> Box<dyn std::error::Error> {
    match Errno::from_raw_os_error(errno) {
        Errno::NOENT | Errno::OPNOTSUPP | Errno::INVAL => Lacks("nf_tables").into(),
        other => format!("nftables: {other}").into(),
    }
}

fn message(kind: u16, flags: u16, sequence: u32, attributes: &[u8]) -> Vec<u8> {
    let (family, resource) = if kind == BATCH_BEGIN || kind == BATCH_END {
        (0, SUBSYSTEM >> 8)
    } else {
        (AF_INET, 0)
    };
    let length = u32::try_from(20 + attributes.len()).unwrap_or(u32::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((NLM_F_REQUEST | flags).to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend([family, 0]);
    bytes.extend(resource.to_be_bytes());
    bytes.extend(attributes);
    bytes
}

/// Compares `REGISTER` (NFT_CMP_EQ).
fn equals(bytes: &[u8]) -> Vec<u8> {
    let data = nested(3, &attribute(1, bytes));
    expression("cmp", &[number(1, REGISTER), number(2, 0), data])
}

/// An element of a rule's list of expressions.
fn expression(name: &str, attributes: &[Vec<u8>]) -> Vec<u8> {
    let body = [string(1, name), nested(2, &attributes.concat())].concat();
    nested(1, &body)
}

fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

fn string(kind: u16, text: &str) -> Vec<u8> {
    attribute(kind, &[text.as_bytes(), &[0]].concat())
}

fn nested(kind: u16, attributes: &[u8]) -> Vec<u8> {
    attribute(kind | NLA_F_NESTED, attributes)
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
