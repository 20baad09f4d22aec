//! The real binary with pinned probes, a spool and an HTTP sink, killed amid a stream of connects
//! while its peer comes and goes: each connect arrives at the peer.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and prints its table"
)]

#[path = "killed.rs"]
mod killed;
#[path = "faults/server.rs"]
#[expect(dead_code, reason = "tests/faults.rs uses the rest of it")]
mod server;

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use killed::{Numbers, Place, Run, Stream, alerted, counted};
use server::{Manner, Server};

const PORT: u16 = 23_440;
const BLIND: &str = "Detector was not running";
/// Alerts of a request at most: that many come again if the answer to it came too late.
const BATCH: u64 = 50;
/// For what is left to arrive.
const LONG: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(200);

/// The peer is there for a third of the kills, away for a third, and there again. An emulated machine
/// starts a run slowly.
struct Size {
    kills: u64,
    /// Between connects.
    pause: Duration,
    runs_for_ms: u64,
}

fn size() -> Size {
    let emulated = std::env::var("KUBELET_DETECTOR_FLOOD").is_ok();
    let (kills, pause_ms, runs_for_ms) = match emulated {
        true => (6, 50, 4000),
        false => (20, 5, 1500),
    };
    let pause = Duration::from_millis(pause_ms);
    Size {
        kills,
        pause,
        runs_for_ms,
    }
}

/// Of one rule.
struct Row {
    what: &'static str,
    made: u64,
    arrived: u64,
    /// Alerts of one connect and process beyond the first.
    twice: u64,
    /// As the detector tells.
    lost: u64,
}

impl Row {
    fn new(what: &'static str, made: u64, alerts: &[Value], subjects: &[&str]) -> Self {
        let (arrived, twice) = alerted(alerts, what);
        Self {
            what,
            made,
            arrived: arrived as u64,
            twice: twice as u64,
            lost: counted(alerts, "Events lost", subjects),
        }
    }
}

#[test]
fn each_connect_arrives_though_the_detector_is_killed_and_its_peer_away() {
    let place = Place::new(PORT);
    let mut server = Server::start(Manner::Takes, 0, None);
    server.keep();
    let (pins, spool) = (place.pins(), place.file("spool"));
    let sink = format!(
        "sinks=[{{name: siem, http: {{url: 'http://{}/', body: lines, batch: {BATCH}, timeout: 2s}}}}]",
        server.address
    );
    let path = format!("spool.path={}", spool.display());
    let options = [
        "--pin",
        pins.to_str().unwrap(),
        "--set",
        &sink,
        "--set",
        &path,
    ];
    let Some(run) = Run::first(&place, &options) else {
        return;
    };
    let Size {
        kills,
        pause,
        runs_for_ms,
    } = size();
    let (begin, stream, mut numbers) = (Instant::now(), Stream::start(PORT, pause), Numbers::new());
    let mut run = Some(run);
    let mut kill = |times| {
        for _ in 0..times {
            // From its first moment on: it may not watch yet.
            numbers.pause(1, runs_for_ms);
            run.take().unwrap().end(Signal::KILL);
            run = Run::start_until("", &place, &options).ok();
        }
    };
    let third = kills / 3;
    kill(third);
    let before = server.counts().0;
    server = server.down(|| kill(third));
    kill(kills - 2 * third - 1);
    run.take().unwrap().end(Signal::KILL);
    let run = Run::start(&place, &options).unwrap_or_else(|said| panic!("{said}"));
    assert!(run.said.contains("adopted"), "{}", run.said);
    let made = stream.finish();
    let took = begin.elapsed();
    // The last one tells of them all, or how many were lost.
    let rows = || {
        let (alerts, made) = (server.alerts(), made.len() as u64);
        let rows = [
            Row::new("attempt", made, &alerts, &["connect"]),
            Row::new("outcome", made, &alerts, &["connect", "outcome", "probe"]),
            Row::new("accept", made, &alerts, &["accept", "probe"]),
        ];
        (rows, alerts)
    };
    let is_whole = |row: &Row| row.arrived + row.lost >= row.made;
    let end = Instant::now() + LONG;
    loop {
        let count = server.counts().0;
        std::thread::sleep(LOOK);
        // It is looked through only when nothing more comes.
        let rests = server.counts().0 == count;
        if Instant::now() > end || (rests && rows().0.iter().all(is_whole)) {
            break;
        }
    }
    run.end(Signal::TERM);
    let (rows, alerts) = rows();
    let again = counted(&alerts, "Events told again", &[]);
    let (_, delivered_again) = server.counts();
    println!(
        "live_faults: {kills} kills in {took:?}, the peer was away for a third of them; {again} events \
         were said to be told again; {} alerts arrived, {delivered_again} of them came again",
        alerts.len(),
    );
    println!(
        "{:<10}{:>8}{:>9}{:>7}{:>9}{:>9}",
        "rule", "made", "arrived", "twice", "counted", "missing"
    );
    for Row {
        what,
        made,
        arrived,
        twice,
        lost,
    } in &rows
    {
        let missing = made - arrived;
        println!("{what:<10}{made:>8}{arrived:>9}{twice:>7}{lost:>9}{missing:>9}");
    }
    assert!(before > 0, "the peer was there at first");
    for row in &rows {
        assert!(row.made - row.arrived <= row.lost, "{} are lost", row.what);
    }
    assert!(rows.iter().map(|row| row.twice).sum::<u64>() <= again);
    assert!(delivered_again <= kills * BATCH);
    assert!(
        !alerts.iter().any(|alert| alert["rule"] == BLIND),
        "nobody was blind"
    );
}
