//! An event to judge: client 10.0.0.9:5002, server 10.0.0.5:10250.

use std::sync::Arc;

use detector::event::{
    Ancestor, Attribution, Elapsed, Endpoint, Event, Executable, Family, Kind, Process, Socket,
    Thread,
};

fn ancestor(pid: u32, comm: &str) -> Ancestor {
    Ancestor {
        pid,
        start_time_ns: 1_000_000_000,
        comm: comm.to_owned(),
        exe_name: format!("{comm}-real"),
    }
}

pub(crate) fn process() -> Process {
    Process {
        pid: 42,
        vpid: 7,
        start_time_ns: 2_000_000_000,
        comm: "curl".to_owned(),
        exe: Executable {
            path: "/usr/bin/curl".to_owned(),
            inode: 99,
            upper_layer: true,
            ..Executable::default()
        },
        args: ["curl", "-k", "https://10.0.0.5:10250/pods"]
            .map(str::to_owned)
            .to_vec(),
        cwd: "/root".to_owned(),
        cgroup: "/kubepods/x".to_owned(),
        uid: 1000,
        gid: 100,
        user_name: Some("ann".to_owned()),
        session: 10,
        process_group: 42,
        tty: 34816,
        capabilities: 1 | 1 << 21,
        container_id: Some("0123456789abcdef0123".to_owned()),
        ancestors: vec![
            ancestor(20, "bash"),
            ancestor(10, "sshd"),
            ancestor(1, "systemd"),
        ],
        ..Process::default()
    }
}

pub(crate) fn event(kind: Kind) -> Event {
    Event {
        number: 3,
        time_ns: 1_700_000_000_000_000_001,
        cpu: 1,
        kind,
        socket: Socket {
            cookie: 7,
            family: Family::Ipv4,
            mapped: false,
            client: (kind != Kind::Listen).then_some(Endpoint {
                ip: [10, 0, 0, 9].into(),
                port: 5002,
            }),
            server: Endpoint {
                ip: [10, 0, 0, 5].into(),
                port: 10250,
            },
            netns: 1,
        },
        errno: match kind {
            Kind::ConnectAttempt => None,
            Kind::ConnectOutcome => Some(111),
            Kind::Accept | Kind::Listen => Some(0),
        },
        attribution: Attribution::Caller,
        thread: Thread {
            tid: 43,
            comm: "curl".to_owned(),
        },
        found: false,
        elapsed: Elapsed::default(),
        names: None,
        original: None,
        creator: None,
        process: Arc::new(process()),
    }
}
