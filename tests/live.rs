//! The probes on this machine's kernel: real sockets on loopback, exact counts. Attached by the
//! mechanism that `KUBELET_DETECTOR_ATTACH` names, else by the first that the kernel has.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use clap::ValueEnum as _;
use detector::{
    event::{Attribution, Event, Kind, RECURSION},
    source::{AcceptVia, Attach, Options, Ports, ebpf::EbpfError, live::Live},
};
use rustix::net;

/// Longer than any machine takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// A bitmap of one port.
fn only(port: u16) -> [u64; 1024] {
    let mut bits = [0; 1024];
    bits[usize::from(port >> 6)] = 1 << (port & 63);
    bits
}

/// Attaches to one port, or says why it cannot.
fn start(port: u16, accept_via: AcceptVia) -> Option<Live> {
    let bits = only(port);
    let ports = Ports {
        connect: &bits,
        accept: &bits,
        listen: &bits,
    };
    let attach = std::env::var("KUBELET_DETECTOR_ATTACH").unwrap_or("auto".to_owned());
    let options = Options {
        attach: Attach::from_str(&attach, false).unwrap(),
        accept_via,
        ..Options::default()
    };
    match Live::start(&options, &ports, 0) {
        Ok(live) => {
            println!("live: attached to port {port}");
            Some(live)
        }
        Err(error @ (EbpfError::Stub | EbpfError::Privilege { .. } | EbpfError::Tracefs)) => {
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

/// What the subject's probes are attached by.
fn mechanism(live: &Live, subject: &str) -> Attach {
    let mut all = live.attached().iter();
    all.find(|one| one.subject == subject).unwrap().mechanism
}

/// Whose process an accept names.
fn accepting(live: &Live) -> Attribution {
    match mechanism(live, "accept") {
        Attach::Tracepoint => Attribution::ListenerOwner,
        _ => Attribution::Caller,
    }
}

fn drain(live: &mut Live) -> Vec<Event> {
    let mut events = Vec::new();
    while live.drain(u64::MAX, &mut events).unwrap() {}
    events
}

fn kinds(events: &[Event]) -> Vec<Kind> {
    events.iter().map(|event| event.kind).collect()
}

#[tokio::test]
async fn a_connection_is_seen_from_both_ends() {
    let Some(mut live) = start(21_250, AcceptVia::Auto) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:21250").unwrap();
    let stream = TcpStream::connect("127.0.0.1:21250").unwrap();
    let source = stream.local_addr().unwrap().port();
    let accepted = listener.accept().unwrap();
    let events = drain(&mut live);
    drop((listener, accepted));
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
    for event in [listen, attempt, accept] {
        assert_eq!(event.process.pid, std::process::id());
        assert_eq!(event.process.exe.path, exe.to_str().unwrap());
        assert_eq!(event.process.args[0], std::env::args().next().unwrap());
        let cwd = std::env::current_dir().unwrap();
        assert_eq!(event.process.cwd, cwd.to_str().unwrap());
    }
    assert_eq!(listen.attribution, Attribution::Caller);
    assert_eq!(attempt.attribution, Attribution::Caller);
    assert_eq!(accept.attribution, accepting(&live));
    assert_eq!(attempt.socket.cookie, outcome.socket.cookie);
    assert_eq!((attempt.errno, outcome.errno), (None, Some(0)));
    assert_eq!(outcome.socket.client.unwrap().port, source);
    assert_eq!(accept.socket.client.unwrap().port, source);
}

#[tokio::test]
async fn an_older_listener_owns_its_accepts() {
    let listener = TcpListener::bind("0.0.0.0:21255").unwrap();
    let Some(mut live) = start(21_255, AcceptVia::Auto) else {
        return;
    };
    let stream = TcpStream::connect("127.0.0.1:21255").unwrap();
    let accepted = listener.accept().unwrap();
    let events = drain(&mut live);
    drop((listener, stream, accepted));
    let accept = events
        .iter()
        .find(|event| event.kind == Kind::Accept)
        .unwrap();
    assert_eq!(accept.attribution, accepting(&live));
    assert_eq!(accept.process.pid, std::process::id());
}

#[tokio::test]
async fn a_connection_that_nobody_accepts_is_its_listeners() {
    for via in [AcceptVia::Auto, AcceptVia::Listener, AcceptVia::Syscall] {
        let Some(mut live) = start(21_259, via) else {
            return;
        };
        let listener = TcpListener::bind("127.0.0.1:21259").unwrap();
        let stream = TcpStream::connect("127.0.0.1:21259").unwrap();
        let mut events = Vec::new();
        // The handshake's end is another thread's work where the CPU is busy.
        let begin = Instant::now();
        while live.summary()[2].delivered == 0 {
            assert!(begin.elapsed() < PATIENCE, "no handshake is told");
            live.drain(0, &mut events).unwrap();
        }
        let accepts = |events: &[Event]| -> Vec<Attribution> {
            let accepts = events.iter().filter(|event| event.kind == Kind::Accept);
            accepts.map(|event| event.attribution).collect()
        };
        if accepting(&live) == Attribution::Caller || via == AcceptVia::Syscall {
            assert_eq!(accepts(&events), [], "it waits for its accept");
            assert!(live.deadline_ns().is_some());
        }
        events.extend(drain(&mut live));
        drop((listener, stream));
        assert_eq!(accepts(&events), [Attribution::ListenerOwner], "{via:?}");
    }
}

#[tokio::test]
async fn a_connect_without_an_answer_has_its_source_port() {
    let Some(mut live) = start(21_256, AcceptVia::Auto) else {
        return;
    };
    let listener = full_listener("127.0.0.1:21256");
    drain(&mut live);
    let (socket, source) = pending_connect("127.0.0.1:21256");
    let mut events = Vec::new();
    live.drain(0, &mut events).unwrap();
    if mechanism(&live, "connect") == Attach::Tracepoint {
        assert_eq!(kinds(&events), [], "it waits for its source port");
        assert!(live.deadline_ns().is_some());
    }
    live.drain(u64::MAX, &mut events).unwrap();
    assert_eq!(kinds(&events), [Kind::ConnectAttempt]);
    assert_eq!(events[0].socket.client.unwrap().port, source);
    drop((listener, socket));
}

/// A listener whose queue is full, so that it answers no further SYN; and what fills it.
fn full_listener(address: &str) -> (OwnedFd, Vec<OwnedFd>) {
    let address: SocketAddr = address.parse().unwrap();
    let listener = tcp_socket();
    net::bind(&listener, &address).unwrap();
    net::listen(&listener, 0).unwrap();
    let fill = (0..2)
        .map(|_| {
            let socket = tcp_socket();
            let _in_progress = net::connect(&socket, &address);
            socket
        })
        .collect();
    (listener, fill)
}

/// A connect that gets no answer, and its source port.
fn pending_connect(address: &str) -> (OwnedFd, u16) {
    let address: SocketAddr = address.parse().unwrap();
    let socket = tcp_socket();
    assert_eq!(
        net::connect(&socket, &address),
        Err(rustix::io::Errno::INPROGRESS)
    );
    let local: SocketAddr = net::getsockname(&socket).unwrap().try_into().unwrap();
    (socket, local.port())
}

fn tcp_socket() -> OwnedFd {
    let flags = net::SocketFlags::NONBLOCK;
    net::socket_with(
        net::AddressFamily::INET,
        net::SocketType::STREAM,
        flags,
        None,
    )
    .unwrap()
}

#[tokio::test]
async fn a_refused_connect_has_its_errno_and_source_port() {
    let Some(mut live) = start(21_251, AcceptVia::Auto) else {
        return;
    };
    for target in ["127.0.0.1:21251", "[::1]:21251", "[::ffff:127.0.0.1]:21251"] {
        let error = TcpStream::connect(target).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{target}");
        let events = drain(&mut live);
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
    let Some(mut live) = start(21_252, AcceptVia::Auto) else {
        return;
    };
    assert!(TcpStream::connect("127.0.0.1:21999").is_err());
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect("127.0.0.1:21252").unwrap();
    socket.send(b"x").unwrap();
    assert_eq!(kinds(&drain(&mut live)), []);
}

#[tokio::test]
async fn ports_are_added_and_left_out_while_attached() {
    const OLD: u16 = 21_257;
    const NEW: u16 = 21_258;
    let Some(mut live) = start(OLD, AcceptVia::Auto) else {
        return;
    };
    let bits = only(NEW);
    let ports = Ports {
        connect: &bits,
        accept: &bits,
        listen: &bits,
    };
    let seen = |live: &mut Live| -> Vec<u16> {
        for port in [OLD, NEW] {
            assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
        }
        let events = drain(live);
        let attempts = events
            .iter()
            .filter(|event| event.kind == Kind::ConnectAttempt);
        attempts.map(|event| event.socket.server.port).collect()
    };
    assert_eq!(seen(&mut live), [OLD]);
    live.watch_also(&ports).unwrap();
    assert_eq!(seen(&mut live), [OLD, NEW]);
    live.watch_only(&ports).unwrap();
    assert_eq!(seen(&mut live), [NEW]);
}

#[tokio::test]
async fn the_accepting_process_is_named_through_the_syscall() {
    let Some(mut live) = start(21_253, AcceptVia::Syscall) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:21253").unwrap();
    let stream = TcpStream::connect("127.0.0.1:21253").unwrap();
    let accepted = listener.accept().unwrap();
    drop((stream, accepted));
    let events = drain(&mut live);
    let accepts = events.iter().filter(|event| event.kind == Kind::Accept);
    let accepts: Vec<&Event> = accepts.collect();
    let [accept] = &accepts[..] else {
        panic!("{accepts:?}")
    };
    assert_eq!(accept.attribution, Attribution::Caller);
    assert_eq!(accept.process.pid, std::process::id());
    assert_eq!(accept.socket.server.port, 21_253);
}

/// A kretprobe has an instance for each call that is under way: by default for as few as two.
#[tokio::test]
async fn each_of_many_threads_that_wait_in_accept_is_seen() {
    const THREADS: usize = 64;
    let Some(mut live) = start(21_260, AcceptVia::Auto) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:21260").unwrap();
    let accept = || {
        let listener = listener.try_clone().unwrap();
        std::thread::spawn(move || listener.accept().unwrap())
    };
    let threads: Vec<_> = (0..THREADS).map(|_| accept()).collect();
    while waiting_in_accept() < THREADS {
        std::thread::yield_now();
    }
    let connect = || TcpStream::connect("127.0.0.1:21260").unwrap();
    let streams: Vec<_> = (0..THREADS).map(|_| connect()).collect();
    let accepted: Vec<_> = threads.into_iter().map(|one| one.join().unwrap()).collect();
    let events = drain(&mut live);
    drop((streams, accepted));
    let accepts = events.iter().filter(|event| event.kind == Kind::Accept);
    let skipped = live.losses(0, true).into_iter();
    let skipped: u64 = skipped
        .filter(|loss| loss.cause == RECURSION)
        .map(|loss| loss.count)
        .sum();
    // A kernel that preempts may run another thread in the midst of the program; the end of the
    // handshake is told then.
    let count = accepts.count() as u64;
    assert!(count <= THREADS as u64 && count + skipped >= THREADS as u64);
}

/// As every server that waits for readiness does.
#[tokio::test]
async fn an_accept_of_nothing_is_silent() {
    let Some(mut live) = start(21_262, AcceptVia::Auto) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:21262").unwrap();
    listener.set_nonblocking(true).unwrap();
    for _ in 0..100 {
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    }
    assert_eq!(kinds(&drain(&mut live)), [Kind::Listen]);
}

/// The kernel keeps what the thread returns through.
#[tokio::test]
async fn a_thread_that_waits_in_accept_survives_the_probes() {
    let Some(live) = start(21_261, AcceptVia::Auto) else {
        return;
    };
    let listener = TcpListener::bind("127.0.0.1:21261").unwrap();
    let thread = std::thread::spawn(move || listener.accept().unwrap());
    while waiting_in_accept() == 0 {
        std::thread::yield_now();
    }
    drop(live);
    let stream = TcpStream::connect("127.0.0.1:21261").unwrap();
    let (accepted, _) = thread.join().unwrap();
    assert_eq!(accepted.peer_addr().unwrap(), stream.local_addr().unwrap());
}

/// Threads of this process whose system call is accept4 (Documentation/filesystems/proc.rst).
fn waiting_in_accept() -> usize {
    let accept4 = format!("{} ", libc::SYS_accept4);
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let calls =
        threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("syscall")));
    let in_accept = |call: &String| call.starts_with(&accept4);
    calls.flatten().filter(in_accept).count()
}

#[tokio::test]
async fn what_does_not_fit_the_ring_is_counted_exactly() {
    let Some(mut live) = start(21_254, AcceptVia::Auto) else {
        return;
    };
    for _ in 0..20_000 {
        assert!(TcpStream::connect("127.0.0.1:21254").is_err());
    }
    let received = drain(&mut live);
    let losses = live.losses(0, true);
    let told = |subject: &str| -> u64 {
        let of = losses.iter().filter(|loss| loss.subject == subject);
        of.map(|loss| loss.count).sum()
    };
    let delivered = |kind: Kind| received.iter().filter(|event| event.kind == kind).count() as u64;
    let (attempts, outcomes) = (
        delivered(Kind::ConnectAttempt),
        delivered(Kind::ConnectOutcome),
    );
    println!("{attempts} attempts and {outcomes} outcomes delivered, {losses:?}");
    assert_eq!(attempts + told("connect"), 20_000);
    // A softirq that interrupts the probe on its own CPU loses an outcome, and that is counted.
    assert_eq!(outcomes + told("outcome") + told("probe"), 20_000);
    assert!(
        told("connect") > 0,
        "20,000 snapshots are more than the ring holds"
    );
    assert!(live.losses(0, true).is_empty(), "each loss is told once");
}
