//! Every way to a watched port on this machine's kernel: the exact events of each, by a trigger that
//! says what it did. Each test prints its line of the table of ways.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

mod lines;
mod watched;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use detector::event::{Event, Kind};
use lines::{accepts_by_state, by_state, check, interrupted, line, lines};
use watched::{Row, Shared, Told, Trigger, drain, watch};

/// How often a way is tried again when a softirq interrupted a probe on its own CPU: the kernel
/// skips the probe then, and counts it.
const TRIES: u32 = 5;
/// Longer than any machine takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// The way's events are exactly these, in any order.
fn way(name: &'static str, port: u16, expected: &[&str]) {
    way_and(name, port, expected, |_, _| {});
}

/// As above; `further` says what else is true of them.
fn way_and(
    name: &'static str,
    port: u16,
    expected: &[&str],
    further: impl FnOnce(&[Event], &Trigger),
) {
    let row = Row::new(name);
    let mut live = match Shared::watch(port) {
        Ok(live) => live,
        Err(why) => return row.lacks(&why),
    };
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    for rest in (0..TRIES).rev() {
        let mut made = Trigger::start(name, port);
        if let Err(what) = made.end() {
            return row.lacks(&what);
        }
        let events = drain(&mut live);
        let found = lines(&events, port, &[&made]);
        if found != expected && interrupted(&mut live) && rest > 0 {
            continue;
        }
        let sent = live.summary();
        assert_eq!(found, expected, "sent {sent:?}: {events:#?}");
        check(&events, &made);
        further(&events, &made);
        return row.pass();
    }
}

macro_rules! ways {
    ($($name:ident: $scenario:literal, $port:literal, [$($line:literal),* $(,)?];)+) => {
        $(#[tokio::test]
        async fn $name() {
            way($scenario, $port, &[$($line),*]);
        })+
    };
}

