//! A test's `event: {...}`: the fields that are given, and what is usual for the others.

use std::{net::IpAddr, str::FromStr, sync::Arc};

use super::{Mistake, known, texts};
use crate::{
    event::{
        Ancestor, Attribution, Elapsed, Endpoint, Event, Executable, Family, HOST_PIDS, Kind,
        Namespaces, Process, Socket, Thread,
    },
    rules::yaml::Node,
};

/// Documented in rules/README.md.
pub(super) const FIELDS: [&str; 34] = [
    "evt.type",
    "evt.rawres",
    "evt.cpu",
    "fd.cip",
    "fd.cport",
    "fd.sip",
    "fd.sport",
    "proc.name",
    "proc.exe",
    "proc.exepath",
    "proc.args",
    "proc.aname",
    "proc.cwd",
    "proc.pid",
    "proc.vpid",
    "proc.sid",
    "proc.pgid",
    "proc.tty",
    "proc.exe_ino",
    "proc.exe_dev",
    "proc.exe_deleted",
    "proc.is_exe_from_memfd",
    "proc.is_exe_upper_layer",
    "thread.tid",
    "thread.cgroups",
    "user.uid",
    "user.name",
    "user.euid",
    "user.loginuid",
    "user.loginname",
    "group.gid",
    "group.name",
    "container.id",
    "flow.found",
];

/// TASK_COMM_LEN without its terminator (include/linux/sched.h).
const MAX_COMM: usize = 15;
const HOST: &str = "host";

/// What is not given is as of a root process of the host that connects to 10.0.0.5:10250. A connect
/// is an attempt and an outcome.
pub(super) fn events(node: &Node) -> Result<Vec<Event>, Mistake> {
    known(node, &FIELDS)?;
    let kind = match node.get("evt.type").and_then(Node::text) {
        None if node.get("evt.type").is_none() => Kind::ConnectAttempt,
        Some("connect") => Kind::ConnectAttempt,
        Some("accept") => Kind::Accept,
        Some("listen") => Kind::Listen,
        _ => return Err(refused(node, "evt.type", "is connect, accept or listen")),
    };
    let result = result(node, kind)?;
    let process = process(node)?;
    let thread = Thread {
        tid: value(node, "thread.tid")?.unwrap_or(process.pid),
        comm: process.comm.clone(),
    };
    let event = Event {
        number: 1,
        time_ns: 0,
        cpu: value(node, "evt.cpu")?.unwrap_or_default(),
        kind,
        socket: socket(node, kind)?,
        errno: (kind != Kind::ConnectAttempt).then_some(0),
        attribution: Attribution::Caller,
        thread,
        found: value(node, "flow.found")?.unwrap_or_default(),
        elapsed: Elapsed::default(),
        names: None,
        original: None,
        creator: None,
        process: Arc::new(process),
    };
    if kind != Kind::ConnectAttempt {
        return Ok(vec![event]);
    }
    let outcome = Event {
        kind: Kind::ConnectOutcome,
        errno: Some(result.saturating_neg()),
        ..event.clone()
    };
    Ok(vec![event, outcome])
}

fn result(node: &Node, kind: Kind) -> Result<i32, Mistake> {
    let result = value(node, "evt.rawres")?.unwrap_or_default();
    if result > 0 {
        let what = "is 0 or a negative errno, such as -111";
        return Err(refused(node, "evt.rawres", what));
    }
    if result < 0 && kind != Kind::ConnectAttempt {
        let what = "is of a connect: an accept or listen is reported if it succeeded; leave it out";
        return Err(refused(node, "evt.rawres", what));
    }
    Ok(result)
}

fn socket(node: &Node, kind: Kind) -> Result<Socket, Mistake> {
    let written = value(node, "fd.sip")?.unwrap_or(IpAddr::from([10, 0, 0, 5]));
    let server = Endpoint {
        ip: written.to_canonical(),
        port: value(node, "fd.sport")?.unwrap_or(10250),
    };
    if kind == Kind::Listen {
        for field in ["fd.cip", "fd.cport"] {
            if node.get(field).is_some() {
                return Err(refused(
                    node,
                    field,
                    "is of a connection: leave it out of a listen",
                ));
            }
        }
    }
    let near = if server.ip.is_ipv4() {
        IpAddr::from([10, 0, 0, 9])
    } else {
        IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 9])
    };
    let client = Endpoint {
        ip: value(node, "fd.cip")?.unwrap_or(near).to_canonical(),
        port: value(node, "fd.cport")?.unwrap_or(40000),
    };
    if client.ip.is_ipv4() != server.ip.is_ipv4() {
        let what = "is of another family than `fd.sip`: give both as IPv4 or both as IPv6";
        return Err(refused(node, "fd.cip", what));
    }
    Ok(Socket {
        cookie: 1,
        family: if server.ip.is_ipv4() {
            Family::Ipv4
        } else {
            Family::Ipv6
        },
        mapped: written != server.ip,
        client: (kind != Kind::Listen).then_some(client),
        server,
        netns: 1,
    })
}

