//! The real binary on this machine's kernel: every scenario of the trigger, with the exact alerts,
//! and floods whose every connect is accounted for.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    time::{Duration, Instant},
};

use detector::{
    event::{Item, Kind, MISSED, RECURSION},
    trace,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const SHIPPED: &str = include_str!("../rules/kubelet_rules.yaml");
const CONNECT: &str = "Unauthorized Kubelet API Access";
const ACCEPT: &str = "Kubelet API Accepted By Unexpected Process";
const LISTEN: &str = "Unexpected Listener On Kubelet Port";
const PARENT: &str = r#"append_output=[{"extra_fields": ["proc.pname"]}]"#;
/// For whatever is waited for.
const LONG: Duration = Duration::from_secs(60);

fn trigger(scenario: &str, port: u16) -> Command {
    // Cargo builds the examples beside the tests.
    let folder = std::env::current_exe().unwrap();
    let folder = folder.parent().unwrap().parent().unwrap();
    let mut command = Command::new(folder.join("examples/trigger"));
    command.args([scenario, &port.to_string()]);
    command
}

fn make(scenario: &str, port: u16) {
    let status = trigger(scenario, port).status().unwrap();
    assert!(status.success(), "{scenario}: {status}");
}

/// The detector, watching `port` and the fifth above it with the shipped rules.
struct Detector {
    child: Child,
    alerts: Receiver<Value>,
    _rules: tempfile::TempDir,
}

impl Detector {
    /// `None`, and why, where the probes cannot run.
    fn start(port: u16, record: Option<&Path>) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("rules.yaml");
        let text = SHIPPED
            .replace("10255", &(port + 5).to_string())
            .replace("10250", &port.to_string());
        fs::write(&rules, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubelet-detector"));
        command.env("KUBELET_DETECTOR_STATE", "");
        match record {
            Some(path) => command.arg("record").arg("-o").arg(path),
            None => command.arg("run"),
        };
        let mechanism = std::env::var("KUBELET_DETECTOR_ATTACH");
        command.args(["--attach", mechanism.as_deref().unwrap_or("auto")]);
        command.args(["--set", PARENT, "--format", "json", "-r"]);
        command.arg(&rules);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        // Its own connection is behind it then, and counts with nobody's.
        while !said.contains("the probes are proven") {
            if log.read_line(&mut said).unwrap() == 0 {
                assert!(
                    said.contains("without the probes") || said.contains("need capabilities"),
                    "{said}"
                );
                println!("skipped: {}", said.trim());
                child.wait().unwrap();
                return None;
            }
        }
        println!("live: attached to port {port}");
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        let (sender, alerts) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    break;
                }
            }
        });
        Some(Self {
            child,
            alerts,
            _rules: folder,
        })
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Waits for this many alerts, stops the detector and returns all of its alerts.
    fn finish(mut self, count: usize) -> Vec<Value> {
        let mut found = Vec::new();
        let end = Instant::now() + LONG;
        while found.len() < count {
            match self
                .alerts
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(alert) if is_recursion(&alert) => {}
                Ok(alert) => found.push(alert),
                Err(error) => panic!("{error}: {count} alerts expected, found {found:#?}"),
            }
        }
        self.signal(Signal::TERM);
        loop {
            match self.alerts.recv_timeout(LONG) {
                Ok(alert) if is_recursion(&alert) => {}
                Ok(alert) => found.push(alert),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the detector does not stop"),
            }
        }
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        found
    }
}

/// A test that failed leaves no detector behind.
impl Drop for Detector {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

fn text<'a>(alert: &'a Value, pointer: &str) -> &'a str {
    alert
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// On a slow machine a softirq now and then interrupts a probe on its own CPU: what the kernel
/// skipped then may be any socket's, and is told as it should be.
fn is_recursion(alert: &Value) -> bool {
    text(alert, "/output_fields/cause") == "recursion"
}

