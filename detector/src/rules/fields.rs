//! The typed catalogue of fields: what a connect, accept or listen event shows (Falco's names).

use std::{borrow::Cow, net::IpAddr};

use super::output::local_time;
use crate::{
    event::{Attribution, Event, Family, Kind, Process},
    host::Host,
};

/// Falco's text for a user that the host does not know.
const NOT_AVAILABLE: &str = "<NA>";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Text,
    Number,
    Bool,
    Ip,
    Port,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Text(Cow<'a, str>),
    Number(i64),
    Bool(bool),
    Ip(IpAddr),
}

type Get = for<'a> fn(&'a Event) -> Option<Value<'a>>;

pub struct Field {
    pub name: &'static str,
    pub kind: Type,
    pub description: &'static str,
    pub get: Get,
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const fn field(name: &'static str, kind: Type, description: &'static str, get: Get) -> Field {
    Field {
        name,
        kind,
        description,
        get,
    }
}

pub fn find(name: &str) -> Option<&'static Field> {
    CATALOGUE.iter().find(|field| field.name == name)
}

/// The field that was meant, if one is spelt alike.
pub fn suggestion(name: &str) -> Option<&'static str> {
    let near = CATALOGUE
        .iter()
        .map(|field| (distance(name, field.name), field.name))
        .min()?;
    (near.0 <= 3).then_some(near.1)
}

/// Levenshtein's.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, a) in left.bytes().enumerate() {
        let mut diagonal = index;
        let mut before = index + 1;
        for (slot, b) in row.iter_mut().skip(1).zip(right.bytes()) {
            let best = (diagonal + usize::from(a != b))
                .min(before + 1)
                .min(*slot + 1);
            diagonal = std::mem::replace(slot, best);
            before = best;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

fn text(value: &str) -> Option<Value<'_>> {
    Some(Value::Text(Cow::Borrowed(value)))
}

fn owned<'a>(value: String) -> Option<Value<'a>> {
    Some(Value::Text(Cow::Owned(value)))
}

fn number<'a>(value: impl TryInto<i64>) -> Option<Value<'a>> {
    value.try_into().ok().map(Value::Number)
}

/// An event without a process has Falco's text of an unknown thread.
fn known<'a>(event: &'a Event, get: fn(&'a Process) -> &'a str) -> Option<Value<'a>> {
    match event.attribution {
        Attribution::Unknown => text(NOT_AVAILABLE),
        Attribution::Caller | Attribution::ListenerOwner => text(get(&event.process)),
    }
}

/// Client and server ends in Falco's notation; IPv6 without brackets.
pub fn connection(event: &Event) -> String {
    let server = event.socket.server;
    match event.socket.client {
        Some(client) => format!(
            "{}:{}->{}:{}",
            client.ip, client.port, server.ip, server.port
        ),
        None => format!("{}:{}", server.ip, server.port),
    }
}

pub fn event_type(kind: Kind) -> &'static str {
    match kind {
        Kind::ConnectAttempt | Kind::ConnectOutcome => "connect",
        Kind::Accept => "accept",
        Kind::Listen => "listen",
    }
}

/// errno names of include/uapi/asm-generic/errno.h that a connect can end with.
fn errno_name(errno: i32) -> String {
    let name = match errno {
        0 => "SUCCESS",
        99 => "EADDRNOTAVAIL",
        100 => "ENETDOWN",
        101 => "ENETUNREACH",
        103 => "ECONNABORTED",
        104 => "ECONNRESET",
        110 => "ETIMEDOUT",
        111 => "ECONNREFUSED",
        112 => "EHOSTDOWN",
        113 => "EHOSTUNREACH",
        other => return other.to_string(),
    };
    name.to_owned()
}

/// `evt.time` needs the host's time zone and is rendered apart.
pub fn time(event: &Event, host: &Host) -> String {
    local_time(event.time_ns, host)
}

