//! A connection of MPTCP that the kernel gives a second subflow by itself, as its path manager of this
//! network namespace was told (include/uapi/linux/mptcp_pm.h).

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use rustix::net;

use crate::{
    Lacks, Result, layered,
    netlink::{self, NLM_F_ACK, attribute, find, nested, string},
    netns, raw,
    ways::local,
};

const NETLINK_GENERIC: u32 = 16;
const CONTROLLER: u16 = 16;
const GETFAMILY: u8 = 3;
const FAMILY_NAME: u16 = 2;
const FAMILY_ID: u16 = 1;
const ADD_ADDRESS: u8 = 1;
const SET_LIMITS: u8 = 5;
const ADDRESS: u16 = 1;
const LIMIT_ADDRESSES: u16 = 2;
const LIMIT_SUBFLOWS: u16 = 3;
const ADDRESS_FAMILY: u16 = 1;
const ADDRESS_IPV4: u16 = 3;
const ADDRESS_FLAGS: u16 = 6;
const FLAG_SUBFLOW: u32 = 2;
const AF_INET: u16 = 2;
/// For what the kernel does in its own time.
const LONG: Duration = Duration::from_secs(5);

pub(crate) fn second(port: u16) -> Result {
    netns::enter()?;
    netns::add_node_address()?;
    // A socket keeps the limits that were in force when it was made.
    allow(netns::NODE)?;
    let listener = layered::mptcp_listener(port)?;
    let client = layered::mptcp()?;
    net::connect(&client, &local(port))?;
    let (mut accepted, _peer) = listener.accept()?;
    // With the first data the server knows that the client speaks MPTCP.
    let mut client = TcpStream::from(client);
    client.write_all(b"x")?;
    accepted.read_exact(&mut [0])?;
    accepted.write_all(b"x")?;
    client.read_exact(&mut [0])?;
    let end = Instant::now() + LONG;
    for side in [&client, &accepted] {
        while raw::subflows(side.as_fd()).map_err(|_error| Lacks("MPTCP_INFO"))? == 0 {
            if Instant::now() > end {
                return Err("there is no second subflow".into());
            }
            std::thread::yield_now();
        }
    }
    Ok(())
}

/// One more subflow, from this address.
fn allow(from: Ipv4Addr) -> Result {
    let lacks = |_errno| Lacks("a path manager of MPTCP");
    let socket = netlink::socket(NETLINK_GENERIC).map_err(lacks)?;
    let ask = |family: u16, command: u8, flags: u16, attributes: &[u8]| -> Result<Vec<u8>> {
        let body = [&[command, 1, 0, 0], attributes].concat();
        let message = netlink::message(family, flags, 1, &body);
        net::send(&socket, &message, net::SendFlags::empty())?;
        let mut answers = netlink::answers(&socket, 1)?;
        let answer = answers.pop().ok_or("no answer")?;
        Ok(answer.map_err(lacks)?)
    };
    let answer = ask(CONTROLLER, GETFAMILY, 0, &string(FAMILY_NAME, "mptcp_pm"))?;
    let family = find(answer.get(4..).unwrap_or_default(), FAMILY_ID)
        .and_then(<[u8]>::first_chunk)
        .map(|id| u16::from_ne_bytes(*id))
        .ok_or("the family has no id")?;
    let limits = [
        attribute(LIMIT_ADDRESSES, &1_u32.to_ne_bytes()),
        attribute(LIMIT_SUBFLOWS, &1_u32.to_ne_bytes()),
    ];
    ask(family, SET_LIMITS, NLM_F_ACK, &limits.concat())?;
    let address = [
        attribute(ADDRESS_FAMILY, &AF_INET.to_ne_bytes()),
        attribute(ADDRESS_IPV4, &from.octets()),
        attribute(ADDRESS_FLAGS, &FLAG_SUBFLOW.to_ne_bytes()),
    ];
    let address = nested(ADDRESS, &address.concat());
    ask(family, ADD_ADDRESS, NLM_F_ACK, &address)?;
    Ok(())
}
