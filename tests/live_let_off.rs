//! Connects that no rule can match because of who makes them: the probes count them, and tell
//! nothing of them. Attached by the mechanism that `KUBELET_DETECTOR_ATTACH` names.
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

use std::net::{TcpListener, TcpStream};

use aya::maps::{HashMap, Map, MapData, loaded_maps};
use detector::{
    event::{Event, Kind},
    source::{Fault, live::Live},
};
use watched::{drain, watch};

const PORT: u16 = 23_600;
const NAME: &str = "let-off";

/// A bitmap of these ports.
fn only(ports: &[u16]) -> [u64; 1024] {
    let mut bits = [0; 1024];
    for port in ports {
        *bits.get_mut(usize::from(port >> 6)).unwrap() |= 1 << (port & 63);
    }
    bits
}

/// Runs on a thread of this name.
fn named(name: &str, connects: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(connects).unwrap().join().unwrap();
}

fn refused(port: u16, count: usize) {
    for _ in 0..count {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}

/// Kinds and threads.
fn told(live: &mut Live) -> Vec<(Kind, String)> {
    let of = |event: Event| (event.kind, event.thread.comm);
    drain(live).into_iter().map(of).collect()
}

#[tokio::test]
async fn who_is_let_off_is_counted_and_not_told() {
    let (at, elsewhere, both) = (only(&[PORT]), only(&[PORT + 1]), only(&[PORT, PORT + 1]));
    let mut live = match watch(PORT) {
        Ok(live) => live,
        Err(why) => return println!("skipped: {why}"),
    };
    let refused_to = |name: &str| {
        let name = name.to_owned();
        [
            (Kind::ConnectAttempt, name.clone()),
            (Kind::ConnectOutcome, name),
        ]
    };
    let flood = || named(NAME, || refused(PORT, 100));
    live.let_off(&[(NAME, &elsewhere)]).unwrap();
    named(NAME, || refused(PORT, 1));
    assert_eq!(told(&mut live), refused_to(NAME), "at another port alone");
    live.let_off(&[(NAME, &at)]).unwrap();
    flood();
    named("another", || refused(PORT, 1));
    assert_eq!(told(&mut live), refused_to("another"));
    assert_eq!(live.let_offs(), [(NAME.to_owned(), 100)]);

    // The other end is no connect.
    let listener = TcpListener::bind(("127.0.0.1", PORT)).unwrap();
    named(NAME, || {
        drop(TcpStream::connect(("127.0.0.1", PORT)).unwrap())
    });
    drop(listener.accept().unwrap());
    drop(listener);
    let kinds: Vec<Kind> = told(&mut live).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [Kind::Listen, Kind::Accept]);
    assert_eq!(live.let_offs(), [(NAME.to_owned(), 101)]);

    live.let_off(&[]).unwrap();
    named(NAME, || refused(PORT, 1));
    assert_eq!(told(&mut live), refused_to(NAME));
    live.let_off(&[("another", &at), (NAME, &both)]).unwrap();
    flood();
    assert_eq!(told(&mut live), []);
    let counts = [("another".to_owned(), 0), (NAME.to_owned(), 201)];
    assert_eq!(live.let_offs(), counts);
    let losses = live.losses(0, true);
    assert!(
        losses.iter().all(|loss| loss.subject == "probe"),
        "{losses:?}"
    );
    let connects = live.summary().into_iter().take(2);
    let generated: u64 = connects.map(|one| one.generated).sum();
    assert_eq!(generated, 6, "nothing else was put together");

    assert_eq!(live.audit(0), None);
    add_from_outside();
    let Some(Fault::Changed(changes)) = live.audit(100_000_000_000) else {
        panic!("the change is not seen")
    };
    assert_eq!(
        changes,
        ["the maps of LET_OFF are not what the detector wrote"]
    );
}

/// Lets another name off, as root can.
fn add_from_outside() {
    // Another detector may run, since before.
    let own = loaded_maps()
        .flatten()
        .filter(|map| map.name_as_str() == Some("LET_OFF_NAMES"));
    let map = Map::HashMap(MapData::from_id(own.last().unwrap().id()).unwrap());
    let mut names: HashMap<_, [u8; 16], [u32; 2]> = HashMap::try_from(map).unwrap();
    names.insert([b'x'; 16], [0, 1], 0).unwrap();
}