pub static CATALOGUE: &[Field] = &[
    field(
        "evt.num",
        Type::Number,
        "number of the event, from 1",
        |e| number(e.number),
    ),
    field("evt.rawtime", Type::Number, "Unix time, nanoseconds", |e| {
        number(e.time_ns)
    }),
    field("evt.type", Type::Text, "connect, accept or listen", |e| {
        text(event_type(e.kind))
    }),
    field("evt.category", Type::Text, "net", |_| text("net")),
    field("evt.source", Type::Text, "syscall", |_| text("syscall")),
    field("evt.cpu", Type::Number, "CPU", |e| number(e.cpu)),
    field("evt.res", Type::Text, "SUCCESS or the errno's name", |e| {
        owned(errno_name(e.errno?))
    }),
    field("evt.rawres", Type::Number, "0 or the negative errno", |e| {
        number(-e.errno?)
    }),
    field("evt.failed", Type::Bool, "ended with an errno", |e| {
        Some(Value::Bool(e.errno? != 0))
    }),
    field(
        "fd.name",
        Type::Text,
        "client->server, or the listener",
        |e| owned(connection(e)),
    ),
    field("fd.type", Type::Text, "ipv4 or ipv6", |e| {
        text(if e.socket.family == Family::Ipv4 {
            "ipv4"
        } else {
            "ipv6"
        })
    }),
    field("fd.typechar", Type::Text, "4 or 6", |e| {
        text(if e.socket.family == Family::Ipv4 {
            "4"
        } else {
            "6"
        })
    }),
    field("fd.l4proto", Type::Text, "tcp", |_| text("tcp")),
    field("fd.sockfamily", Type::Text, "ip", |_| text("ip")),
    field("fd.connected", Type::Bool, "the handshake succeeded", |e| {
        Some(Value::Bool(e.errno? == 0 && e.kind != Kind::Listen))
    }),
    field("fd.cip", Type::Ip, "client address", |e| {
        Some(Value::Ip(e.socket.client?.ip))
    }),
    field("fd.cport", Type::Port, "client port", |e| {
        number(e.socket.client?.port)
    }),
    field("fd.sip", Type::Ip, "server address", |e| {
        Some(Value::Ip(e.socket.server.ip))
    }),
    field("fd.sport", Type::Port, "server port", |e| {
        number(e.socket.server.port)
    }),
    field(
        "proc.name",
        Type::Text,
        "name of the acting thread",
        |e| match e.attribution {
            Attribution::Unknown => text(NOT_AVAILABLE),
            Attribution::Caller | Attribution::ListenerOwner => text(&e.thread.comm),
        },
    ),
    field("proc.pid", Type::Number, "process id", |e| {
        number(e.process.pid)
    }),
    field(
        "proc.vpid",
        Type::Number,
        "process id in its namespace",
        |e| number(e.process.vpid),
    ),
    field("proc.exe", Type::Text, "argv[0]", |e| {
        text(e.process.args.first()?)
    }),
    field("proc.exepath", Type::Text, "path of the executable", |e| {
        known(e, |p| &p.exe.path)
    }),
    field(
        "proc.exe_ino",
        Type::Number,
        "inode of the executable",
        |e| number(e.process.exe.inode),
    ),
    field(
        "proc.exe_dev",
        Type::Number,
        "device of the executable",
        |e| number(e.process.exe.device),
    ),
    field(
        "proc.exe_deleted",
        Type::Bool,
        "the executable was deleted",
        |e| Some(Value::Bool(e.process.exe.deleted)),
    ),
    field(
        "proc.is_exe_from_memfd",
        Type::Bool,
        "the executable is a memfd",
        |e| Some(Value::Bool(e.process.exe.memfd)),
    ),
    field(
        "proc.is_exe_upper_layer",
        Type::Bool,
        "the executable is in the upper layer",
        |e| Some(Value::Bool(e.process.exe.upper_layer)),
    ),
    field("proc.args", Type::Text, "arguments after argv[0]", |e| {
        owned(e.process.args.get(1..).unwrap_or_default().join(" "))
    }),
    field("proc.cmdline", Type::Text, "name and arguments", |e| {
        let rest = e
            .process
            .args
            .get(1..)
            .unwrap_or_default()
            .iter()
            .map(String::as_str);
        let parts: Vec<&str> = std::iter::once(e.thread.comm.as_str())
            .chain(rest)
            .collect();
        owned(parts.join(" "))
    }),
    field(
        "proc.cwd",
        Type::Text,
        "working directory, with a final /",
        |e| owned(format!("{}/", e.process.cwd.trim_end_matches('/'))),
    ),
    field("proc.ppid", Type::Number, "parent's process id", |e| {
        number(e.process.ancestors.first()?.pid)
    }),
    field("proc.pname", Type::Text, "parent's name", |e| {
        text(&e.process.ancestors.first()?.comm)
    }),
    field("proc.sid", Type::Number, "session id", |e| {
        number(e.process.session)
    }),
    field("proc.pgid", Type::Number, "process group id", |e| {
        number(e.process.process_group)
    }),
    field(
        "proc.tty",
        Type::Number,
        "terminal's device number, or 0",
        |e| number(e.process.tty),
    ),
    field("thread.tid", Type::Number, "thread id", |e| {
        number(e.thread.tid)
    }),
    field("thread.cgroups", Type::Text, "cgroup path", |e| {
        text(&e.process.cgroup)
    }),
    field("user.uid", Type::Number, "user id", |e| {
        number(e.process.uid)
    }),
    field("user.name", Type::Text, "user name", |e| {
        match (&e.process.user_name, e.process.uid) {
            _ if e.attribution == Attribution::Unknown => text(NOT_AVAILABLE),
            (Some(name), _) => text(name),
            (None, 0) => text("root"),
            (None, _) => text(NOT_AVAILABLE),
        }
    }),
    field(
        "user.loginuid",
        Type::Number,
        "login user id, -1 if unset",
        |e| Some(Value::Number(e.process.login_uid.map_or(-1, i64::from))),
    ),
    field("group.gid", Type::Number, "group id", |e| {
        number(e.process.gid)
    }),
    field("group.name", Type::Text, "group name", |e| {
        text(e.process.group_name.as_deref().unwrap_or(NOT_AVAILABLE))
    }),
    field(
        "container.id",
        Type::Text,
        "first 12 characters, or host",
        |e| {
            let id = e.process.container_id.as_deref();
            text(id.map_or("host", |id| id.get(..12).unwrap_or(id)))
        },
    ),
    field(
        "flow.cookie",
        Type::Number,
        "joins attempt and outcome",
        |e| number(e.socket.cookie),
    ),
];
