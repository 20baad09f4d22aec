//! Rules that change while events go on: no event is lost, and none that old and new rules judge
//! alike is judged otherwise. One test needs no privileges, the others run the real binary.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

#[path = "event.rs"]
mod event;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel, sync_channel},
    time::Duration,
};

use detector::{
    event::{Event, Item, Kind},
    host::Host,
    pipeline::{Pipeline, reload::Refused},
    rules::{self, Ruleset, SourceFile},
    sink::{Format, Stream, Style},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const FAILURE: &str = "Hot reload failure";
/// For whatever is waited for.
const LONG: Duration = Duration::from_secs(60);

fn rule(name: &str, condition: &str) -> String {
    format!(
        "- rule: {name}\n  desc: d\n  condition: {condition}\n  output: o %proc.name %fd.name\n  priority: INFO\n"
    )
}

fn ruleset(text: &str) -> Result<Ruleset, Refused> {
    let loaded = rules::load(&[SourceFile {
        name: "rules.yaml".to_owned(),
        text: text.to_owned(),
    }]);
    let first = loaded.diagnostics.first().map(ToString::to_string);
    loaded
        .ruleset
        .ok_or_else(|| Refused::one(first.unwrap_or_default()))
}

/// Numbers that look random, the same in each run (Marsaglia's xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        let index = self.below(all.len() as u64);
        *all.get(usize::try_from(index).unwrap()).unwrap()
    }
}

fn event(numbers: &mut Numbers, time_ns: u64) -> Event {
    let kind = numbers.one_of(&[
        Kind::ConnectAttempt,
        Kind::ConnectOutcome,
        Kind::Accept,
        Kind::Listen,
    ]);
    let mut event = event::event(kind);
    event.time_ns = time_ns;
    event.socket.cookie = time_ns;
    event.socket.server.port = numbers.one_of(&[10250, 10255, 443]);
    event.errno = (kind != Kind::ConnectAttempt).then_some(numbers.one_of(&[0, 111]));
    event.thread.comm = numbers
        .one_of(&["curl", "kubelet", "kube-apiserver", "nc", "sh"])
        .to_owned();
    event
}

/// The same verdicts for the events above, written in three ways.
fn alike() -> [String; 3] {
    let connect = "Connect";
    let failed = "Failed";
    [
        rule(
            connect,
            "evt.type = connect and fd.sport in (10250, 10255) and proc.name != kubelet",
        ) + &rule(
            failed,
            "evt.type = connect and evt.failed = true and fd.sport = 443",
        ),
        format!(
            "- list: ports\n  items: [10255, 10250]\n- macro: kubelet\n  condition: proc.name = kubelet\n{}{}{}",
            rule("Elsewhere", "fd.sport = 30000"),
            rule(
                connect,
                "not kubelet and fd.sport in (ports) and evt.type = connect"
            ),
            rule(
                failed,
                "fd.sport = 443 and not evt.rawres >= 0 and evt.type in (connect)"
            ),
        ),
        rule(
            connect,
            "proc.name in (curl, kube-apiserver, nc, sh) and fd.sport != 443 and evt.type = connect",
        ) + &rule(
            failed,
            "evt.res = ECONNREFUSED and evt.type = connect and fd.port = 443",
        ) + &rule("Never", "evt.type = listen and fd.sport = 1"),
    ]
}

/// The alerts without what counts them; whether they are counted without a gap.
fn alerts(lines: &[u8]) -> Vec<Value> {
    let mut alerts = Vec::new();
    for (index, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let mut alert: Value = serde_json::from_slice(line).unwrap();
        let object = alert.as_object_mut().unwrap();
        assert_eq!(object.remove("sequence"), Some((index + 1).into()));
        object.remove("uuid").unwrap();
        alerts.push(alert);
    }
    alerts
}