fn process(node: &Node) -> Result<Process, Mistake> {
    let comm = value(node, "proc.name")?.unwrap_or_else(|| "curl".to_owned());
    if comm.len() > MAX_COMM {
        let what = format!("has at most {MAX_COMM} bytes in the kernel: shorten it");
        return Err(refused(node, "proc.name", &what));
    }
    let mut args = vec![value(node, "proc.exe")?.unwrap_or_else(|| comm.clone())];
    if let Some(more) = node.get("proc.args") {
        args.extend(texts(more)?);
    }
    let names = node.get("proc.aname").map(texts).transpose()?;
    let ancestor = |comm: String| Ancestor {
        exe_name: comm.clone(),
        comm,
        ..Ancestor::default()
    };
    let container_id = value(node, "container.id")?.filter(|id: &String| id != HOST);
    let pid = value(node, "proc.pid")?.unwrap_or(1000);
    let uid = value(node, "user.uid")?.unwrap_or_default();
    Ok(Process {
        pid,
        vpid: value(node, "proc.vpid")?.unwrap_or(pid),
        exe: Executable {
            path: value(node, "proc.exepath")?.unwrap_or_else(|| format!("/usr/bin/{comm}")),
            device: value(node, "proc.exe_dev")?.unwrap_or_default(),
            inode: value(node, "proc.exe_ino")?.unwrap_or_default(),
            memfd: value(node, "proc.is_exe_from_memfd")?.unwrap_or_default(),
            deleted: value(node, "proc.exe_deleted")?.unwrap_or_default(),
            upper_layer: value(node, "proc.is_exe_upper_layer")?.unwrap_or_default(),
        },
        comm,
        args,
        cwd: value(node, "proc.cwd")?.unwrap_or_else(|| "/".to_owned()),
        cgroup: value(node, "thread.cgroups")?.unwrap_or_default(),
        uid,
        gid: value(node, "group.gid")?.unwrap_or_default(),
        euid: value(node, "user.euid")?.unwrap_or(uid),
        login_uid: value(node, "user.loginuid")?,
        user_name: value(node, "user.name")?,
        group_name: value(node, "group.name")?,
        login_name: value(node, "user.loginname")?,
        session: value(node, "proc.sid")?.unwrap_or(pid),
        process_group: value(node, "proc.pgid")?.unwrap_or(pid),
        tty: value(node, "proc.tty")?.unwrap_or_default(),
        namespaces: Namespaces {
            pid: if container_id.is_none() { HOST_PIDS } else { 0 },
            ..Namespaces::default()
        },
        container_id,
        ancestors: names
            .unwrap_or_default()
            .into_iter()
            .map(ancestor)
            .collect(),
        ..Process::default()
    })
}

/// What is wrong with a field that is given.
fn refused(node: &Node, field: &str, what: &str) -> Mistake {
    let place = node.get(field).unwrap_or(node);
    (format!("`{field}` {what}"), place.span.clone())
}

fn value<T: FromStr>(node: &Node, field: &str) -> Result<Option<T>, Mistake> {
    let Some(value) = node.get(field) else {
        return Ok(None);
    };
    let text = value.text().unwrap_or_default();
    text.parse().map(Some).map_err(|_error| {
        let message = format!("`{text}` is no value of `{field}`");
        (message, value.span.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::FIELDS;
    use crate::rules::fields;

    const DOCUMENT: &str = include_str!("../../../../rules/README.md");

    #[test]
    fn fields_are_known_to_rules_and_documented() {
        for field in FIELDS {
            assert!(fields::find(field).is_some(), "{field}");
            assert!(DOCUMENT.contains(&format!("`{field}`")), "{field}");
        }
    }
}