ways! {
    plain: "listener", 22_500, [
        "listen 127.0.0.1 by trigger", "attempt 127.0.0.1 by trigger",
        "outcome 127.0.0.1 errno 0 by trigger", "accept 127.0.0.1 by trigger",
    ];
    a_closed_port: "refused", 22_510, [
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 111 by trigger",
    ];
    without_blocking: "non-blocking", 22_520, [
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 111 by trigger",
    ];
    ipv6: "ipv6", 22_530, ["attempt ::1 by trigger", "outcome ::1 errno 111 by trigger"];
    an_ipv4_address_mapped: "mapped", 22_540, [
        "attempt 127.0.0.1 mapped by trigger", "outcome 127.0.0.1 mapped errno 111 by trigger",
    ];
    a_bound_source_port: "bound-source", 22_550, [
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 111 by trigger",
    ];
    the_watched_port_as_the_source: "watched-source", 22_560, [];
    one_socket_twice: "again", 22_570, [
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 111 by trigger",
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 111 by trigger",
    ];
    all_addresses_as_the_destination: "unspecified", 22_580, [
        "listen 127.0.0.1 by trigger", "attempt 127.0.0.1 by trigger",
        "outcome 127.0.0.1 errno 0 by trigger", "accept 127.0.0.1 by trigger",
    ];
    all_addresses_of_ipv6: "unspecified-ipv6", 22_590, [
        "listen ::1 by trigger", "attempt ::1 by trigger",
        "outcome ::1 errno 0 by trigger", "accept ::1 by trigger",
    ];
    ipv4_to_a_listener_of_ipv6: "dual-stack", 22_600, [
        "listen :: by trigger", "attempt 127.0.0.1 by trigger",
        "outcome 127.0.0.1 errno 0 by trigger", "accept 127.0.0.1 mapped by trigger",
    ];
    the_nodes_own_address: "node-address", 22_610, [
        "listen 0.0.0.0 by trigger", "attempt 192.0.2.1 by trigger",
        "outcome 192.0.2.1 errno 0 by trigger", "accept 192.0.2.1 by trigger",
    ];
    another_network_namespace: "own-namespace", 22_620, [
        "listen 127.0.0.1 by trigger", "attempt 127.0.0.1 by trigger",
        "outcome 127.0.0.1 errno 0 by trigger", "accept 127.0.0.1 by trigger",
    ];
    a_socket_of_another_network_namespace: "foreign-socket", 22_630, [
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 111 by trigger",
    ];
    a_host_that_cannot_be_reached: "host-unreachable", 22_650, [
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 113 by trigger",
    ];
    a_filter_that_resets: "reset-by-filter", 22_660, [
        "listen 127.0.0.1 by trigger",
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 111 by trigger",
    ];
    no_answer: "timed-out", 22_670, [
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 110 by trigger",
    ];
    a_connect_that_is_given_up: "given-up", 22_680, [
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 103 by trigger",
    ];
    a_reset_before_accept: "reset-before-accept", 22_690, [
        "listen 127.0.0.1 by trigger", "attempt 127.0.0.1 by trigger",
        "outcome 127.0.0.1 errno 0 by trigger", "accept 127.0.0.1 by trigger",
    ];
    a_connection_that_nobody_accepts: "never-accepted", 22_695, [
        "listen 127.0.0.1 by trigger", "attempt 127.0.0.1 by trigger",
        "outcome 127.0.0.1 errno 0 by trigger", "accept 127.0.0.1 by trigger",
    ];
    a_socket_that_connects_to_itself: "to-itself", 22_700, [
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 0 by trigger",
    ];
    a_socket_that_is_closed_in_syn_recv: "crossed", 24_200, [
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 103 by trigger",
    ];
    a_repaired_socket: "repaired", 22_710, [
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 0 by trigger",
    ];
    another_port_redirected: "redirected", 22_720, [
        "listen 127.0.0.1 by trigger", "accept 127.0.0.1 by trigger",
    ];
    a_connect_by_io_uring: "uring-connect", 22_740, [
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 111 by trigger",
    ];
    a_connect_by_a_worker_of_io_uring: "uring-connect-worker", 22_750, [
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 111 by trigger",
    ];
    a_connect_by_a_poller_of_io_uring: "uring-connect-poller", 22_760, [
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 111 by trigger",
    ];
    an_accept_by_io_uring: "uring-accept", 22_770, [
        "listen 127.0.0.1 by trigger", "attempt 127.0.0.1 by trigger",
        "outcome 127.0.0.1 errno 0 by trigger", "accept 127.0.0.1 by trigger",
    ];
    an_accept_by_a_worker_of_io_uring: "uring-accept-worker", 22_780, [
        "listen 127.0.0.1 by trigger", "attempt 127.0.0.1 by trigger",
        "outcome 127.0.0.1 errno 0 by trigger", "accept 127.0.0.1 by trigger",
    ];
    an_accept_by_a_poller_of_io_uring: "uring-accept-poller", 22_790, [
        "listen 127.0.0.1 by trigger", "attempt 127.0.0.1 by trigger",
        "outcome 127.0.0.1 errno 0 by trigger", "accept 127.0.0.1 by trigger",
    ];
    a_listen_by_io_uring: "uring-listen", 22_800, ["listen 127.0.0.1 by trigger"];
    fast_open_to_a_closed_port: "fastopen-refused", 22_810, [
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 111 by trigger",
    ];
    fast_open_by_sendto: "fastopen-sendto", 22_820, [
        "listen 127.0.0.1 by trigger", "attempt 127.0.0.1 by trigger",
        "outcome 127.0.0.1 errno 0 by trigger", "accept 127.0.0.1 by trigger",
    ];
    fast_open_by_a_deferred_connect: "fastopen-deferred", 22_830, [
        "listen 127.0.0.1 by trigger", "attempt 127.0.0.1 by trigger",
        "outcome 127.0.0.1 errno 0 by trigger", "accept 127.0.0.1 by trigger",
    ];
    fast_open_that_is_accepted_early: "fastopen-early", 22_835, [
        "listen 127.0.0.1 by trigger", "attempt 127.0.0.1 by trigger",
        "outcome 127.0.0.1 errno 0 by trigger", "accept 127.0.0.1 by trigger",
    ];
    fast_open_that_is_never_sent: "fastopen-never-sent", 22_840, [
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 103 by trigger",
    ];
    mptcp_to_a_closed_port: "mptcp-refused", 22_850, [
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 111 by trigger",
    ];
    mptcp_at_both_ends: "mptcp-both", 22_860, [
        "listen 127.0.0.1 by trigger", "attempt 127.0.0.1 by trigger",
        "outcome 127.0.0.1 errno 0 by trigger", "accept 127.0.0.1 by trigger",
    ];
    an_mptcp_listener: "mptcp-server", 22_870, [
        "listen 127.0.0.1 by trigger", "attempt 127.0.0.1 by trigger",
        "outcome 127.0.0.1 errno 0 by trigger", "accept 127.0.0.1 by trigger",
    ];
    an_mptcp_client: "mptcp-client", 22_880, [
        "listen 127.0.0.1 by trigger", "attempt 127.0.0.1 by trigger",
        "outcome 127.0.0.1 errno 0 by trigger", "accept 127.0.0.1 by trigger",
    ];
    smc_to_a_closed_port: "smc-refused", 22_890, [
        "attempt 127.0.0.1 by trigger", "outcome 127.0.0.1 errno 111 by trigger",
    ];
    a_socket_made_one_of_smc: "smc-upgraded", 22_910, [
        "listen 127.0.0.1 by trigger", "attempt 127.0.0.1 by trigger",
        "outcome 127.0.0.1 errno 0 by trigger", "accept 127.0.0.1 by trigger",
    ];
    a_socket_of_the_parent: "forked", 22_920, [
        "attempt 127.0.0.1 by client", "outcome 127.0.0.1 errno 111 by client",
    ];
    a_socket_that_was_sent: "sent", 22_930, [
        "attempt 127.0.0.1 by client", "outcome 127.0.0.1 errno 111 by client",
    ];
    a_socket_that_was_taken: "taken-socket", 22_940, [
        "attempt 127.0.0.1 by client", "outcome 127.0.0.1 errno 111 by client",
    ];
    system_calls_of_32_bits: "compat-connect", 22_950, [
        "attempt 127.0.0.1 by client", "outcome 127.0.0.1 errno 111 by client",
    ];
    the_multiplexer_of_32_bits: "compat-socketcall", 22_960, [
        "attempt 127.0.0.1 by client", "outcome 127.0.0.1 errno 111 by client",
    ];
}

