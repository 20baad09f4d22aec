//! The destination that a client named before a filter sent it to the watched port, on this machine's
//! kernel. The test prints its line of the table of ways.
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

use std::path::Path;

use detector::{
    enrich::Enrich,
    event::{Asked, Endpoint, Event, Kind, Part},
};
use watched::{Row, Trigger, drain, kind, watch};

/// What rules that ask for it are given, while the trigger has its network namespace.
fn originals(row: Row, scenario: &str, port: u16, check: impl FnOnce(&[Event])) {
    let mut live = match watch(port) {
        Ok(live) => live,
        Err(why) => return row.lacks(&why),
    };
    let mut made = Trigger::start(scenario, port);
    if let Err(what) = made.wait_for("ready") {
        return row.lacks(&what);
    }
    made.wait_until_it_sleeps();
    let mut events = drain(&mut live);
    let asked = Asked {
        parts: [Part::Original].into(),
        ..Asked::default()
    };
    let mut enrich = Enrich::new(Path::new("/"), asked);
    events.iter_mut().for_each(|event| enrich.complete(event));
    made.go_on();
    made.end().unwrap();
    check(&events);
    row.pass();
}

#[tokio::test]
async fn a_port_that_is_redirected_to_the_watched_one() {
    let port = 23_700;
    let row = Row::new("redirected-from");
    originals(row, "redirected", port, |events| {
        let kinds: Vec<&str> = events.iter().map(kind).collect();
        assert_eq!(kinds, ["listen", "accept"], "{events:#?}");
        let (listen, accept) = (&events[0], &events[1]);
        assert_eq!(listen.original, None);
        assert_eq!(accept.kind, Kind::Accept);
        assert_eq!(accept.socket.server.port, port);
        let named = Endpoint {
            ip: [127, 0, 0, 1].into(),
            port: port + 1,
        };
        assert_eq!(accept.original, Some(named));
    });
}
