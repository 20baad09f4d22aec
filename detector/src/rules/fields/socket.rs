//! `fd.*`: the two ends of the connection, or the listener. The local end is the one of the process
//! that acts: Falco compares addresses with the interfaces instead, and errs on loopback
//! (docs/falco-compat.md).

use std::{
    fmt::{self, Write as _},
    net::IpAddr,
};

use super::{
    Context, Extracted, Field,
    Get::{Ends, Kind as OfKind, Names, One, Written},
    Short,
    Type::{Bool, Int64, Ip, Net, Port, Text},
    Value, container, flag, owned, signed, text, unsigned,
};
use crate::event::{Endpoint, Event, Family, Kind};

/// Client and server ends in Falco's notation; IPv6 without brackets.
pub(super) fn connection(event: &Event, text: &mut Short) -> fmt::Result {
    if let Some(client) = event.socket.client {
        push(client, text)?;
        text.write_str("->")?;
    }
    push(event.socket.server, text)
}

fn push(end: Endpoint, text: &mut Short) -> fmt::Result {
    match end.ip {
        IpAddr::V4(ip) => {
            for (index, octet) in ip.octets().into_iter().enumerate() {
                text.write_str(if index > 0 { "." } else { "" })?;
                text.write_str(itoa::Buffer::new().format(octet))?;
            }
        }
        IpAddr::V6(ip) => write!(text, "{ip}")?,
    }
    text.write_char(':')?;
    text.write_str(itoa::Buffer::new().format(end.port))
}

#[derive(Clone, Copy)]
enum End {
    Client,
    Server,
    Local,
    Remote,
}

fn connects(event: &Event) -> bool {
    matches!(event.kind, Kind::ConnectAttempt | Kind::ConnectOutcome)
}

fn end(context: Context<'_>, end: End) -> Option<Endpoint> {
    let event = context.event;
    let client = match end {
        End::Client => true,
        End::Server => false,
        End::Local => connects(event),
        End::Remote => !connects(event),
    };
    if client {
        event.socket.client
    } else {
        Some(event.socket.server)
    }
}

fn ip<'a>(context: Context<'a>, of: End) -> Extracted<'a> {
    Some(Value::Ip(end(context, of)?.ip))
}

fn port<'a>(context: Context<'a>, of: End) -> Extracted<'a> {
    unsigned(end(context, of)?.port)
}

/// Falco prints a service name only if name resolution is on; client and server of a listener have
/// the empty text.
fn service(context: Context<'_>, of: End, text: &mut Short) -> Option<()> {
    if context.event.socket.client.is_none() && matches!(of, End::Client | End::Server) {
        return Some(());
    }
    let port = end(context, of)?.port;
    text.write_str(itoa::Buffer::new().format(port)).ok()
}

/// The names of an end; those of the other end are kept apart.
fn names(context: Context<'_>, of: End) -> Option<&[String]> {
    let wanted = end(context, of)?;
    let Some(names) = context.event.names.as_deref() else {
        return Some(&[]);
    };
    Some(if wanted == context.event.socket.server {
        &names.server
    } else {
        &names.client
    })
}

fn ips(context: Context<'_>) -> [Extracted<'_>; 2] {
    [ip(context, End::Client), ip(context, End::Server)]
}

fn ports(context: Context<'_>) -> [Extracted<'_>; 2] {
    [port(context, End::Client), port(context, End::Server)]
}