#[tokio::test]
async fn a_thread_beside_the_leader() {
    let expected = [
        "attempt 127.0.0.1 by trigger",
        "outcome 127.0.0.1 errno 111 by trigger",
    ];
    way_and("thread", 22_730, &expected, |events, made| {
        for event in events {
            assert_ne!(event.thread.tid, made.pid());
            assert_eq!(event.thread.comm, "worker");
            assert_eq!(event.process.comm, "trigger");
        }
    });
}

/// Nothing is sent and no state changes: it is seen where the connect returns, or not at all.
#[tokio::test]
async fn no_route() {
    let (name, port) = ("no-route", 22_640);
    let Some(Told {
        live,
        made,
        row,
        events,
    }) = Told::of(name, name, port)
    else {
        return;
    };
    let found = lines(&events, port, &[&made]);
    if by_state(&live) {
        assert_eq!(found, Vec::<String>::new());
        return row.lacks("a change of state, by tracepoint");
    }
    let expected = [
        "attempt 198.51.100.1 by trigger",
        "outcome 198.51.100.1 errno 101 by trigger",
    ];
    assert_eq!(found, expected, "{events:#?}");
    row.pass();
}

/// A child accepts at its parent's listener.
#[tokio::test]
async fn an_accept_by_a_child() {
    accepted("forked-accept", 22_970, "acceptor", "acceptor");
}

/// An accept that comes after its connection was told, which named the listener's owner: told again if
/// that was somebody else.
fn late(name: &'static str, port: u16, acceptor: Option<&str>) {
    let row = Row::new(name);
    let mut live = match Shared::watch(port) {
        Ok(live) => live,
        Err(why) => return row.lacks(&why),
    };
    let mut made = Trigger::start(name, port);
    made.wait_for("source").unwrap();
    let mut events = drain(&mut live);
    let told = |events: &[Event]| {
        let accepts = events.iter().filter(|event| event.kind == Kind::Accept);
        accepts.count()
    };
    // The handshake's end is another thread's work where the CPU is busy.
    let begin = Instant::now();
    while told(&events) == 0 {
        assert!(begin.elapsed() < PATIENCE, "no handshake is told");
        events.extend(drain(&mut live));
    }
    assert_eq!(told(&events), 1, "{events:#?}");
    made.go_on();
    made.end().unwrap();
    events.extend(drain(&mut live));
    let found = lines(&events, port, &[&made]);
    let acceptor = acceptor.filter(|_| !accepts_by_state(&live));
    let mut expected: Vec<String> = acceptor
        .map(|who| format!("accept 127.0.0.1 by {who}"))
        .into_iter()
        .collect();
    expected.extend(
        [
            "accept 127.0.0.1 by trigger",
            "attempt 127.0.0.1 by trigger",
            "listen 127.0.0.1 by trigger",
            "outcome 127.0.0.1 errno 0 by trigger",
        ]
        .map(str::to_owned),
    );
    assert_eq!(found, expected, "{events:#?}");
    let accepts = events.iter().filter(|event| event.kind == Kind::Accept);
    let cookies: BTreeSet<u64> = accepts.map(|event| event.socket.cookie).collect();
    assert_eq!(cookies.len(), 1, "both are of one connection");
    check(&events, &made);
    row.pass();
}

