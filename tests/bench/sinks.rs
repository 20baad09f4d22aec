//! What the way from an alert to an HTTP peer on loopback takes, with the spool on disk: alerts a
//! second, the time from the alert to its bytes at the peer, and the memory that is resident while
//! the peer is down for as many seconds as the argument says: `cargo xtask bench sinks`.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "it fails by panicking, and prints what it measured"
)]
#![expect(dead_code, reason = "the test of faults uses the rest")]

#[path = "../faults/server.rs"]
mod server;
#[path = "../faults/source.rs"]
mod source;

use std::time::{Duration, Instant};

use detector::alert::Priority;
use serde_json::json;

use server::{Manner, Server};
use source::{Source, http, spool};

const ALERTS: u64 = 200_000;
const RATE: u32 = 500;

fn main() {
    let down = std::env::args()
        .nth(1)
        .map_or(30, |seconds| seconds.parse().unwrap());
    println!("throughput {}", throughput());
    let (median, p99) = latency();
    println!("latency {} {}", median.as_nanos(), p99.as_nanos());
    println!("memory {}", memory(Duration::from_secs(down)));
}

/// Alerts a second.
fn throughput() -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Manner::Takes, 0, None);
    let sink = http(&format!("http://{}/", server.address), &json!({}));
    let mut source = Source::new(sink, spool(folder.path(), &json!({})));
    let begin = Instant::now();
    while source.made < ALERTS {
        (0..64).for_each(|_| source.make(Priority::Warning));
        source.flush();
    }
    source.drain(|| server.counts().0);
    assert_eq!(server.counts(), (source.made, 0));
    let rate = source.made as f64 / begin.elapsed().as_secs_f64();
    source.close();
    rate as u64
}

/// From an alert to the peer: median and 99th percentile.
fn latency() -> (Duration, Duration) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Manner::Takes, 0, None);
    let sink = http(&format!("http://{}/", server.address), &json!({}));
    let mut source = Source::new(sink, spool(folder.path(), &json!({})));
    let mut made = Vec::new();
    let begin = Instant::now();
    for index in 0..RATE * 10 {
        let due = begin + Duration::from_secs(1) / RATE * index;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        made.push(Instant::now());
        source.make(Priority::Warning);
        source.flush();
    }
    source.drain(|| server.counts().0);
    let times = server.times();
    let mut took: Vec<Duration> = made
        .iter()
        .zip(1..)
        .map(|(made, sequence)| times[&sequence].duration_since(*made))
        .collect();
    took.sort_unstable();
    source.close();
    (took[took.len() / 2], took[took.len() * 99 / 100])
}

/// Resident KiB at the end of an outage, without the peer's own.
fn memory(outage: Duration) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://127.0.0.1:{}/", Server::free_port());
    let mut source = Source::new(http(&url, &json!({})), spool(folder.path(), &json!({})));
    source.feed(RATE, outage);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident
        .unwrap()
        .trim_end_matches("kB")
        .trim()
        .parse()
        .unwrap();
    assert_eq!(source.dropped, 0);
    source.close();
    resident
}
