//! The probes on this machine's kernel: real sockets on loopback, exact counts.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unreachable,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::{
    io::ErrorKind,
    net::{TcpListener, TcpStream},
};

use detector::{
    event::{Attribution, Event, Kind},
    source::{
        AcceptVia, Options, Ports,
        ebpf::{Ebpf, EbpfError},
    },
};

/// A bitmap of one port.
fn only(port: u16) -> [u64; 1024] {
    let mut bits = [0; 1024];
    bits[usize::from(port >> 6)] = 1 << (port & 63);
    bits
}

/// Attaches to one port, or says why it cannot.
fn start(port: u16, accept_via: AcceptVia) -> Option<Ebpf> {
    let bits = only(port);
    let ports = Ports {
        connect: &bits,
        accept: &bits,
        listen: &bits,
    };
    let options = Options {
        accept_via,
        ..Options::default()
    };
    match Ebpf::start(&options, &ports, 0) {
        Ok(ebpf) => Some(ebpf),
        Err(error @ (EbpfError::Stub | EbpfError::Privilege { .. } | EbpfError::Tracefs)) => {
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

fn drain(ebpf: &mut Ebpf) -> Vec<Event> {
    let mut events = Vec::new();
    ebpf.drain(100_000, &mut events);
    events
}

fn kinds(events: &[Event]) -> Vec<Kind> {
    events.iter().map(|event| event.kind).collect()
}

#[tokio::test]
async fn a_connection_is_seen_from_both_ends() {
    let Some(mut ebpf) = start(21_250, AcceptVia::Listener) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:21250").unwrap();
    let stream = TcpStream::connect("127.0.0.1:21250").unwrap();
    let source = stream.local_addr().unwrap().port();
    let events = drain(&mut ebpf);
    drop(listener);
    assert_eq!(
        kinds(&events),
        [
            Kind::Listen,
            Kind::ConnectAttempt,
            Kind::ConnectOutcome,
            Kind::Accept
        ]
    );
    let [listen, attempt, outcome, accept] = &events[..] else {
        unreachable!()
    };
    let exe = std::env::current_exe().unwrap();
    for event in [listen, attempt] {
        assert_eq!(event.process.pid, std::process::id());
        assert_eq!(event.process.exe.path, exe.to_str().unwrap());
        assert_eq!(event.process.args[0], std::env::args().next().unwrap());
        let cwd = std::env::current_dir().unwrap();
        assert_eq!(event.process.cwd, cwd.to_str().unwrap());
        assert_eq!(event.attribution, Attribution::Caller);
    }
    assert_eq!(attempt.socket.cookie, outcome.socket.cookie);
    assert_eq!((attempt.errno, outcome.errno), (None, Some(0)));
    assert_eq!(outcome.socket.client.unwrap().port, source);
    assert_eq!(accept.socket.client.unwrap().port, source);
    assert_eq!(accept.attribution, Attribution::Unknown);
}

#[tokio::test]
async fn a_refused_connect_has_its_errno_and_source_port() {
    let Some(mut ebpf) = start(21_251, AcceptVia::Listener) else {
        return;
    };
    for target in ["127.0.0.1:21251", "[::1]:21251", "[::ffff:127.0.0.1]:21251"] {
        let error = TcpStream::connect(target).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{target}");
        let events = drain(&mut ebpf);
        assert_eq!(
            kinds(&events),
            [Kind::ConnectAttempt, Kind::ConnectOutcome],
            "{target}"
        );
        assert_eq!(events[1].errno, Some(111), "{target}");
        assert_ne!(events[1].socket.client.unwrap().port, 0, "{target}");
        assert_eq!(events[0].socket.mapped, target.contains("ffff"), "{target}");
        assert_eq!(
            events[0].socket.server.ip.is_ipv4(),
            target.contains("127"),
            "{target}"
        );
    }
}

#[tokio::test]
async fn other_ports_and_udp_are_silent() {
    let Some(mut ebpf) = start(21_252, AcceptVia::Listener) else {
        return;
    };
    assert!(TcpStream::connect("127.0.0.1:21999").is_err());
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect("127.0.0.1:21252").unwrap();
    socket.send(b"x").unwrap();
    assert_eq!(kinds(&drain(&mut ebpf)), []);
}

#[tokio::test]
async fn the_accepting_process_is_named_through_the_syscall() {
    let Some(mut ebpf) = start(21_253, AcceptVia::Syscall) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:21253").unwrap();
    let stream = TcpStream::connect("127.0.0.1:21253").unwrap();
    let accepted = listener.accept().unwrap();
    drop((stream, accepted));
    let events = drain(&mut ebpf);
    let accept = events
        .iter()
        .find(|event| event.kind == Kind::Accept)
        .unwrap();
    assert_eq!(accept.attribution, Attribution::Caller);
    assert_eq!(accept.process.pid, std::process::id());
    assert_eq!(accept.socket.server.port, 21_253);
}

#[tokio::test]
async fn what_does_not_fit_the_ring_is_counted_exactly() {
    let Some(mut ebpf) = start(21_254, AcceptVia::Listener) else {
        return;
    };
    for _ in 0..20_000 {
        assert!(TcpStream::connect("127.0.0.1:21254").is_err());
    }
    let received = drain(&mut ebpf);
    let summary = ebpf.summary();
    for (subject, kind) in [(0, Kind::ConnectAttempt), (1, Kind::ConnectOutcome)] {
        let (name, generated, lost) = summary[subject];
        let delivered = received.iter().filter(|event| event.kind == kind).count() as u64;
        println!("{name}: {generated} generated, {delivered} delivered, {lost} lost");
        assert_eq!(generated, 20_000, "{name}");
        assert_eq!(generated, delivered + lost, "{name}");
    }
    let lost: u64 = ebpf.losses(0).iter().map(|loss| loss.count).sum();
    assert!(lost > 0, "20,000 snapshots are more than the ring holds");
    assert!(ebpf.losses(0).is_empty(), "each loss is told once");
}
