//! Sockets that one process makes and another uses, on this machine's kernel: the event names both. Each
//! test prints its line of the table of ways.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

#[expect(dead_code, reason = "the tests of ways need more of it")]
mod watched;

use detector::event::{Creator, Event, Kind, Maker, Who};
use watched::{Row, Told, Trigger, drain, kind, trigger, watch};

/// The attempt and the outcome of the scenario say the same of the creator; `check` says what.
fn creator(name: &'static str, scenario: &str, port: u16, check: impl FnOnce(&Event, &Trigger)) {
    let Some(Told {
        made, row, events, ..
    }) = Told::of(name, scenario, port)
    else {
        return;
    };
    let kinds: Vec<&str> = events.iter().map(kind).collect();
    assert_eq!(kinds, ["attempt", "outcome"], "{events:#?}");
    assert_eq!(events[0].creator, events[1].creator);
    check(&events[0], &made);
    row.pass();
}

fn who(event: &Event) -> &Who {
    let Creator { uid, who } = event.creator.as_ref().unwrap();
    assert_eq!(*uid, rustix::process::getuid().as_raw());
    who
}

#[tokio::test]
async fn a_socket_of_its_own() {
    creator("made-by-itself", "refused", 23_600, |event, _| {
        assert_eq!(*who(event), Who::Own);
    });
}

/// The first thread makes it, another uses it.
#[tokio::test]
async fn a_socket_of_another_thread() {
    creator("made-by-thread", "other-thread", 23_610, |event, _| {
        assert_eq!(*who(event), Who::Own);
        assert_ne!(event.thread.tid, event.process.pid);
    });
}

/// The one that uses it is a child of the one that made it.
fn of_the_parent(name: &'static str, scenario: &str, port: u16) {
    creator(name, scenario, port, |event, made| {
        assert_eq!(*who(event), Who::Ancestor(0));
        assert_eq!(event.process.ancestors[0].pid, made.pid());
        assert_eq!(event.process.pid.to_string(), made.fact("client").unwrap());
    });
}

#[tokio::test]
async fn a_socket_of_the_parent() {
    of_the_parent("made-by-parent", "forked", 23_620);
}

#[tokio::test]
async fn a_socket_that_the_parent_sent() {
    of_the_parent("made-by-parent-that-sent", "sent", 23_630);
}

#[tokio::test]
async fn a_socket_that_was_taken_from_the_parent() {
    of_the_parent("made-by-parent-taken", "taken-socket", 23_640);
}

#[tokio::test]
async fn a_socket_of_the_program_before() {
    creator("made-before-exec", "exec-between", 23_650, |event, _| {
        assert_eq!(*who(event), Who::Gone);
    });
}

#[tokio::test]
async fn a_socket_of_a_process_that_ended() {
    creator(
        "made-by-one-that-ended",
        "sent-by-one-that-ended",
        23_660,
        |event, _| {
            assert_eq!(*who(event), Who::Gone);
        },
    );
}

/// It is found among all processes while the socket is open.
#[tokio::test]
async fn a_socket_that_another_process_sent() {
    let (scenario, port) = ("sent-by-another", 23_670);
    let row = Row::new("made-by-another");
    let mut live = match watch(port) {
        Ok(live) => live,
        Err(why) => return row.lacks(&why),
    };
    let mut made = Trigger::start(scenario, port);
    if let Err(what) = made.wait_for("ready") {
        return row.lacks(&what);
    }
    let events = drain(&mut live);
    made.end().unwrap();
    let mut connects = 0;
    for event in &events {
        match event.kind {
            Kind::ConnectAttempt | Kind::ConnectOutcome => {
                connects += 1;
                let Who::Other(maker) = who(event) else {
                    panic!("{event:#?}");
                };
                let Maker {
                    pid, comm, path, ..
                } = &**maker;
                assert_eq!(pid.to_string(), made.fact("maker").unwrap());
                assert_eq!(comm, "trigger");
                assert_eq!(path, trigger().to_str().unwrap());
                assert_eq!(event.process.pid, made.pid());
            }
            Kind::Listen | Kind::Accept => assert_eq!(*who(event), Who::Own),
        }
    }
    assert_eq!(connects, 2, "{events:#?}");
    row.pass();
}

/// Another's credentials may have been put where those of its creator were: nobody is named.
#[tokio::test]
async fn a_socket_that_is_closed_when_it_is_looked_at() {
    let (scenario, port) = ("sent-by-another-and-closed", 23_680);
    let row = Row::new("made-by-another-and-closed");
    let mut live = match watch(port) {
        Ok(live) => live,
        Err(why) => return row.lacks(&why),
    };
    let mut made = Trigger::start(scenario, port);
    if let Err(what) = made.wait_for("ready") {
        return row.lacks(&what);
    }
    made.wait_until_it_sleeps();
    let events = drain(&mut live);
    made.go_on();
    made.end().unwrap();
    assert_eq!(events.len(), 2, "{events:#?}");
    for event in &events {
        assert_eq!(*who(event), Who::Unknown);
    }
    row.pass();
}

/// A child accepts at its parent's listener. What sees the handshake names the listener's owner, who made
/// it too.
#[tokio::test]
async fn a_listener_of_the_parent() {
    let (scenario, port) = ("forked-accept", 23_690);
    let Some(Told {
        made, row, events, ..
    }) = Told::of("listener-made-by-parent", scenario, port)
    else {
        return;
    };
    let accepts: Vec<&Event> = events.iter().filter(|e| e.kind == Kind::Accept).collect();
    assert_eq!(accepts.len(), 1, "{events:#?}");
    let owner = accepts[0].process.pid == made.pid();
    let expected = if owner { Who::Own } else { Who::Ancestor(0) };
    assert_eq!(*who(accepts[0]), expected);
    row.pass();
}
