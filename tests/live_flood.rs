//! Floods: one process cannot hide another's connects, and every connect is accounted for, by the
//! mechanism that `KUBELET_DETECTOR_ATTACH` names.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

#[expect(dead_code, reason = "the tests of health need more of it")]
mod daemon;
#[expect(dead_code, reason = "the tests of ways need more of it")]
mod watched;

use std::{
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use daemon::{Daemon, Summary};
use detector::event::{Event, FORGOTTEN, Kind, RECURSION, SUPPRESSED};
use watched::{Trigger, drain, trigger, watch, watch_apart};

/// Several times what the ring buffer holds; a smaller flood fills half of it at least.
const FLOOD: u64 = 20_000;
/// More processes than a ring buffer of 4 MiB has room for, of each 776 bytes and its texts.
const IN_FULL: u64 = (4 << 20) / 776;
/// Connects of the other process amid it.
const OTHERS: usize = 10;
/// Of the flood past a reader that does what it can.
const RATE: u64 = 50_000;
const SECONDS: u64 = 10;

/// One flood at a time: each wants both the CPUs of a small machine.
static ALONE: Mutex<()> = Mutex::new(());

#[tokio::test]
async fn a_flood_past_a_reader_that_stands_still_hides_nobody_else() {
    const PORT: u16 = 23_200;
    let mut live = match watch(PORT) {
        Ok(live) => live,
        Err(why) => return println!("skipped: {why}"),
    };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let refused = || assert!(TcpStream::connect(("127.0.0.1", PORT)).is_err());
    let mut others = Vec::new();
    let mut other = || {
        let mut made = Trigger::start("refused", PORT);
        made.end().unwrap();
        others.push(made.pid());
    };
    let size = flood_size().min(FLOOD);
    for connect in 0..size {
        if connect % (size / OTHERS as u64) == 0 {
            other();
        }
        refused();
    }
    other();
    let events = drain(&mut live);
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
        "flood: {size} connects and {} of others, {delivered} delivered, {losses:?}",
        others.len()
    );
    assert_eq!(delivered + lost(None), size + others.len() as u64);
    assert!(lost(Some(SUPPRESSED)) > 0, "the flood fits the ring buffer");
    assert!(delivered > IN_FULL, "the flooder is told in full each time");
}

/// A process that changes at each connect is told in full each time, so that what was told of another is
/// soon far back: that one is told in full again.
#[tokio::test]
async fn a_flood_of_names_takes_no_process_away() {
    const PORT: u16 = 23_240;
    let mut live = match watch(PORT) {
        Ok(live) => live,
        Err(why) => return println!("skipped: {why}"),
    };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut flood = Command::new(trigger())
        .args(["flood-renamed", &PORT.to_string(), "20000"])
        .spawn()
        .unwrap();
    let (mut events, mut made) = (Vec::new(), 0);
    while flood.try_wait().unwrap().is_none() {
        assert!(TcpStream::connect(("127.0.0.1", PORT)).is_err());
        made += 1;
        let next = Instant::now() + Duration::from_millis(2);
        while Instant::now() < next {
            while live.drain(0, &mut events).unwrap() {}
        }
    }
    events.extend(drain(&mut live));
    let attempts = events.iter().filter(|one| one.kind == Kind::ConnectAttempt);
    let (own, others): (Vec<&Event>, Vec<&Event>) =
        attempts.partition(|one| one.process.pid == std::process::id());
    let losses = live.losses(0, true);
    let skipped = losses.iter().filter(|loss| loss.cause == RECURSION);
    let skipped: u64 = skipped.map(|loss| loss.count).sum();
    assert!((made - own.len()) as u64 <= skipped, "{made}: {losses:?}");
    assert!(others.iter().all(|one| one.process.pid == flood.id()));
    assert!(
        losses.iter().all(|loss| loss.cause != FORGOTTEN),
        "{losses:?}"
    );
}

/// Whoever is let in from outside cannot fill the ring buffer with what it makes the kernel accept.
#[tokio::test]
async fn a_flood_of_accepts_hides_no_connect() {
    const PORT: u16 = 23_210;
    /// More than three quarters of the ring buffer have room for.
    const ACCEPTS: u64 = 40_000;
    let mut live = match watch_apart(PORT, PORT + 1) {
        Ok(live) => live,
        Err(why) => return println!("skipped: {why}"),
    };
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let listener = TcpListener::bind(("127.0.0.1", PORT + 1)).unwrap();
    let size = flood_size().min(ACCEPTS);
    let mut accepts = Vec::new();
    let mut others = Vec::new();
    for connect in 0..size {
        drop(TcpStream::connect(("127.0.0.1", PORT + 1)).unwrap());
        drop(listener.accept().unwrap());
        if connect % (size / OTHERS as u64) == 0 {
            let mut made = Trigger::start("refused", PORT);
            made.end().unwrap();
            others.push(made.pid());
        }
    }
    let events = drain(&mut live);
    for event in &events {
        match event.kind {
            Kind::ConnectAttempt => others.retain(|pid| *pid != event.process.pid),
            Kind::Accept => accepts.push(event.socket.client),
            _ => {}
        }
    }
    assert!(others.is_empty(), "connects of {others:?} are hidden");
    let losses = live.losses(0, true);
    let accept = live.summary()[2];
    println!(
        "flood: {size} accepts, {} told, {losses:?}, {accept:?}",
        accepts.len()
    );
    assert_eq!(accept.generated, accept.delivered + accept.lost);
    assert!(losses.iter().all(|loss| loss.subject != "connect"));
    if size == ACCEPTS {
        assert!(accept.lost > 0, "the flood fits the ring buffer");
    }
}