fn family(context: Context<'_>, v4: &'static str, v6: &'static str) -> Extracted<'static> {
    match context.event.socket.family {
        Family::Ipv4 => text(v4),
        Family::Ipv6 => text(v6),
    }
}

fn with_container(context: Context<'_>) -> Extracted<'_> {
    let id = container::short_id(context).unwrap_or_default();
    let mut name = Short::default();
    connection(context.event, &mut name).ok()?;
    owned(format!("{id}:{}", name.as_str()))
}

/// A connect serves itself if both ends are of this machine, as far as the addresses tell.
fn is_server(event: &Event) -> bool {
    let server = event.socket.server.ip;
    !connects(event)
        || server.is_loopback()
        || event
            .socket
            .client
            .is_some_and(|client| client.ip == server)
}

fn is_connected(event: &Event) -> Option<bool> {
    Some(event.errno? == 0 && event.kind != Kind::Listen)
}

#[rustfmt::skip]
pub(super) fn fields() -> Vec<Field> {
    vec![
        Field::new("fd.name", Text, "client->server, or the listener", Written(|c, text| connection(c.event, text).ok())),
        Field::new("fd.nameraw", Text, "empty", One(|_| text(""))),
        Field::new("fd.containername", Text, "container.id, nothing on the host, then : and fd.name", One(with_container)),
        Field::new("fd.type", Text, "ipv4 or ipv6", One(|c| family(c, "ipv4", "ipv6"))),
        Field::new("fd.typechar", Text, "4 or 6", One(|c| family(c, "4", "6"))),
        Field::new("fd.l4proto", Text, "tcp", OfKind(|_| Some("tcp"))),
        Field::new("fd.sockfamily", Text, "ip", OfKind(|_| Some("ip"))),
        Field::new("fd.dev", Int64, "0", One(|_| signed(0))),
        Field::new("fd.dev.major", Int64, "0", One(|_| signed(0))),
        Field::new("fd.dev.minor", Int64, "0", One(|_| signed(0))),
        Field::new("fd.ino", Int64, "0", One(|_| signed(0))),
        Field::new("fd.is_upper_layer", Bool, "false", One(|_| flag(false))),
        Field::new("fd.is_lower_layer", Bool, "false", One(|_| flag(false))),
        Field::new("fd.is_server", Bool, "the socket serves", One(|c| flag(is_server(c.event)))),
        Field::new("fd.connected", Bool, "the handshake succeeded", One(|c| flag(is_connected(c.event)?))).of_result(),
        Field::new("fd.name_changed", Bool, "the event gave the socket its name", One(|c| flag(c.event.socket.client.is_some()))),
        Field::new("fd.cip", Ip, "client address", One(|c| ip(c, End::Client))),
        Field::new("fd.sip", Ip, "server address", One(|c| ip(c, End::Server))),
        Field::new("fd.lip", Ip, "local address", One(|c| ip(c, End::Local))),
        Field::new("fd.rip", Ip, "remote address", One(|c| ip(c, End::Remote))),
        Field::new("fd.cip.name", Text, "name of the client, of those that conditions ask for", Names(|c| names(c, End::Client))),
        Field::new("fd.sip.name", Text, "name of the server", Names(|c| names(c, End::Server))),
        Field::new("fd.lip.name", Text, "name of the local end", Names(|c| names(c, End::Local))),
        Field::new("fd.rip.name", Text, "name of the remote end", Names(|c| names(c, End::Remote))),
        Field::new("fd.ip", Ip, "either address", Ends(ips)),
        Field::new("fd.cport", Port, "client port", One(|c| port(c, End::Client))),
        Field::new("fd.sport", Port, "server port", One(|c| port(c, End::Server))),
        Field::new("fd.lport", Port, "local port", One(|c| port(c, End::Local))),
        Field::new("fd.rport", Port, "remote port", One(|c| port(c, End::Remote))),
        Field::new("fd.port", Port, "either port", Ends(ports)),
        Field::new("fd.cnet", Net, "network of the client", One(|c| ip(c, End::Client))),
        Field::new("fd.snet", Net, "network of the server", One(|c| ip(c, End::Server))),
        Field::new("fd.lnet", Net, "network of the local end", One(|c| ip(c, End::Local))),
        Field::new("fd.rnet", Net, "network of the remote end", One(|c| ip(c, End::Remote))),
        Field::new("fd.net", Net, "network of either end", Ends(ips)),
        Field::new("fd.cproto", Text, "client port as text", Written(|c, text| service(c, End::Client, text))),
        Field::new("fd.sproto", Text, "server port as text", Written(|c, text| service(c, End::Server, text))),
        Field::new("fd.lproto", Text, "local port as text", Written(|c, text| service(c, End::Local, text))),
        Field::new("fd.rproto", Text, "remote port as text", Written(|c, text| service(c, End::Remote, text))),
        Field::new("fd.proto", Port, "as fd.port", Ends(ports)),
    ]
}