/// Rule and process of each alert, in any order; a refused connect of the trigger ends each.
fn expect_alerts(scenario: &str, port: u16, expected: &[(&str, &str)]) {
    let Some(detector) = Detector::start(port, None) else {
        return;
    };
    make(scenario, port);
    make("refused", port);
    let alerts = detector.finish(expected.len() + 1);
    let mut found: Vec<(&str, &str)> = alerts
        .iter()
        .map(|alert| {
            (
                text(alert, "/rule"),
                text(alert, "/output_fields/proc.name"),
            )
        })
        .collect();
    let mut expected = expected.to_vec();
    expected.push((CONNECT, "trigger"));
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{alerts:#?}");
    for alert in &alerts {
        let connection = text(alert, "/output_fields/fd.name");
        assert!(
            connection.contains(&format!(":{port}"))
                || connection.ends_with(&format!(":{}", port + 5))
        );
        assert!(
            !connection.contains(":0->"),
            "the source port is known: {connection}"
        );
        if text(alert, "/rule") != ACCEPT {
            assert_eq!(text(alert, "/output_fields/user.name"), "root");
        }
    }
}

macro_rules! scenarios {
    ($($name:ident: $scenario:literal, $port:literal, [$(($rule:ident, $process:literal)),*];)+) => {
        $(#[test]
        fn $name() {
            expect_alerts($scenario, $port, &[$(($rule, $process)),*]);
        })+
    };
}

scenarios! {
    a_connect_to_a_listener: "listener", 22_000,
        [(LISTEN, "trigger"), (CONNECT, "trigger"), (ACCEPT, "trigger")];
    a_refused_connect: "refused", 22_020, [(CONNECT, "trigger")];
    a_non_blocking_connect: "non-blocking", 22_040, [(CONNECT, "trigger")];
    a_connect_by_ipv6: "ipv6", 22_060, [(CONNECT, "trigger")];
    a_connect_by_a_mapped_address: "mapped", 22_080, [(CONNECT, "trigger")];
    another_port_is_silent: "other-port", 22_100, [];
    udp_is_silent: "udp", 22_120, [];
    an_allowlisted_name_is_silent: "allowlisted", 22_140, [];
    an_accept_is_its_listeners: "accept", 22_160,
        [(LISTEN, "trigger"), (CONNECT, "client"), (ACCEPT, "trigger")];
    the_kubelet_by_name_is_silent: "served", 22_280, [];
    a_listen_on_both_ports: "listen", 22_180, [(LISTEN, "trigger"), (LISTEN, "trigger")];
    a_thread_beside_the_leader: "thread", 22_200, [(CONNECT, "worker")];
    a_name_of_twenty_characters: "long-name", 22_220, [(CONNECT, "kubelet-imperso")];
    a_script_has_its_own_name: "script", 22_240, [(CONNECT, "check.sh")];
    a_connect_without_an_answer: "unanswered", 22_260,
        [(LISTEN, "trigger"), (CONNECT, "trigger"), (ACCEPT, "trigger"), (CONNECT, "trigger")];
}

#[test]
fn a_parent_has_the_name_of_its_process_whichever_thread_forked() {
    let port = 22_340;
    let Some(detector) = Detector::start(port, None) else {
        return;
    };
    make("thread-child", port);
    let alerts = detector.finish(1);
    let parents: Vec<&str> = alerts
        .iter()
        .map(|alert| text(alert, "/output_fields/proc.pname"))
        .collect();
    assert_eq!(parents, ["trigger"]);
}

/// What became of attempts.
#[derive(Debug, Default)]
struct Attempts {
    delivered: u64,
    lost: u64,
    /// Changes of sockets that the kernel did not let the probes see: attempts may be among them.
    skipped: u64,
}

/// As the trace has them.
fn attempts(path: &Path) -> Attempts {
    let mut reader = trace::Reader::open(path, |file| Box::new(file)).unwrap();
    let mut attempts = Attempts::default();
    while let Some(item) = reader.next_item().unwrap() {
        match item {
            Item::Event(event) if event.kind == Kind::ConnectAttempt => attempts.delivered += 1,
            Item::Drop(loss) if loss.subject == "connect" => attempts.lost += loss.count,
            Item::Drop(loss) if [RECURSION, MISSED].contains(&&*loss.cause) => {
                attempts.skipped += loss.count;
            }
            _ => {}
        }
    }
    attempts
}

/// Connects of a flood; fewer where the machine is emulated.
fn flood_size() -> u32 {
    let chosen = std::env::var("KUBELET_DETECTOR_FLOOD");
    chosen.map_or(100_000, |count| count.parse().unwrap())
}

/// Of them in a second. One process can make several times as many; the ring buffer holds what comes in
/// half a second of this, for as long as a shared machine may run somebody else.
const RATE: u32 = 12_500;

/// One flood at a time: each wants both the CPUs of a small machine.
static FLOODS: Mutex<()> = Mutex::new(());

/// Floods a listener; `meanwhile` runs during it.
fn flood(port: u16, meanwhile: impl FnOnce(&Detector)) -> Option<Attempts> {
    let _alone = FLOODS.lock();
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("flood.kdt");
    let mut detector = Detector::start(port, Some(&path))?;
    // Alerts are not what is counted here; nobody may wait for them to be read.
    let (_sender, nobody) = channel();
    let alerts = std::mem::replace(&mut detector.alerts, nobody);
    let reader = std::thread::spawn(move || alerts.iter().count());
    let size = flood_size();
    let mut load = trigger("flood", port)
        .args([size.to_string(), RATE.to_string()])
        .spawn()
        .unwrap();
    meanwhile(&detector);
    assert!(load.wait().unwrap().success());
    detector.signal(Signal::TERM);
    assert_eq!(detector.child.wait().unwrap().code(), Some(0));
    let alerts = reader.join().unwrap();
    let attempts = attempts(&path);
    println!("flood: {size} connects, {alerts} alerts, {attempts:?}");
    let known = attempts.delivered + attempts.lost;
    assert!((known..=known + attempts.skipped).contains(&u64::from(size)));
    Some(attempts)
}

#[test]
fn a_flood_loses_nothing() {
    if let Some(attempts) = flood(22_300, |_| {}) {
        assert_eq!(attempts.lost, 0);
    }
}

#[test]
fn a_flood_past_a_stopped_reader_is_accounted_for() {
    flood(22_320, |detector| {
        detector.signal(Signal::STOP);
        // The stop is what is tested: nothing can be waited for.
        std::thread::sleep(Duration::from_secs(5));
        detector.signal(Signal::CONT);
    });
}
