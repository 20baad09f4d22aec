//! For tests that kill the real binary amid a stream of connects, and start it again.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{BufRead as _, BufReader, Read as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::{
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::{Pid, Signal, kill_process},
};
use serde_json::Value;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_kubelet-detector");

/// Numbers that look random, other ones in each run (Marsaglia's xorshift).
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new() -> Self {
        let seed = now_ns() | 1;
        println!("random times by the seed {seed}");
        Self(seed)
    }

    pub(crate) fn pause(&mut self, least: u64, most: u64) {
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
pub(crate) struct Place {
    folder: tempfile::TempDir,
    mounted: bool,
}

impl Place {
    pub(crate) fn new(port: u16) -> Self {
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

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn pins(&self) -> PathBuf {
        self.file("bpf/pins")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.mounted {
            unmount(self.file("bpf"), UnmountFlags::DETACH).unwrap();
        }
    }
}

/// A run of the detector.
pub(crate) struct Run {
    child: Child,
    /// What it said until it watched, or was where it was waited for.
    pub(crate) said: String,
}

impl Run {
    /// `Err` with what it said, where it ended before it watched.
    pub(crate) fn start(place: &Place, more: &[&str]) -> Result<Self, String> {
        Self::start_until("watching ", place, more)
    }

    pub(crate) fn start_until(last: &str, place: &Place, more: &[&str]) -> Result<Self, String> {
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
    pub(crate) fn first(place: &Place, more: &[&str]) -> Option<Self> {
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

    pub(crate) fn end(mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.child.wait().unwrap();
    }
}

/// A test that failed leaves no detector behind.
impl Drop for Run {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Connects that wait in the queue at once: the first of them longer than a detector waits for its
/// accept, if there are a hundred a second.
const BACKLOG: usize = 25;

/// Connects to a listener of its own until it is stopped: the source ports, with their times.
pub(crate) struct Stream {
    stop: Arc<AtomicBool>,
    made: JoinHandle<Vec<(u16, u64)>>,
}

impl Stream {
    pub(crate) fn start(port: u16, pause: Duration) -> Self {
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

    pub(crate) fn finish(self) -> Vec<(u16, u64)> {
        self.stop.store(true, Ordering::Relaxed);
        self.made.join().unwrap()
    }
}

pub(crate) fn is(alert: &Value, rule: &str) -> bool {
    alert.get("rule").unwrap() == rule
}

pub(crate) fn field(alert: &Value, name: &str) -> u64 {
    let value = alert.pointer(&format!("/output_fields/{name}"));
    value.and_then(Value::as_u64).unwrap()
}

/// How many connections the rule alerted on, and how many alerts were more than one for each process
/// that was named: a second accept names the one that took what was told of nobody, where the listener
/// was gone when its owner was looked for.
pub(crate) fn alerted(alerts: &[Value], rule: &str) -> (usize, usize) {
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
pub(crate) fn counted(alerts: &[Value], rule: &str, subjects: &[&str]) -> u64 {
    let of = alerts.iter().filter(|alert| {
        let subject = alert
            .pointer("/output_fields/subject")
            .and_then(Value::as_str);
        is(alert, rule) && subject.is_none_or(|subject| subjects.contains(&subject))
    });
    of.map(|alert| field(alert, "count")).sum()
}
