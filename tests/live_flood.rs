//! Floods: one process cannot hide another's connects, and every connect is accounted for.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::{net::TcpStream, process::Command};

use detector::{
    event::{Event, Kind, SUPPRESSED},
    source::{Options, Ports, ebpf::EbpfError, live::Live},
};

/// Several times what the ring buffer holds.
const FLOOD: u64 = 20_000;
/// Connects of the other process amid it.
const OTHERS: usize = 10;

fn refused(port: u16) {
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

/// A refused connect by another process.
fn other(port: u16) -> u32 {
    let folder = std::env::current_exe().unwrap();
    let folder = folder.parent().unwrap().parent().unwrap();
    let mut child = Command::new(folder.join("examples/trigger"))
        .args(["refused", &port.to_string()])
        .spawn()
        .unwrap();
    assert!(child.wait().unwrap().success());
    child.id()
}

#[tokio::test]
async fn a_flood_past_a_reader_that_stands_still_hides_nobody_else() {
    const PORT: u16 = 23_200;
    let mut bits = [0; 1024];
    if let Some(word) = bits.get_mut(usize::from(PORT >> 6)) {
        *word = 1 << (PORT & 63);
    }
    let ports = Ports {
        connect: &bits,
        accept: &bits,
        listen: &bits,
    };
    let mut live = match Live::start(&Options::default(), &ports, 0) {
        Ok(live) => live,
        Err(error @ (EbpfError::Stub | EbpfError::Privilege { .. })) => {
            println!("skipped: {error}");
            return;
        }
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    };
    println!("live: attached to port {PORT}");
    let mut others = Vec::new();
    for connect in 0..FLOOD {
        if connect % (FLOOD / OTHERS as u64) == 0 {
            others.push(other(PORT));
        }
        refused(PORT);
    }
    others.push(other(PORT));
    let mut events: Vec<Event> = Vec::new();
    while live.drain(u64::MAX, &mut events).unwrap() {}
    let attempts = events.iter().filter(|one| one.kind == Kind::ConnectAttempt);
    let pids: Vec<u32> = attempts.map(|one| one.process.pid).collect();
    for pid in &others {
        assert!(pids.contains(pid), "a connect of {pid} is hidden");
    }
    let losses = live.losses(0, true);
    let lost = |cause: Option<&str>| -> u64 {
        let of = losses.iter().filter(|loss| {
            loss.subject == "connect" && cause.is_none_or(|cause| loss.cause == cause)
        });
        of.map(|loss| loss.count).sum()
    };
    let delivered = pids.len() as u64;
    println!(
        "flood: {FLOOD} connects and {} of others, {delivered} delivered, {losses:?}",
        others.len()
    );
    assert_eq!(delivered + lost(None), FLOOD + others.len() as u64);
    assert!(lost(Some(SUPPRESSED)) > 0, "the flood fits the ring buffer");
}
