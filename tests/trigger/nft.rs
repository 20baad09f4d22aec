//! One rule of nftables in the network namespace of the calling thread, over netlink
//! (include/uapi/linux/netfilter/nf_tables.h).

use rustix::{io::Errno, net};

use crate::{
    Lacks, Result,
    netlink::{self, NLM_F_ACK, attribute, nested, string},
};

const NETLINK_NETFILTER: u32 = 12;
const NLM_F_CREATE: u16 = 0x400;
const NLM_F_APPEND: u16 = 0x800;

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
/// Offsets of the destination and of the flags in a TCP header, and of these the ACK.
const DESTINATION_PORT: u32 = 2;
const FLAGS: u32 = 13;
const ACK: u8 = 0x10;

pub(crate) enum Verdict {
    Drop,
    Reset,
    HostUnreachable,
}

/// What becomes of segments to this port.
pub(crate) fn filter(port: u16, verdict: Verdict) -> Result {
    let action = match verdict {
        Verdict::Drop => drop_it(),
        Verdict::Reset => expression("reject", &[number(1, 1), attribute(2, &[0])]),
        // ICMP_HOST_UNREACH
        Verdict::HostUnreachable => expression("reject", &[number(1, 0), attribute(2, &[1])]),
    };
    install("filter", HOOK_INPUT, 0, port, &[action])
}

/// Segments to this port that acknowledge, and have nothing else, are dropped.
pub(crate) fn drop_acknowledgements(port: u16) -> Result {
    let actions = [header(FLAGS, 1), equals(&[ACK]), drop_it()];
    install("filter", HOOK_INPUT, 0, port, &actions)
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
        header(DESTINATION_PORT, 2),
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
fn send(batch: &[u8], messages: usize) -> Result {
    let socket = netlink::socket(NETLINK_NETFILTER).map_err(|_errno| Lacks("nf_tables"))?;
    net::send(&socket, batch, net::SendFlags::empty())?;
    for answer in netlink::answers(&socket, messages)? {
        answer.map_err(refusal)?;
    }
    Ok(())
}

/// A kernel without the table's family or an expression says that it does not find it.
fn refusal(errno: Errno) -> Box<dyn std::error::Error> {
    match errno {
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
    let [high, low] = resource.to_be_bytes();
    let body = [&[family, 0, high, low], attributes].concat();
    netlink::message(kind, flags, sequence, &body)
}

/// Loads so many bytes of the TCP header.
fn header(offset: u32, length: u32) -> Vec<u8> {
    // NFT_PAYLOAD_TRANSPORT_HEADER
    let place = [number(2, 2), number(3, offset), number(4, length)].concat();
    expression("payload", &[number(1, REGISTER), place])
}

fn drop_it() -> Vec<u8> {
    let verdict = nested(2, &nested(2, &number(1, 0)));
    expression("immediate", &[number(1, VERDICT_REGISTER), verdict])
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
