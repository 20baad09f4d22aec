//! The real binary, killed and started again: with pinned probes each connect is alerted on once or
//! counted, without them the time in which nobody watched is told.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

#[path = "killed.rs"]
mod killed;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use aya::maps::{Array, Map, MapData};
use rustix::process::Signal;
use serde_json::Value;

use killed::{BINARY, Numbers, Place, Run, Stream, alerted, counted, field, is};

const BLIND: &str = "Detector was not running";
/// What is told may be off by this.
const TOLERANCE_NS: u64 = 100_000_000;

/// One stream of connects at a time: each wants both the CPUs of a small machine.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Each line of all runs; torn ones, where a kill came amid it, are counted, and what the next run
/// wrote behind one is a line.
fn alerts(place: &Place) -> (Vec<Value>, usize) {
    let text = fs::read(place.file("alerts")).unwrap();
    let (mut alerts, mut torn) = (Vec::new(), 0);
    for line in text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        match serde_json::from_slice(line) {
            Ok(alert) => alerts.push(alert),
            Err(_) => {
                torn += 1;
                alerts.extend(whole(line));
            }
        }
    }
    (alerts, torn)
}

/// The alert at the end of a torn line.
fn whole(line: &[u8]) -> Option<Value> {
    let begins = (1..line.len()).filter(|at| line.get(*at) == Some(&b'{'));
    let ends: Vec<&[u8]> = begins.filter_map(|at| line.get(at..)).collect();
    let mut alerts = ends
        .iter()
        .filter_map(|end| serde_json::from_slice(end).ok());
    alerts.find(|alert: &Value| alert.get("rule").is_some())
}

/// The detector is killed at random moments of a stream of connects, each time after up to
/// `runs_for` milliseconds.
fn killed_amid(port: u16, pause: Duration, duration: Duration, runs_for: u64) {
    let _alone = alone();
    let place = Place::new(port);
    let pins = place.pins();
    let options = ["--pin", pins.to_str().unwrap()];
    let Some(mut run) = Run::first(&place, &options) else {
        return;
    };
    let stream = Stream::start(port, pause);
    let mut numbers = Numbers::new();
    let (end, mut kills) = (Instant::now() + duration, 0);
    while Instant::now() < end {
        numbers.pause(1, runs_for);
        run.end(Signal::KILL);
        numbers.pause(1, runs_for / 2);
        run = Run::start(&place, &options).unwrap_or_else(|said| panic!("{said}"));
        assert!(run.said.contains("adopted"), "{}", run.said);
        kills += 1;
    }
    let made = stream.finish();
    run.end(Signal::TERM);
    let (alerts, torn) = alerts(&place);
    let (attempts, twice) = alerted(&alerts, "attempt");
    let (outcomes, ended_twice) = alerted(&alerts, "outcome");
    let (accepts, accepted_twice) = alerted(&alerts, "accept");
    let lost = counted(&alerts, "Events lost", &["connect"]);
    let unjoined = counted(&alerts, "Events lost", &["outcome"]);
    let skipped = counted(&alerts, "Events lost", &["probe"]);
    let dropped = counted(&alerts, "Events lost", &["accept"]);
    let again = counted(&alerts, "Events told again", &[]);
    let missing = made.len().checked_sub(attempts).unwrap() as u64;
    let unended = made.len().checked_sub(outcomes).unwrap() as u64;
    let unaccepted = made.len().checked_sub(accepts).unwrap() as u64;
    println!(
        "pins: {} connects in {duration:?}, {kills} kills: {missing} attempts not alerted on, {lost} \
         lost; {unended} outcomes not alerted on, {unjoined} lost; {unaccepted} accepts not alerted on, \
         {dropped} lost; {skipped} skipped; {twice} attempts, {ended_twice} outcomes and \
         {accepted_twice} accepts alerted on twice, {again} events told again, {torn} torn lines",
        made.len()
    );
    assert!(missing <= lost && unended <= unjoined + skipped + lost);
    assert!(unaccepted <= dropped + skipped);
    assert!((twice + ended_twice + accepted_twice) as u64 <= again);
    assert!(
        !alerts.iter().any(|alert| is(alert, BLIND)),
        "nobody was blind"
    );
}

#[test]
fn each_connect_is_alerted_on_once_or_counted_though_the_detector_is_killed() {
    let emulated = std::env::var("KUBELET_DETECTOR_FLOOD").is_ok();
    let duration = Duration::from_secs(if emulated { 10 } else { 30 });
    killed_amid(23_400, Duration::from_millis(10), duration, 2000);
}

/// A kill comes amid a batch, or before the daemon caught up with the one before.
#[test]
fn so_it_is_when_connects_and_kills_come_faster() {
    killed_amid(
        23_410,
        Duration::from_micros(500),
        Duration::from_secs(10),
        200,
    );
}

