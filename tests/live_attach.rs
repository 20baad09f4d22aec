//! Each mechanism that this kernel has gives the same events for the same traffic.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::{collections::BTreeMap, process::Command};

use detector::{
    event::{Attribution, Event, Kind},
    source::{Attach, Options, Ports, ebpf::EbpfError, live::Live},
};
use serde_json::Value;

const MECHANISMS: [(Attach, &str); 3] = [
    (Attach::Fentry, "fentry"),
    (Attach::Kprobe, "kprobe"),
    (Attach::Tracepoint, "tracepoint"),
];

/// Its accept is of nobody but the listener's owner.
const NEVER_ACCEPTED: &str = "never-accepted";
/// Traffic of the trigger, and how many events it makes: by every mechanism, or, where that cannot
/// see all of it, by the tracepoint.
const SCENARIOS: [(&str, usize, usize); 13] = [
    ("listener", 4, 4),
    ("refused", 2, 2),
    ("non-blocking", 2, 2),
    ("ipv6", 2, 2),
    ("mapped", 2, 2),
    ("anywhere", 2, 2),
    ("thread", 2, 2),
    ("listen", 1, 1),
    (NEVER_ACCEPTED, 4, 4),
    ("unanswered", 6, 6),
    // The second connect's result is that of its system call.
    ("taken", 6, 6),
    ("unreachable", 6, 0),
    ("udp", 0, 0),
];

/// Watches these ports; `None`, and why, where the kernel refuses the mechanism.
fn start(ports: &[u16], (attach, name): (Attach, &str)) -> Option<Live> {
    let mut bits = [0; 1024];
    for port in ports {
        bits[usize::from(port >> 6)] |= 1 << (port & 63);
    }
    let ports = Ports {
        connect: &bits,
        accept: &bits,
        listen: &bits,
    };
    let options = Options {
        attach,
        ..Options::default()
    };
    match Live::start(&options, &ports, 0) {
        Ok(live) => {
            println!("live: attached by {name}");
            Some(live)
        }
        Err(error @ (EbpfError::Stub | EbpfError::Privilege { .. } | EbpfError::Tracefs)) => {
            println!("skipped: {error}");
            None
        }
        Err(error @ EbpfError::Subject { .. }) if attach != Attach::Tracepoint => {
            println!("skipped: {name}: {error}");
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

/// The events of a scenario of the trigger.
fn events(live: &mut Live, scenario: &str, port: u16, attach: Attach) -> Vec<Event> {
    // Cargo builds the examples beside the tests.
    let folder = std::env::current_exe().unwrap();
    let folder = folder.parent().unwrap().parent().unwrap();
    let status = Command::new(folder.join("examples/trigger"))
        .args([scenario, &port.to_string()])
        .status()
        .unwrap();
    assert!(status.success(), "{scenario}: {status}");
    let mut events = Vec::new();
    while live.drain(u64::MAX, &mut events).unwrap() {}
    let losses = live.losses(0, true);
    assert!(losses.is_empty(), "{scenario} by {attach:?}: {losses:?}");
    for event in &events {
        let mut expected = Attribution::Caller;
        let by_state = attach == Attach::Tracepoint || scenario == NEVER_ACCEPTED;
        if event.kind == Kind::Accept && by_state {
            expected = Attribution::ListenerOwner;
        }
        assert_eq!(event.attribution, expected, "{scenario} by {attach:?}");
    }
    events
}

/// All that two runs have in common, in an order of its own.
fn comparable(events: &[Event]) -> Vec<String> {
    let mut texts: Vec<String> = events
        .iter()
        .map(|event| {
            let mut told = serde_json::to_value(event).unwrap();
            leave_out(&mut told, &["number", "time_ns", "cpu", "attribution"]);
            leave_out(told.get_mut("thread").unwrap(), &["tid"]);
            let socket = told.get_mut("socket").unwrap();
            leave_out(socket, &["cookie"]);
            if let Some(port) = socket.pointer_mut("/client/port") {
                *port = Value::Bool(*port != 0);
            }
            let mut process = serde_json::to_value(&*event.process).unwrap();
            leave_out(&mut process, &["pid", "vpid", "start_time_ns"]);
            format!("{told:#}\n{process:#}")
        })
        .collect();
    texts.sort();
    texts
}

fn leave_out(value: &mut Value, names: &[&str]) {
    for name in names {
        let left_out = value.as_object_mut().unwrap().remove(*name);
        assert!(left_out.is_some(), "{name}");
    }
}

#[tokio::test]
async fn every_mechanism_gives_the_same_events() {
    let ports: Vec<u16> = (23_000..).step_by(10).take(SCENARIOS.len()).collect();
    let mut first = BTreeMap::new();
    for mechanism in MECHANISMS {
        let Some(mut live) = start(&ports, mechanism) else {
            continue;
        };
        let (attach, name) = mechanism;
        for ((scenario, count, by_tracepoint), port) in SCENARIOS.into_iter().zip(&ports) {
            let seen = events(&mut live, scenario, *port, attach);
            let by_call = attach != Attach::Tracepoint;
            let expected = if by_call { count } else { by_tracepoint };
            assert_eq!(seen.len(), expected, "{scenario} by {name}: {seen:#?}");
            if !by_call && ["taken", "unreachable"].contains(&scenario) {
                continue;
            }
            let seen = comparable(&seen);
            let (other, theirs) = first.entry(scenario).or_insert((name, seen.clone()));
            assert_eq!(&seen, theirs, "{scenario} by {name} and by {other}");
        }
    }
}

#[tokio::test]
async fn a_connect_that_its_system_call_refuses_has_the_errno() {
    const REFUSED: [(&str, u16, i32, &str); 2] = [
        ("unreachable", 23_200, 101, "127.255.255.255"),
        ("taken", 23_210, 99, "127.0.0.1"),
    ];
    for mechanism in MECHANISMS {
        let Some(mut live) = start(&REFUSED.map(|(_, port, ..)| port), mechanism) else {
            continue;
        };
        let (attach, name) = mechanism;
        for (scenario, port, errno, server) in REFUSED {
            let seen = events(&mut live, scenario, port, attach);
            let failed = seen.iter().filter(|event| event.errno > Some(0));
            let failed: Vec<&Event> = failed.collect();
            if attach == Attach::Tracepoint {
                // It sees the end of what was begun, not why.
                let known: Vec<_> = failed.iter().map(|event| event.errno).collect();
                let aborted = (scenario == "taken").then_some(Some(103));
                assert_eq!(known, Vec::from_iter(aborted), "{scenario} by {name}");
                continue;
            }
            for outcome in &failed {
                assert_eq!(outcome.errno, Some(errno), "{scenario} by {name}");
                assert_eq!(outcome.socket.server.port, port);
                assert_eq!(outcome.process.comm, "trigger");
                let attempts = seen.iter().filter(|event| {
                    event.kind == Kind::ConnectAttempt && event.socket == outcome.socket
                });
                assert_eq!(attempts.count(), 1, "{scenario} by {name}: {seen:#?}");
            }
            let first = failed.first().unwrap();
            assert_eq!(first.socket.server.ip.to_string(), server, "by {name}");
        }
    }
}