fn rule(name: &str, port: u16, condition: &str) -> String {
    format!(
        "- rule: {name}\n  desc: d\n  priority: INFO\n  output: \"alert of {name}\"\n  \
         condition: evt.type = connect and fd.sport = {port} and {condition}\n"
    )
}

/// Connects of a flood; fewer where the machine is emulated.
fn flood_size() -> u64 {
    let chosen = std::env::var("KUBELET_DETECTOR_FLOOD");
    chosen.map_or(RATE * SECONDS, |count| count.parse().unwrap())
}

/// Of an alert such as `12 connect events of processes ...`.
fn told(alerts: &str, words: &str) -> u64 {
    let before = alerts.lines().filter_map(|line| line.split_once(words));
    before
        .map(|(before, _)| {
            let count = before.trim_end().rsplit(' ').next().unwrap();
            count.parse::<u64>().unwrap()
        })
        .sum()
}

/// A process floods, and another connects once a second: each of these is alerted on, and what
/// became of any is known.
fn two_floods(port: u16, flooder: &str, rules: &str) -> Option<(String, Counts)> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let steady = rule("steady", port, "proc.args startswith steady");
    let mut daemon = Daemon::start(&(steady + rules))?;
    assert!(daemon.wait_for("are proven"), "{}", daemon.said);
    let mechanism = daemon.mechanism().to_owned();
    let size = flood_size();
    let flood = Command::new(trigger())
        .args(["flood-refused", &port.to_string(), &size.to_string()])
        .arg(RATE.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut other = Command::new(trigger())
        .args(["steady", &port.to_string(), &OTHERS.to_string()])
        .spawn()
        .unwrap();
    let ends = other.wait().unwrap();
    let ended = flood.wait_with_output();
    assert!(ends.success());
    let said = String::from_utf8(ended.unwrap().stdout).unwrap();
    let (_, milliseconds) = said.trim().split_once('=').expect(&said);
    let rate = size * 1000 / milliseconds.parse::<u64>().unwrap().max(1);
    let (alerts, summaries) = daemon.finish();
    let [connect, outcome, accept, _listen] = &summaries[..] else {
        panic!("four subjects are summed up")
    };
    let skipped = told(&alerts, "changes of sockets were skipped");
    let seen = alerts.matches("alert of steady").count();
    println!(
        "flood: {mechanism}, flooder {flooder}: connects {size} at {rate}/s, generated {}, \
         delivered {}, lost {}, suppressed {}, skipped {skipped}, alerts of the other {seen} of {OTHERS}",
        connect.generated, connect.delivered, connect.lost, connect.suppressed,
    );
    // The detector's connections to itself are the only ones that are accepted; of each the end of its
    // handshake is told, and where it can be, its accept.
    let own = match mechanism.contains("inet_sock_set_state") {
        true => accept.generated,
        false => accept.generated.div_ceil(2),
    };
    let made = size + OTHERS as u64 + own;
    for subject in [connect, outcome] {
        let Summary {
            subject,
            generated,
            delivered,
            lost,
            suppressed,
        } = subject;
        assert_eq!(*generated, delivered + lost + suppressed, "{subject}");
        let unseen = made - generated;
        assert!(unseen <= skipped, "{subject}: {unseen} are not counted");
        let lines = told(&alerts, &format!(" {subject} events "));
        let unknown = told(
            &alerts,
            &format!(" {subject} events were lost (attempt_unknown)"),
        );
        assert_eq!(lines - unknown, lost + suppressed, "{subject}: all is told");
    }
    assert_eq!(seen, OTHERS, "the flood hides a connect");
    let others = OTHERS as u64 + own;
    let counts = Counts {
        attempts: connect.delivered - others,
        outcomes: outcome.delivered - others,
        skipped,
    };
    Some((alerts, counts))
}

/// Of the flooder, delivered.
struct Counts {
    attempts: u64,
    outcomes: u64,
    /// Changes of sockets that the kernel did not let the probes see, whosever they were.
    skipped: u64,
}

#[test]
fn a_flood_that_no_rule_is_about_hides_nobody_else() {
    two_floods(23_220, "let off", "");
}

#[test]
fn a_flood_of_alerts_hides_nobody_else() {
    const PORT: u16 = 23_230;
    let attempt = rule("attempt", PORT, "proc.args startswith flood");
    let outcome = rule(
        "outcome",
        PORT,
        "proc.args startswith flood and evt.failed = true",
    );
    let Some((alerts, flooder)) = two_floods(PORT, "alerted on", &(attempt + &outcome)) else {
        return;
    };
    let count = |what: &str| alerts.matches(what).count() as u64;
    let about = |told: u64, made: u64| told.abs_diff(made) <= flooder.skipped;
    assert!(about(count("alert of attempt"), flooder.attempts));
    let unknown = told(&alerts, " outcome events were lost (attempt_unknown)");
    assert!(about(count("alert of outcome") + unknown, flooder.outcomes));
}
