//! The probes prove themselves, and tell when somebody meddles with them.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

#[expect(dead_code, reason = "the tests of floods need more of it")]
mod daemon;

use std::{
    collections::BTreeSet,
    fs,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use aya::maps::{Array, Map, MapData, loaded_maps};
use daemon::Daemon;
use detector::source::{Fault, Options, Ports, ebpf::EbpfError, live::Live};
use rustix::{
    net::{Shutdown, shutdown},
    process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, pidfd_getfd, pidfd_open},
};

const NONE: [u64; 1024] = [0; 1024];
const PORTS: Ports<'static> = Ports {
    connect: &NONE,
    accept: &NONE,
    listen: &NONE,
};
const SECOND: u64 = 1_000_000_000;
/// Within which a fault is told.
const MINUTE: Duration = Duration::from_secs(60);
const NOT_PROVEN: &str = "the detector cannot connect to itself on loopback";
const RULES: &str = "- rule: r\n  desc: d\n  priority: INFO\n  output: o\n  \
                     condition: evt.type = connect and fd.sport = 23240\n";

/// The ids of the maps that this process has open.
fn open_maps() -> BTreeSet<u32> {
    let mut ids = BTreeSet::new();
    for descriptor in fs::read_dir("/proc/self/fdinfo").unwrap() {
        let about = fs::read_to_string(descriptor.unwrap().path()).unwrap_or_default();
        let id = about.lines().find_map(|line| line.strip_prefix("map_id:"));
        ids.extend(id.map(|id| id.trim().parse::<u32>().unwrap()));
    }
    ids
}

#[tokio::test]
async fn silence_and_meddling_are_faults() {
    let mut live = match Live::start(&Options::default(), &PORTS, 0) {
        Ok(live) => live,
        Err(error @ (EbpfError::Stub | EbpfError::Privilege { .. })) => {
            println!("skipped: {error}");
            return;
        }
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    };
    println!("live: attached to no port but the canary's");
    let mut events = Vec::new();
    let mut prove = |live: &mut Live, now_ns: u64| {
        let first = live.prove(now_ns);
        while live.drain(now_ns, &mut events).unwrap() {}
        assert!(events.is_empty(), "the canary's events are nobody's");
        first.or_else(|| live.prove(now_ns + 10 * SECOND))
    };
    assert_eq!(prove(&mut live, 0), Some(Ok(())));
    assert_eq!(live.audit(0), None);

    let open = open_maps();
    let mut own = loaded_maps()
        .flatten()
        .filter(|map| map.name_as_str() == Some("PORTS") && open.contains(&map.id()));
    let map = Map::Array(MapData::from_id(own.next().unwrap().id()).unwrap());
    let mut words: Array<_, u64> = Array::try_from(map).unwrap();
    for index in 0..words.len() {
        words.set(index, 0, 0).unwrap();
    }
    let unseen = vec!["listen", "connect", "outcome", "accept"];
    assert_eq!(
        prove(&mut live, 100 * SECOND),
        Some(Err(Fault::Unseen(unseen)))
    );
    let Some(Fault::Changed(changes)) = live.audit(100 * SECOND) else {
        panic!("the change is not seen")
    };
    assert_eq!(changes, ["the map PORTS is not what the detector wrote"]);
    assert_eq!(live.audit(120 * SECOND), None, "it is told once");
}

/// The listening socket of a process that has one, taken from it.
fn listener_of(pid: Pid) -> OwnedFd {
    let of = format!("/proc/{}", pid.as_raw_nonzero());
    let table = fs::read_to_string(format!("{of}/net/tcp")).unwrap();
    let listeners: Vec<String> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|columns| columns.get(3) == Some(&"0A"))
        .map(|columns| format!("socket:[{}]", columns.get(9).unwrap()))
        .collect();
    let mut descriptors = fs::read_dir(format!("{of}/fd"))
        .unwrap()
        .map(Result::unwrap);
    let found = descriptors.find(|descriptor| {
        let target = fs::read_link(descriptor.path()).unwrap_or_default();
        listeners
            .iter()
            .any(|one| target.as_os_str() == one.as_str())
    });
    let number = found.unwrap().file_name().into_string().unwrap();
    let process = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let number = number.parse().unwrap();
    pidfd_getfd(process, number, PidfdGetfdFlags::empty()).unwrap()
}

fn told_within_a_minute(what: &str, daemon: &Daemon, since: Instant) {
    let patience = MINUTE.saturating_sub(since.elapsed());
    let told = daemon.wait_for_alert(NOT_PROVEN, patience);
    assert!(
        told.is_some(),
        "{what} is not told in time: {}",
        daemon.alerts()
    );
    println!(
        "health: {what} is told after {:.1} s",
        since.elapsed().as_secs_f64()
    );
    let alerts = daemon.alerts();
    let mut lines = alerts.lines().filter(|line| line.contains(NOT_PROVEN));
    assert!(lines.all(|line| line.contains("Critical")), "{alerts}");
}

#[test]
fn a_canary_that_cannot_connect_is_told_within_a_minute() {
    let Some(mut killed) = Daemon::start(RULES) else {
        return;
    };
    assert!(killed.wait_for("are proven"));
    // As late as can be: it has just connected.
    shutdown(listener_of(killed.pid()), Shutdown::Both).unwrap();
    let kill = Instant::now();

    let mut cut = Daemon::start_apart(RULES, true).unwrap();
    assert!(cut.wait_for("are proven"));
    cut.set_loopback(false);
    let taken = Instant::now();

    let start = Instant::now();
    let mut alone = Daemon::start_apart(RULES, false).unwrap();
    told_within_a_minute("loopback that is down at the start", &alone, start);
    alone.set_loopback(true);

    told_within_a_minute("a listener that was killed", &killed, kill);
    told_within_a_minute("loopback that was taken down", &cut, taken);
    assert!(alone.wait_for("are proven"), "{}", alone.said);
    for daemon in [killed, cut, alone] {
        daemon.finish();
    }
}

/// A process that was stopped finds what its probes told meanwhile, however late.
#[test]
fn a_detector_that_is_stopped_tells_nothing_untrue() {
    let Some(mut daemon) = Daemon::start(RULES) else {
        return;
    };
    // It connects to itself about now; the last stop is longer than the probes may take.
    for stop in [1, 10, 100, 6000] {
        daemon.signal(Signal::STOP);
        // The stop is what is tested: nothing can be waited for.
        std::thread::sleep(Duration::from_millis(stop));
        daemon.signal(Signal::CONT);
    }
    assert!(daemon.wait_for("are proven"), "{}", daemon.said);
    let (alerts, _) = daemon.finish();
    assert!(!alerts.contains("Critical"), "{alerts}");
}