#[test]
fn rules_that_judge_alike_change_nothing_when_they_are_reloaded() {
    const EVENTS: u64 = 100_000;
    let style = Style {
        format: Format::Json,
        ..Style::default()
    };
    let texts = alike();
    let pipeline = |out| {
        let first = ruleset(texts.first().unwrap()).unwrap();
        let host = Host::default();
        Pipeline::new(first, host.clone(), Stream::new(style, &host, out))
    };
    let (mut steady, mut changing) = (Vec::new(), Vec::new());
    let (mut reloads, mut failures) = (0, 0);
    {
        let (mut steady, mut changing) = (pipeline(&mut steady), pipeline(&mut changing));
        let (mut stream, mut chance) = (Numbers(7), Numbers(11));
        for time_ns in 1..=EVENTS {
            let event = event(&mut stream, time_ns);
            steady.process(Item::Event(event.clone())).unwrap();
            if chance.below(100) == 0 {
                let broken = rule("Connect", "fd.sprt = 1");
                let choice = usize::try_from(chance.below(4)).unwrap();
                match ruleset(texts.get(choice).unwrap_or(&broken)) {
                    Ok(ruleset) => {
                        changing.reload(ruleset);
                        reloads += 1;
                    }
                    Err(refused) => {
                        changing.not_reloaded(time_ns, &refused).unwrap();
                        failures += 1;
                    }
                }
            }
            changing.process(Item::Event(event)).unwrap();
        }
        let (events, alerts) = steady.finish().unwrap();
        assert_eq!(events, EVENTS);
        assert_eq!(changing.finish().unwrap(), (EVENTS, alerts + failures));
    }
    assert!(reloads > 500 && failures > 100, "{reloads}, {failures}");
    let expected = alerts(&steady);
    let (told, found): (Vec<Value>, Vec<Value>) = alerts(&changing)
        .into_iter()
        .partition(|one| one["rule"] == FAILURE);
    assert!(expected.len() > 10_000, "{}", expected.len());
    assert!(found == expected, "an event was judged otherwise");
    assert_eq!(told.len() as u64, failures);
    for one in told {
        assert_eq!(one["priority"], "Critical");
        assert_eq!(one["source"], "internal");
        let output = one["output"].as_str().unwrap();
        assert!(
            output.contains("rules.yaml:3:14: LOAD_ERR_COMPILE_CONDITION"),
            "{output}"
        );
    }
}

#[test]
fn new_rules_decide_from_the_next_event_on() {
    let mut lines = Vec::new();
    let text = |port: u16| rule("r", &format!("fd.sport = {port}"));
    {
        let first = ruleset(&text(10250)).unwrap();
        let host = Host::default();
        let stream = Stream::new(Style::default(), &host, &mut lines);
        let mut pipeline = Pipeline::new(first, host, stream);
        let judge = |pipeline: &mut Pipeline<_>, port| {
            let mut event = event(&mut Numbers(1), 1);
            event.kind = Kind::ConnectAttempt;
            event.socket.server.port = port;
            pipeline.process(Item::Event(event)).unwrap();
        };
        for port in [10250, 443] {
            judge(&mut pipeline, port);
        }
        pipeline.reload(ruleset(&text(443)).unwrap());
        for port in [10250, 443] {
            judge(&mut pipeline, port);
        }
        assert_eq!(pipeline.finish().unwrap(), (4, 2));
    }
    let lines = String::from_utf8(lines).unwrap();
    let ends: Vec<&str> = lines
        .lines()
        .map(|line| line.rsplit(':').next().unwrap())
        .collect();
    assert_eq!(ends, ["10250", "443"]);
}

/// The real binary with a rules file that is written over.
struct Detector {
    child: Child,
    /// Lines of the log.
    log: Receiver<String>,
    alerts: Receiver<Value>,
}

impl Detector {
    /// `None`, and why, where the probes cannot run.
    fn start(rules: &Path) -> Option<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_kubelet-detector"))
            .env("KUBELET_DETECTOR_STATE", "")
            .args(["run", "--format", "json", "--attach"])
            .arg(std::env::var("KUBELET_DETECTOR_ATTACH").unwrap_or("auto".to_owned()))
            .arg("-r")
            .arg(rules)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = lines(child.stderr.take().unwrap(), |line| line);
        let alerts = lines(child.stdout.take().unwrap(), |line| {
            serde_json::from_str(&line).unwrap()
        });
        let mut said = String::new();
        while !said.contains("watching") {
            match log.recv_timeout(LONG) {
                Ok(line) => said = format!("{said}{line}\n"),
                Err(RecvTimeoutError::Timeout) => panic!("the detector does not start: {said}"),
                Err(RecvTimeoutError::Disconnected) => {
                    assert!(
                        said.contains("without the probes") || said.contains("need capabilities"),
                        "{said}"
                    );
                    println!("skipped: {}", said.trim());
                    child.wait().unwrap();
                    return None;
                }
            }
        }
        println!("live: attached with {}", rules.display());
        Some(Self { child, log, alerts })
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Has the rules read anew, and waits until that is told; whether they are in force.
    fn reload(&self) -> bool {
        self.signal(Signal::HUP);
        loop {
            let line = self.log.recv_timeout(LONG).unwrap();
            if line.contains("reloaded; ports watched") {
                return true;
            }
            if line.contains("nothing is reloaded") {
                return false;
            }
        }
    }

