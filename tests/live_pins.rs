//! The real binary, killed and started again: with pinned probes each connect is alerted on once or
//! counted, without them the time in which nobody watched is told.
#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Read as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use aya::maps::{Array, Map, MapData};
use rustix::{
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::{Pid, Signal, kill_process},
};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_kubelet-detector");
const BLIND: &str = "Detector was not running";
/// What is told may be off by this.
const TOLERANCE_NS: u64 = 100_000_000;

/// One stream of connects at a time: each wants both the CPUs of a small machine.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Numbers that look random, other ones in each run (Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn new() -> Self {
        let seed = now_ns() | 1;
        println!("random times by the seed {seed}");
        Self(seed)
    }

    fn pause(&mut self, least: u64, most: u64) {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let span = (most - least) * 1000;
        std::thread::sleep(Duration::from_micros(least * 1000 + self.0 % span));
    }
}

fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_nanos()).unwrap()
}

/// A folder with rules, a state, the alerts of all runs, and a BPF file system of its own.
struct Place {
    folder: tempfile::TempDir,
    mounted: bool,
}

impl Place {
    fn new(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rule = |name: &str, condition: &str| {
            format!(
                "- rule: {name}\n  desc: d\n  priority: INFO\n  condition: fd.sport = {port} and \
                 evt.type = {condition}\n  output: \"%fd.cport %evt.rawtime %flow.cookie %proc.pid\"\n"
            )
        };
        let text = rule("attempt", "connect")
            + &rule("outcome", "connect and evt.rawres = 0")
            + &rule("accept", "accept");
        fs::write(folder.path().join("rules.yaml"), text).unwrap();
        let bpf = folder.path().join("bpf");
        fs::create_dir(&bpf).unwrap();
        let mounted = mount("bpf", &bpf, "bpf", MountFlags::empty(), None).is_ok();
        Self { folder, mounted }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pins(&self) -> PathBuf {
        self.file("bpf/pins")
    }

    /// Each line of all runs; torn ones, where a kill came amid it, are counted, and what the next run
    /// wrote behind one is a line.
    fn alerts(&self) -> (Vec<Value>, usize) {
        let text = fs::read(self.file("alerts")).unwrap();
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

impl Drop for Place {
    fn drop(&mut self) {
        if self.mounted {
            unmount(self.file("bpf"), UnmountFlags::DETACH).unwrap();
        }
    }
}

/// A run of the detector.
struct Run {
    child: Child,
    /// What it said until it watched, or was where it was waited for.
    said: String,
}

impl Run {
    /// `Err` with what it said, where it ended before it watched.
    fn start(place: &Place, more: &[&str]) -> Result<Self, String> {
        Self::start_until("watching ", place, more)
    }

    fn start_until(last: &str, place: &Place, more: &[&str]) -> Result<Self, String> {
        let mut alerts = OpenOptions::new();
        let alerts: File = alerts
            .create(true)
            .append(true)
            .open(place.file("alerts"))
            .unwrap();
        let mechanism = std::env::var("KUBELET_DETECTOR_ATTACH").unwrap_or("auto".to_owned());
        // Kprobes are not pinned.
        let pinned = more.contains(&"--pin") && mechanism == "kprobe";
        let mechanism = if pinned { "auto" } else { &mechanism };
        let mut child = Command::new(BINARY)
            .args(["run", "--format", "json", "--attach", mechanism, "-r"])
            .arg(place.file("rules.yaml"))
            .arg("--state")
            .arg(place.file("state"))
            .args(more)
            .stdout(alerts)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains(last) {
            if log.read_line(&mut said).unwrap() == 0 {
                child.wait().unwrap();
                return Err(said);
            }
        }
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Ok(Self { child, said })
    }

    /// The first run of a test; `None`, and why, where the probes cannot run.
    fn first(place: &Place, more: &[&str]) -> Option<Self> {
        match Self::start(place, more) {
            Ok(run) => {
                println!("live: attached");
                Some(run)
            }
            Err(said) => {
                assert!(
                    said.contains("without the probes") || said.contains("need capabilities"),
                    "{said}"
                );
                println!("skipped: {}", said.trim());
                None
            }
        }
    }

    fn end(mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.child.wait().unwrap();
    }
}

/// Connects that wait in the queue at once: the first of them longer than a detector waits for its
/// accept, if there are a hundred a second.
const BACKLOG: usize = 25;

/// Connects to a listener of its own until it is stopped: the source ports, with their times.
struct Stream {
    stop: Arc<AtomicBool>,
    made: JoinHandle<Vec<(u16, u64)>>,
}

impl Stream {
    fn start(port: u16, pause: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let made = std::thread::spawn(move || {
            let mut made = Vec::new();
            let mut due = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                let time_ns = now_ns();
                let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
                made.push((stream.local_addr().unwrap().port(), time_ns));
                if made.len().is_multiple_of(BACKLOG) {
                    for _ in 0..BACKLOG {
                        drop(listener.accept().unwrap());
                    }
                }
                due += pause;
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            made
        });
        Self { stop, made }
    }

    fn finish(self) -> Vec<(u16, u64)> {
        self.stop.store(true, Ordering::Relaxed);
        self.made.join().unwrap()
    }
}

fn is(alert: &Value, rule: &str) -> bool {
    alert.get("rule").unwrap() == rule
}

fn field(alert: &Value, name: &str) -> u64 {
    let value = alert.pointer(&format!("/output_fields/{name}"));
    value.and_then(Value::as_u64).unwrap()
}

/// How many connections the rule alerted on, and how many alerts were more than one for each process
/// that was named: a second accept names the one that took what was told of nobody, where the listener
/// was gone when its owner was looked for.
fn alerted(alerts: &[Value], rule: &str) -> (usize, usize) {
    let of = alerts.iter().filter(|alert| is(alert, rule));
    let named = |alert| {
        let process = Value::pointer(alert, "/output_fields/proc.pid");
        (field(alert, "flow.cookie"), process.and_then(Value::as_u64))
    };
    let all: Vec<(u64, Option<u64>)> = of.map(named).collect();
    let once: BTreeSet<_> = all.iter().collect();
    let connections: BTreeSet<u64> = all.iter().map(|(cookie, _)| *cookie).collect();
    (connections.len(), all.len() - once.len())
}

/// What the detector's own alerts of a rule count, of these subjects.
fn counted(alerts: &[Value], rule: &str, subjects: &[&str]) -> u64 {
    let of = alerts.iter().filter(|alert| {
        let subject = alert
            .pointer("/output_fields/subject")
            .and_then(Value::as_str);
        is(alert, rule) && subject.is_none_or(|subject| subjects.contains(&subject))
    });
    of.map(|alert| field(alert, "count")).sum()
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
    let (alerts, torn) = place.alerts();
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
    let (alerts, _) = place.alerts();
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
    let (alerts, _) = place.alerts();
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