#[tokio::test]
async fn a_late_accept() {
    late("late-accept", 22_975, None);
}

#[tokio::test]
async fn a_late_accept_by_a_child() {
    late("late-forked-accept", 22_985, Some("acceptor"));
}

/// A thread of the kernel takes what comes to a listener of SMC.
#[tokio::test]
async fn smc_at_both_ends() {
    accepted("smc-both", 22_900, "the kernel", "trigger");
}

/// What sees the accept itself names the acceptor, what sees the handshake the listener's owner.
fn accepted(name: &'static str, port: u16, acceptor: &str, client: &str) {
    let Some(Told {
        live,
        made,
        row,
        events,
    }) = Told::of(name, name, port)
    else {
        return;
    };
    let found = lines(&events, port, &[&made]);
    let who = if accepts_by_state(&live) {
        "trigger"
    } else {
        acceptor
    };
    let expected = [
        format!("accept 127.0.0.1 by {who}"),
        format!("attempt 127.0.0.1 by {client}"),
        "listen 127.0.0.1 by trigger".to_owned(),
        format!("outcome 127.0.0.1 errno 0 by {client}"),
    ];
    assert_eq!(found, expected, "{events:#?}");
    check(&events, &made);
    row.pass();
}

/// The kernel connects a second time for a connection of MPTCP, which nobody accepts.
#[tokio::test]
async fn a_second_subflow_of_mptcp() {
    let (name, port) = ("mptcp-subflow", 23_210);
    let Some(Told {
        made, row, events, ..
    }) = Told::of(name, name, port)
    else {
        return;
    };
    let found = lines(&events, port, &[&made]);
    let expected = [
        "accept 127.0.0.1 by trigger",
        "accept 127.0.0.1 by trigger",
        "attempt 127.0.0.1 by the kernel",
        "attempt 127.0.0.1 by trigger",
        "listen 127.0.0.1 by trigger",
        "outcome 127.0.0.1 errno 0 by the kernel",
        "outcome 127.0.0.1 errno 0 by trigger",
    ];
    assert_eq!(found, expected, "{events:#?}");
    check(&events, &made);
    row.pass();
}

/// A server that is older than the probes takes a connection: it is named.
fn older(name: &'static str, port: u16) {
    let row = Row::new(name);
    let mut server = Trigger::start(name, port);
    if let Err(what) = server.wait_for("ready") {
        return row.lacks(&what);
    }
    server.wait_until_it_sleeps();
    let mut live = match watch(port) {
        Ok(live) => live,
        Err(why) => return row.lacks(&why),
    };
    let mut client = Trigger::start("client", port);
    client.end().unwrap();
    // The owner of an older listener is looked for while it listens.
    let mut events = drain(&mut live);
    server.go_on();
    server.end().unwrap();
    events.extend(drain(&mut live));
    let mut found: Vec<String> = events
        .iter()
        .map(|event| {
            let who = [("server", &server), ("client", &client)]
                .into_iter()
                .find(|(_, made)| made.pid() == event.process.pid);
            let who = who.map_or("nobody", |(who, _)| who);
            line(event, port, &|_process| who.to_owned())
        })
        .collect();
    found.sort_unstable();
    let expected = [
        "accept 127.0.0.1 by server",
        "attempt 127.0.0.1 by client",
        "outcome 127.0.0.1 errno 0 by client",
    ];
    assert_eq!(found, expected, "{events:#?}");
    check(&events, &client);
    row.pass();
}

#[tokio::test]
async fn an_accept_that_was_blocked_already() {
    older("blocked-accept", 22_980);
}

#[tokio::test]
async fn an_older_listener() {
    older("older-listener", 22_990);
}

#[tokio::test]
async fn an_older_listener_of_mptcp() {
    older("mptcp-older", 23_200);
}