    /// Stops it; all of its alerts that nobody took, but for what a slow machine's recursion
    /// guard skips: that may be any socket's.
    fn finish(mut self) -> Vec<Value> {
        self.signal(Signal::TERM);
        let mut found = Vec::new();
        loop {
            match self.alerts.recv_timeout(LONG) {
                Ok(alert) if alert["output_fields"]["cause"] == "recursion" => {}
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

/// Lines as they come, so that nobody waits for a pipe to be read.
fn lines<T: Send + 'static>(
    pipe: impl std::io::Read + Send + 'static,
    each: fn(String) -> T,
) -> Receiver<T> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(each(line)).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Whole at every moment, as editors and config maps replace files.
fn put(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

fn refused_connect(port: u16) {
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

fn count(alerts: &[Value], rule: &str) -> usize {
    alerts.iter().filter(|one| one["rule"] == rule).count()
}

#[test]
fn reloads_amid_a_flood_lose_nothing() {
    const PORT: u16 = 22_400;
    const RELOADS: usize = 50;
    const CONNECTS: usize = 20_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yaml");
    let watched = rule(
        "Watched",
        &format!("evt.type = connect and fd.sport = {PORT}"),
    );
    put(&path, &watched);
    let Some(detector) = Detector::start(&path) else {
        return;
    };
    let (sender, rounds) = sync_channel(RELOADS);
    let load = std::thread::spawn(move || {
        for () in rounds {
            (0..CONNECTS / RELOADS).for_each(|_| refused_connect(PORT));
        }
    });
    let mut refused = 0;
    for round in 0..RELOADS {
        let other = PORT + 1 + u16::try_from(round).unwrap();
        let good = watched.clone() + &rule("Other", &format!("fd.sport = {other}"));
        let bad = watched.clone() + &rule("Other", "fd.sprt = 1 and") + &rule("More", "nope");
        put(&path, if round % 2 == 0 { &good } else { &bad });
        sender.send(()).unwrap();
        refused += usize::from(!detector.reload());
    }
    drop(sender);
    load.join().unwrap();
    assert_eq!(refused, RELOADS / 2);
    let alerts = detector.finish();
    assert_eq!(count(&alerts, "Watched"), CONNECTS);
    assert_eq!(count(&alerts, FAILURE), RELOADS / 2);
    assert_eq!(
        alerts.len(),
        CONNECTS + RELOADS / 2,
        "and nothing is told as lost"
    );
    let told = alerts.iter().find(|one| one["rule"] == FAILURE).unwrap();
    let output = told["output"].as_str().unwrap();
    assert!(output.contains("rules.yaml:8:"), "{output}");
    assert!(output.ends_with("(and one more mistake)"), "{output}");
}

#[test]
fn reloaded_rules_watch_their_own_ports() {
    const PORT: u16 = 22_480;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yaml");
    let of = |port: u16| rule("r", &format!("evt.type = connect and fd.sport = {port}"));
    put(&path, &of(PORT));
    let Some(detector) = Detector::start(&path) else {
        return;
    };
    let connects = || {
        [PORT, PORT + 1, PORT + 100]
            .into_iter()
            .for_each(refused_connect)
    };
    let next = || {
        let alert = detector.alerts.recv_timeout(LONG).unwrap();
        let connection = alert["output_fields"]["fd.name"]
            .as_str()
            .unwrap()
            .to_owned();
        connection.rsplit(':').next().unwrap().to_owned()
    };
    connects();
    assert_eq!(next(), PORT.to_string());
    for port in [PORT + 1, PORT + 100, PORT] {
        put(&path, &of(port));
        assert!(detector.reload());
        connects();
        assert_eq!(next(), port.to_string());
    }
    fs::remove_file(&path).unwrap();
    assert!(!detector.reload());
    connects();
    let alerts = detector.finish();
    assert_eq!(count(&alerts, FAILURE), 1);
    assert_eq!(count(&alerts, "r"), 1);
    assert_eq!(alerts.len(), 2);
}

#[test]
fn who_is_let_off_follows_the_rules() {
    const PORT: u16 = 22_490;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yaml");
    let of = |other: &str| {
        let condition = format!("evt.type = connect and fd.sport = {PORT} and {other}");
        put(&path, &rule("r", &condition));
    };
    of("proc.name != allowed");
    let Some(detector) = Detector::start(&path) else {
        return;
    };
    let connects = || {
        let thread = std::thread::Builder::new().name("allowed".to_owned());
        let connects = || (0..10).for_each(|_| refused_connect(PORT));
        thread.spawn(connects).unwrap().join().unwrap();
    };
    connects();
    of("proc.name = allowed");
    assert!(detector.reload());
    connects();
    of("not proc.name in (other, allowed)");
    assert!(detector.reload());
    connects();
    let alerts = detector.finish();
    assert_eq!((count(&alerts, "r"), alerts.len()), (10, 10));
}
