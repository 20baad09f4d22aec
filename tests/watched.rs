//! For the tests of ways in and of identity: a trigger under watch, and the table's line.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    ops::{Deref, DerefMut},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
};

use clap::ValueEnum as _;
use detector::{
    event::{Event, Kind},
    source::{Attach, Options, Ports, ebpf::EbpfError, live::Live},
};

/// Exit code of a trigger that the kernel lacks something for.
const LACKING: i32 = 69;
/// Whose choice the mechanism is: one of `--attach`.
const ATTACH: &str = "KUBELET_DETECTOR_ATTACH";

/// The line of the table: printed when the test ends, however it ends.
pub(crate) struct Row {
    name: &'static str,
    outcome: String,
}

impl Row {
    pub(crate) fn new(name: &'static str) -> Self {
        let outcome = "fail".to_owned();
        Self { name, outcome }
    }

    pub(crate) fn pass(mut self) {
        self.outcome = "pass".to_owned();
    }

    pub(crate) fn lacks(mut self, what: &str) {
        println!("skipped: {}: kernel lacks {what}", self.name);
        self.outcome = format!("lacks {what}");
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        println!("way: {}: {}", self.name, self.outcome);
    }
}

/// Attaches to one port; what hinders it, where it cannot.
pub(crate) fn watch(port: u16) -> Result<Live, String> {
    watch_apart(port, port)
}

/// Probes that a test has done with: to attach them takes longer than most tests, where the machine is
/// emulated.
static ATTACHED: Mutex<Vec<Live>> = Mutex::new(Vec::new());

/// Probes that may be older than the test.
pub(crate) struct Shared(Option<Live>);

impl Shared {
    pub(crate) fn watch(port: u16) -> Result<Self, String> {
        let idle = ATTACHED.lock().unwrap().pop();
        let Some(mut live) = idle else {
            return watch(port).map(|live| Self(Some(live)));
        };
        let bits = only(port);
        let ports = Ports {
            connect: &bits,
            accept: &bits,
            listen: &bits,
        };
        live.watch_only(&ports).unwrap();
        drop(drain(&mut live));
        println!("live: attached before, now to port {port}");
        Ok(Self(Some(live)))
    }
}

impl Deref for Shared {
    type Target = Live;

    fn deref(&self) -> &Live {
        self.0.as_ref().unwrap()
    }
}

impl DerefMut for Shared {
    fn deref_mut(&mut self) -> &mut Live {
        self.0.as_mut().unwrap()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut idle = ATTACHED.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.0.take());
    }
}

fn only(port: u16) -> [u64; 1024] {
    let mut bits = [0; 1024];
    bits[usize::from(port >> 6)] = 1 << (port & 63);
    bits
}

/// The same of one port to connect to, and another to serve.
pub(crate) fn watch_apart(port: u16, server: u16) -> Result<Live, String> {
    let (connect, serve) = (only(port), only(server));
    let ports = Ports {
        connect: &connect,
        accept: &serve,
        listen: &serve,
    };
    let attach = std::env::var(ATTACH).map_or(Attach::Auto, |name| {
        Attach::from_str(&name, false).expect(ATTACH)
    });
    let options = Options {
        attach,
        ..Options::default()
    };
    match Live::start(&options, &ports, 0) {
        Ok(live) => {
            println!("live: attached to port {port}");
            Ok(live)
        }
        Err(error @ (EbpfError::Stub | EbpfError::Privilege { .. } | EbpfError::Tracefs)) => {
            Err(error.to_string())
        }
        Err(error) if matches!(attach, Attach::Fentry | Attach::Kprobe) => Err(error.to_string()),
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

/// Everything that the probes have sent by now.
pub(crate) fn drain(live: &mut Live) -> Vec<Event> {
    let mut events = Vec::new();
    while live.drain(u64::MAX, &mut events).unwrap() {}
    events
}

pub(crate) fn trigger() -> PathBuf {
    // Cargo builds the examples beside the tests.
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().parent().unwrap();
    folder.join("examples/trigger").canonicalize().unwrap()
}

/// A trigger at work, and what it says.
pub(crate) struct Trigger {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    facts: HashMap<String, String>,
}

impl Trigger {
    pub(crate) fn start(scenario: &str, port: u16) -> Self {
        let mut child = Command::new(trigger())
            .args([scenario, &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stdin: child.stdin.take(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
            facts: HashMap::new(),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn fact(&self, name: &str) -> Option<&str> {
        self.facts.get(name).map(String::as_str)
    }

    /// Reads facts until this one comes; or what the kernel lacks for it.
    pub(crate) fn wait_for(&mut self, name: &str) -> Result<(), String> {
        while self.fact(name).is_none() {
            if !self.read() {
                self.end()?;
                panic!("the trigger ended without saying `{name}`");
            }
        }
        Ok(())
    }

    /// Lets a trigger that waits go on; one that does not wait may have ended.
    pub(crate) fn go_on(&mut self) {
        if let Err(error) = self.stdin.as_mut().unwrap().write_all(b"\n") {
            assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        }
    }

    /// Its only thread blocks, in accept or where it waits to go on.
    pub(crate) fn wait_until_it_sleeps(&self) {
        let path = format!("/proc/{}/stat", self.pid());
        while !std::fs::read_to_string(&path).unwrap().contains(") S ") {
            std::thread::yield_now();
        }
    }

    fn read(&mut self) -> bool {
        let mut line = String::new();
        let length = self.stdout.read_line(&mut line).unwrap();
        if let Some((name, value)) = line.trim_end().split_once('=') {
            self.facts.insert(name.to_owned(), value.to_owned());
        }
        length > 0
    }

    /// Waits for its end; what the kernel lacks, if it made no traffic for that.
    pub(crate) fn end(&mut self) -> Result<(), String> {
        self.stdin = None;
        while self.read() {}
        let status: ExitStatus = self.child.wait().unwrap();
        if status.code() == Some(LACKING) {
            return Err(self.fact("lacks").unwrap().to_owned());
        }
        assert!(status.success(), "{status}");
        Ok(())
    }
}

/// A test that failed leaves no trigger behind.
impl Drop for Trigger {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

pub(crate) fn kind(event: &Event) -> &'static str {
    match event.kind {
        Kind::ConnectAttempt => "attempt",
        Kind::ConnectOutcome => "outcome",
        Kind::Accept => "accept",
        Kind::Listen => "listen",
    }
}

/// What the probes told of a scenario from its beginning to its end.
pub(crate) struct Told {
    pub(crate) row: Row,
    pub(crate) live: Shared,
    pub(crate) made: Trigger,
    pub(crate) events: Vec<Event>,
}

impl Told {
    /// `None` where something is lacking for it, which the row of this name says then.
    pub(crate) fn of(name: &'static str, scenario: &str, port: u16) -> Option<Self> {
        let row = Row::new(name);
        let mut live = match Shared::watch(port) {
            Ok(live) => live,
            Err(why) => {
                row.lacks(&why);
                return None;
            }
        };
        let mut made = Trigger::start(scenario, port);
        if let Err(what) = made.end() {
            row.lacks(&what);
            return None;
        }
        let events = drain(&mut live);
        Some(Self {
            row,
            live,
            made,
            events,
        })
    }
}
