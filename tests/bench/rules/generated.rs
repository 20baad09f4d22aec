//! Rule files of any size, and events that they are judged on.

use std::{fmt::Write as _, sync::Arc};

use detector::event::{
    Ancestor, Attribution, Elapsed, Endpoint, Event, Executable, Family, Kind, Process, Socket,
    Thread,
};

/// In what the rules of a file differ.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Differ {
    Ports,
    /// One in three each: names, networks, paths.
    Values,
    /// What each lets off: names, a network and a path of its own beside those that all let off.
    Exceptions,
}

pub(crate) fn rules(count: usize, differ: Differ) -> String {
    let mut text = String::new();
    for n in 0..count {
        let (high, low) = (n / 250, n % 250);
        let condition = match (differ, n % 3) {
            (Differ::Ports, _) => {
                let port = 20_000 + n;
                format!("fd.sport = {port} and not proc.name in (kubelet, kube-apiserver)")
            }
            (Differ::Values, 0) => {
                format!("fd.sport = 10250 and proc.name in (agent-{n}, agent-{n}-helper)")
            }
            (Differ::Values, 1) => {
                format!(
                    "fd.sport = 10250 and fd.cnet in (10.{high}.{low}.0/24, 172.{high}.{low}.0/28)"
                )
            }
            (Differ::Values, _) => format!(
                "fd.sport = 10250 and (proc.exepath startswith /opt/vendor-{n}/ or proc.exepath pmatch (/srv/{n}))"
            ),
            (Differ::Exceptions, _) => format!(
                "fd.sport = 10250 and not proc.name in (kubelet, agent-{n}) \
                 and not fd.cnet in (10.0.0.0/16, 10.{high}.{low}.0/24) \
                 and not proc.exepath startswith /opt/vendor-{n}/"
            ),
        };
        // Writing to a string does not fail.
        let _written = writeln!(
            text,
            "- rule: rule {n}\n  desc: generated\n  condition: evt.type = connect and {condition}\n  \
             output: o %proc.name\n  priority: NOTICE"
        );
    }
    text
}

/// Connects of many processes from many places; of few of them the rules above know.
pub(crate) fn events(count: usize) -> Vec<Event> {
    (0..count).map(event).collect()
}

fn event(n: usize) -> Event {
    // The same numbers in every run, without a pattern that a branch predictor would learn.
    let mixed = |salt: usize, below: usize| {
        let product = (n * 31 + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (product >> 33) % below
    };
    let octet = |salt| u8::try_from(mixed(salt, 250)).unwrap_or(0);
    let name = match mixed(1, 20) {
        0 => format!("agent-{}", mixed(2, 4000)),
        1..12 => "kubelet".to_owned(),
        _ => format!("program-{}", mixed(3, 50)),
    };
    let path = match mixed(4, 20) {
        0 => format!("/opt/vendor-{}/bin/{name}", mixed(5, 4000)),
        1..12 => "/usr/bin/kubelet".to_owned(),
        _ => format!("/usr/local/libexec/{name}"),
    };
    let port = match mixed(6, 20) {
        0 => u16::try_from(20_000 + mixed(7, 4000)).unwrap_or(0),
        _ => 10250,
    };
    let ancestor = |pid, comm: &str| Ancestor {
        pid,
        start_time_ns: 1,
        comm: comm.to_owned(),
        exe_name: comm.to_owned(),
    };
    Event {
        number: 1,
        time_ns: 1_700_000_000_000_000_000,
        cpu: 0,
        kind: Kind::ConnectAttempt,
        socket: Socket {
            cookie: 1,
            family: Family::Ipv4,
            mapped: false,
            client: Some(Endpoint {
                ip: [192, 168, octet(8), octet(9)].into(),
                port: 40_000,
            }),
            server: Endpoint {
                ip: [192, 168, octet(10), octet(11)].into(),
                port,
            },
            netns: 1,
        },
        errno: None,
        attribution: Attribution::Caller,
        thread: Thread {
            tid: 7,
            comm: name.clone(),
        },
        found: false,
        elapsed: Elapsed::default(),
        names: None,
        original: None,
        creator: None,
        process: Arc::new(Process {
            pid: 7,
            comm: name.clone(),
            exe: Executable {
                path,
                ..Executable::default()
            },
            args: vec![name, "--verbose".to_owned()],
            user_name: Some("root".to_owned()),
            ancestors: vec![ancestor(2, "containerd-shim"), ancestor(1, "systemd")],
            ..Process::default()
        }),
    }
}
