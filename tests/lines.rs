//! Events as lines that name the processes of a trigger, for the tests of ways in.

use std::os::unix::fs::MetadataExt as _;

use detector::{
    event::{Event, Kind, Process, Who},
    source::live::Live,
};

use crate::watched::{Trigger, kind, trigger};

/// An event as a line: what, where, how it ended, and who did it.
pub(crate) fn line(event: &Event, port: u16, name: &dyn Fn(&Process) -> String) -> String {
    let server = event.socket.server;
    let mut line = format!("{} {}", kind(event), server.ip);
    if server.port != port {
        line += &format!(" port {}", server.port);
    }
    if event.socket.mapped {
        line += " mapped";
    }
    if event.kind == Kind::ConnectOutcome {
        line += &format!(" errno {}", event.errno.unwrap());
    }
    line + " by " + &name(&event.process)
}

/// Ids of processes become what the trigger calls them.
fn namer(made: &[&Trigger]) -> impl Fn(&Process) -> String {
    let mut names = Vec::new();
    for one in made {
        names.push((one.pid(), "trigger".to_owned()));
        for role in ["client", "acceptor"] {
            if let Some(pid) = one.fact(role) {
                names.push((pid.parse().unwrap(), role.to_owned()));
            }
        }
    }
    move |process| match names.iter().rev().find(|(one, _)| *one == process.pid) {
        Some((_, name)) => name.clone(),
        None if process.pid == 0 => "nobody".to_owned(),
        None if is_kernel(process) => "the kernel".to_owned(),
        None => format!("process {}", process.pid),
    }
}

/// A thread of the kernel runs no file.
pub(crate) fn is_kernel(process: &Process) -> bool {
    process.exe.inode == 0 && process.args.is_empty()
}

/// What each event of a way has whichever way it is.
pub(crate) fn check(events: &[Event], made: &Trigger) {
    let program = trigger();
    let netns = made.fact("netns").map(str::to_owned).unwrap_or_else(|| {
        let own = std::fs::metadata("/proc/self/ns/net").unwrap();
        own.ino().to_string()
    });
    for event in events {
        if event.process.pid != 0 && !is_kernel(&event.process) {
            assert_eq!(event.process.exe.path, program.to_str().unwrap());
            let inode = std::fs::metadata(&program).unwrap().ino();
            assert_eq!(event.process.exe.inode, inode);
        }
        let creator = event.creator.as_ref();
        if let Some(creator) = creator.filter(|_| event.process.pid == made.pid()) {
            assert_eq!(creator.who, Who::Own, "{event:?}");
        }
        assert_eq!(event.socket.netns.to_string(), netns, "{event:?}");
        if let Some(client) = event.socket.client {
            assert_ne!(client.port, 0, "the source port is known: {event:?}");
            if let Some(source) = made.fact("source") {
                assert_eq!(client.port.to_string(), source, "{event:?}");
            }
        }
    }
    for outcome in events.iter().filter(|e| e.kind == Kind::ConnectOutcome) {
        let cookie = outcome.socket.cookie;
        let attempts = events.iter().filter(|event| {
            event.kind == Kind::ConnectAttempt
                && event.socket.cookie == cookie
                && event.socket.client == outcome.socket.client
        });
        assert_eq!(attempts.count(), 1, "an outcome is of its attempt");
    }
}

pub(crate) fn lines(events: &[Event], port: u16, made: &[&Trigger]) -> Vec<String> {
    let name = namer(made);
    let mut lines: Vec<String> = events.iter().map(|e| line(e, port, &name)).collect();
    lines.sort_unstable();
    lines
}

/// Whether connects are seen through state changes alone.
pub(crate) fn by_state(live: &Live) -> bool {
    is_by_state(live, "connect")
}

/// Whether accepts are seen at the end of the handshake.
pub(crate) fn accepts_by_state(live: &Live) -> bool {
    is_by_state(live, "accept")
}

fn is_by_state(live: &Live, subject: &str) -> bool {
    let mut subjects = live.attached().iter();
    let found = subjects.find(|attached| attached.subject == subject);
    found.unwrap().place.contains("inet_sock_set_state")
}

/// Whether the kernel skipped a probe: then nothing is proven, and the way is tried again.
pub(crate) fn interrupted(live: &mut Live) -> bool {
    let losses = live.losses(0, true);
    for loss in &losses {
        println!("lost: {} {} {}", loss.count, loss.subject, loss.cause);
    }
    losses
        .iter()
        .any(|loss| loss.cause == detector::event::RECURSION)
}
