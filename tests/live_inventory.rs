//! Sockets that are older than the probes: each is told once, as found, and what is opened later is
//! seen.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::{
    io::{BufRead as _, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
};

use detector::{
    event::{Attribution, Event, Kind},
    source::{Options, Ports, ebpf::EbpfError, live::Live},
};

fn only(port: u16) -> [u64; 1024] {
    let mut bits = [0; 1024];
    bits[usize::from(port >> 6)] = 1 << (port & 63);
    bits
}

fn ports(bits: &[u64; 1024]) -> Ports<'_> {
    Ports {
        connect: bits,
        accept: bits,
        listen: bits,
    }
}

/// Attaches to one port, or says why it cannot.
fn start(port: u16) -> Option<Live> {
    match Live::start(&Options::default(), &ports(&only(port)), 0) {
        Ok(live) => {
            println!("live: attached to port {port}");
            Some(live)
        }
        Err(error @ (EbpfError::Stub | EbpfError::Privilege { .. })) => {
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

fn inventory(live: &mut Live, port: u16) -> Vec<Event> {
    let mut events = Vec::new();
    let omitted = live.inventory(&ports(&only(port)), &mut events).unwrap();
    assert_eq!(omitted, None);
    events
}

/// How many of each kind, and whether they were found.
fn count(events: &[Event], kind: Kind, found: bool) -> usize {
    let of = events
        .iter()
        .filter(|one| one.kind == kind && one.found == found);
    of.count()
}

#[tokio::test]
async fn what_is_open_is_found_once_and_what_opens_later_is_seen() {
    const PORT: u16 = 23_100;
    let listener = TcpListener::bind(("127.0.0.1", PORT)).unwrap();
    let older = TcpStream::connect(("127.0.0.1", PORT)).unwrap();
    let accepted = listener.accept().unwrap();
    let Some(mut live) = start(PORT) else { return };
    let between = TcpStream::connect(("127.0.0.1", PORT)).unwrap();
    let mut events = inventory(&mut live, PORT);
    // A handshake may wait for its accept.
    while live.drain(u64::MAX, &mut events).unwrap() {}
    for (kind, found, seen) in [
        (Kind::Listen, 1, 0),
        (Kind::ConnectAttempt, 1, 1),
        (Kind::ConnectOutcome, 1, 1),
        (Kind::Accept, 1, 1),
    ] {
        assert_eq!(count(&events, kind, true), found, "{kind:?} in {events:#?}");
        assert_eq!(count(&events, kind, false), seen, "{kind:?} in {events:#?}");
    }
    for event in events.iter().filter(|event| event.found) {
        assert_eq!(event.attribution, Attribution::Caller);
        assert_eq!(event.process.pid, std::process::id());
        assert_ne!(event.time_ns, 0);
        if let Some(client) = event.socket.client {
            assert_eq!(client.port, older.local_addr().unwrap().port());
        }
    }
    let later = TcpStream::connect(("127.0.0.1", PORT)).unwrap();
    let mut events = Vec::new();
    while live.drain(u64::MAX, &mut events).unwrap() {}
    assert_eq!(count(&events, Kind::ConnectAttempt, false), 1);
    let accept = events
        .iter()
        .find(|event| event.kind == Kind::Accept)
        .unwrap();
    assert_eq!(accept.attribution, Attribution::ListenerOwner);
    assert_eq!(accept.process.pid, std::process::id());
    drop((listener, older, accepted, between, later));
}

/// A listener in another network namespace, which ends with the test.
struct Elsewhere(Child);

impl Elsewhere {
    fn start(port: u16) -> Self {
        let folder = std::env::current_exe().unwrap();
        let folder = folder.parent().unwrap().parent().unwrap();
        let mut child = Command::new("unshare")
            .arg("-n")
            .arg(folder.join("examples/trigger"))
            .args(["held", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut said).unwrap();
        assert_eq!(said, "listening\n");
        Self(child)
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        drop(self.0.wait());
    }
}

#[tokio::test]
async fn a_listener_in_another_network_namespace_is_found() {
    const PORT: u16 = 23_110;
    let Some(mut live) = start(PORT + 1) else {
        return;
    };
    let elsewhere = Elsewhere::start(PORT);
    let events = inventory(&mut live, PORT);
    let [event] = events.as_slice() else {
        panic!("{events:#?}")
    };
    assert_eq!((event.kind, event.found), (Kind::Listen, true));
    assert_eq!(event.process.pid, elsewhere.0.id());
    assert_eq!(event.process.namespaces.net, event.socket.netns);
    let here = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert_ne!(
        here.to_str().unwrap(),
        format!("net:[{}]", event.socket.netns)
    );
}

#[test]
fn a_daemon_alerts_on_what_was_open_before_it() {
    const PORT: u16 = 23_120;
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    let rule = |kind: &str| {
        format!(
            "- rule: {kind}\n  desc: d\n  priority: INFO\n  condition: evt.type = {kind} and \
             fd.sport = {PORT}\n  output: \"{kind} %proc.pid %flow.found\"\n"
        )
    };
    let text = ["connect", "accept", "listen"].map(rule).concat();
    std::fs::write(&rules, text).unwrap();
    let listener = TcpListener::bind(("127.0.0.1", PORT)).unwrap();
    let stream = TcpStream::connect(("127.0.0.1", PORT)).unwrap();
    let accepted = listener.accept().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kubelet-detector"))
        .env("KUBELET_DETECTOR_STATE", "")
        .args(["run", "--duration", "1s", "-r"])
        .arg(&rules)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("without the probes") || said.contains("need capabilities") {
        println!("skipped: {}", said.trim());
        return;
    }
    let alerts = String::from_utf8(output.stdout).unwrap();
    let mut found: Vec<&str> = alerts
        .lines()
        .map(|line| line.split_once("Informational ").unwrap().1)
        .collect();
    found.sort_unstable();
    let pid = std::process::id();
    let expected = ["accept", "connect", "listen"].map(|kind| format!("{kind} {pid} true"));
    assert_eq!(found, expected);
    drop((listener, stream, accepted));
}