#[test]
fn without_pins_the_time_in_which_nobody_watched_is_told() {
    const PORT: u16 = 23_420;
    let _alone = alone();
    let place = Place::new(PORT);
    let Some(mut run) = Run::first(&place, &[]) else {
        return;
    };
    let stream = Stream::start(PORT, Duration::from_millis(2));
    let mut numbers = Numbers::new();
    let signals = [Signal::KILL, Signal::KILL, Signal::TERM, Signal::KILL];
    for signal in signals {
        numbers.pause(500, 1000);
        run.end(signal);
        numbers.pause(1, 1000);
        // It tells what it sees from then on.
        run = Run::start_until("are proven", &place, &[]).unwrap_or_else(|said| panic!("{said}"));
    }
    numbers.pause(500, 1000);
    let made = stream.finish();
    run.end(Signal::TERM);
    let (alerts, _) = alerts(&place);
    let told: Vec<&Value> = alerts.iter().filter(|alert| is(alert, BLIND)).collect();
    let ends: Vec<_> = told
        .iter()
        .map(|one| one.pointer("/output_fields/end").unwrap())
        .collect();
    assert_eq!(ends, ["killed", "killed", "stopped", "killed"]);
    // A port comes again, but not so soon.
    let mut seen: BTreeMap<u16, Vec<u64>> = BTreeMap::new();
    for alert in alerts.iter().filter(|alert| is(alert, "attempt")) {
        let port = u16::try_from(field(alert, "fd.cport")).unwrap();
        let times = seen.entry(port).or_default();
        times.push(field(alert, "evt.rawtime"));
    }
    let is_seen = |port: &u16, time_ns: u64| {
        let mut times = seen.get(port).into_iter().flatten();
        times.any(|one| one.abs_diff(time_ns) < TOLERANCE_NS)
    };
    // The first and the last connect of each time in which none was seen.
    let mut unseen: Vec<(u64, u64)> = Vec::new();
    let mut was_seen = true;
    for (port, time_ns) in &made {
        let is_seen = is_seen(port, *time_ns);
        match unseen.last_mut() {
            Some((_, last)) if !is_seen && !was_seen => *last = *time_ns,
            _ if !is_seen => unseen.push((*time_ns, *time_ns)),
            _ => {}
        }
        was_seen = is_seen;
    }
    assert_eq!(unseen.len(), signals.len(), "{unseen:?} of {told:?}");
    for (alert, (first, last)) in told.iter().zip(unseen) {
        let (from, to) = (field(alert, "from"), field(alert, "to"));
        let off = [from.abs_diff(first), to.abs_diff(last)];
        let length = field(alert, "length");
        println!(
            "blind: told {} us, measured {} us; begin and end off by {:?} us",
            length / 1000,
            (last - first) / 1000,
            off.map(|ns| ns / 1000)
        );
        assert!(off.iter().all(|ns| *ns <= TOLERANCE_NS), "{alert}");
        assert!(length.abs_diff(last - first) <= TOLERANCE_NS, "{alert}");
    }
}

/// Makes the pins those of another version.
fn falsify(pins: &Path) {
    let map = Map::Array(MapData::from_pin(pins.join("TOLD")).unwrap());
    let mut told: Array<_, [u64; 16]> = Array::try_from(map).unwrap();
    let mut words = told.get(&0, 0).unwrap();
    *words.first_mut().unwrap() ^= 1;
    told.set(0, words, 0).unwrap();
}

#[test]
fn pins_of_no_use_are_taken_away_and_that_is_told() {
    const PORT: u16 = 23_430;
    let place = Place::new(PORT);
    let pins = place.pins();
    let options = ["--pin", pins.to_str().unwrap()];
    let Some(run) = Run::first(&place, &options) else {
        return;
    };
    let said = Run::start(&place, &options).err().unwrap();
    assert!(said.contains("a detector that runs uses them"), "{said}");
    run.end(Signal::TERM);

    let mut blind = 0;
    for (spoil, why) in [
        (falsify as fn(&Path), "they are of another version"),
        (
            |pins| fs::remove_file(pins.join("EVENTS")).unwrap(),
            "they are damaged",
        ),
        (
            |pins| fs::remove_file(pins.join("link_inet_sock_set_state")).unwrap(),
            "they are damaged",
        ),
        (
            |pins| {
                let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
                fs::set_permissions(pins, open).unwrap();
            },
            "others may have written there",
        ),
    ] {
        spoil(&pins);
        let run = Run::start(&place, &options).unwrap_or_else(|said| panic!("{said}"));
        assert!(run.said.contains(why), "{why}: {}", run.said);
        run.end(Signal::TERM);
        blind += 1;
    }
    let (alerts, _) = alerts(&place);
    let told = alerts.iter().filter(|alert| is(alert, BLIND));
    assert_eq!(told.count(), blind);

    let unpin = || {
        Command::new(BINARY)
            .arg("unpin")
            .arg(&pins)
            .output()
            .unwrap()
    };
    let said = String::from_utf8(unpin().stdout).unwrap();
    assert!(said.contains("are detached"), "{said}");
    assert!(!pins.exists());
    let said = String::from_utf8(unpin().stdout).unwrap();
    assert!(said.contains("no probes are pinned"), "{said}");
}
