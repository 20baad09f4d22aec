//! For live tests: the real binary at work, with its log and its alerts.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const BINARY: &str = env!("CARGO_BIN_EXE_kubelet-detector");
/// For whatever is waited for.
const LONG: Duration = Duration::from_secs(60);
/// How often a file is looked into.
const LOOK: Duration = Duration::from_millis(20);

/// Cargo builds the examples beside the tests.
fn trigger() -> Command {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().parent().unwrap();
    Command::new(folder.join("examples/trigger"))
}

pub(crate) struct Daemon {
    child: Child,
    log: Receiver<String>,
    /// What was taken of the log.
    pub(crate) said: String,
    /// Rules and alerts.
    folder: tempfile::TempDir,
}

impl Daemon {
    /// With these rules, by the mechanism that `KUBELET_DETECTOR_ATTACH` names. `None`, and why,
    /// where the probes cannot run.
    pub(crate) fn start(rules: &str) -> Option<Self> {
        Self::start_as(Command::new(BINARY), rules)
    }

    /// In a network namespace of its own, whose loopback interface is up or down.
    pub(crate) fn start_apart(rules: &str, up: bool) -> Option<Self> {
        let mut command = trigger();
        command.args([if up { "apart" } else { "apart-down" }, "0", "0", BINARY]);
        Self::start_as(command, rules)
    }

    /// With this configuration.
    pub(crate) fn start_configured(config: &Path) -> Option<Self> {
        let mut command = Command::new(BINARY);
        command.arg("-c").arg(config);
        Self::start_in(tempfile::tempdir().unwrap(), command, &[])
    }

    fn start_as(command: Command, rules: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rules.yaml");
        fs::write(&path, rules).unwrap();
        Self::start_in(folder, command, &["-r".as_ref(), path.as_ref()])
    }

    fn start_in(folder: tempfile::TempDir, mut command: Command, rules: &[&OsStr]) -> Option<Self> {
        let alerts = File::create(folder.path().join("alerts")).unwrap();
        let attach = std::env::var("KUBELET_DETECTOR_ATTACH");
        let mut child = command
            .env("KUBELET_DETECTOR_STATE", "")
            .args(["--log-format", "json", "run", "--attach"])
            .arg(attach.as_deref().unwrap_or("auto"))
            .args(rules)
            .stdout(alerts)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, log) = channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut daemon = Self {
            child,
            log,
            said: String::new(),
            folder,
        };
        if daemon.wait_for("watching") {
            println!("live: attached, {}", daemon.mechanism());
            return Some(daemon);
        }
        let said = daemon.said.trim();
        let lacks = ["without the probes", "need capabilities"];
        assert!(lacks.iter().any(|what| said.contains(what)), "{said}");
        println!("skipped: {said}");
        None
    }

    /// Until the log says so; false if it ends before.
    pub(crate) fn wait_for(&mut self, what: &str) -> bool {
        loop {
            match self.log.recv_timeout(LONG) {
                Ok(line) => {
                    self.said += &line;
                    self.said.push('\n');
                    if line.contains(what) {
                        return true;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => panic!("`{what}` is not said: {}", self.said),
            }
        }
    }

    /// Until there is an alert that contains this; after how long.
    pub(crate) fn wait_for_alert(&self, what: &str, patience: Duration) -> Option<Duration> {
        let begin = Instant::now();
        while begin.elapsed() < patience {
            if self.alerts().contains(what) {
                return Some(begin.elapsed());
            }
            std::thread::sleep(LOOK);
        }
        None
    }

    /// How connects are seen.
    pub(crate) fn mechanism(&self) -> &str {
        let (_, through) = self.said.split_once("connect through ").unwrap();
        through.split([' ', '"', ',']).next().unwrap()
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sets the loopback interface of its network namespace up or down.
    pub(crate) fn set_loopback(&self, up: bool) {
        let scenario = if up { "loopback-up" } else { "loopback-down" };
        let mut command = trigger();
        command.args([scenario, "0", &self.child.id().to_string()]);
        assert!(command.status().unwrap().success());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// What it told so far.
    pub(crate) fn alerts(&self) -> String {
        fs::read_to_string(self.alerts_path()).unwrap()
    }

    fn alerts_path(&self) -> PathBuf {
        self.folder.path().join("alerts")
    }

    /// Ends it; all of its alerts, and what became of the records of each subject.
    pub(crate) fn finish(mut self) -> (String, Vec<Summary>) {
        self.signal(Signal::TERM);
        // The log ends with it.
        assert!(!self.wait_for("this is never said"));
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{}", self.said);
        let lines = self.said.lines().map(serde_json::from_str::<Value>);
        let summaries = lines.filter_map(|line| Summary::read(&line.unwrap()));
        (self.alerts(), summaries.collect())
    }
}

/// A test that failed leaves no detector behind.
impl Drop for Daemon {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// As the log has it at the end.
pub(crate) struct Summary {
    pub(crate) subject: String,
    pub(crate) generated: u64,
    pub(crate) delivered: u64,
    pub(crate) lost: u64,
    pub(crate) suppressed: u64,
}

impl Summary {
    fn read(line: &Value) -> Option<Self> {
        let fields = line.get("fields")?;
        let count = |name: &str| fields.get(name)?.as_u64();
        Some(Self {
            subject: fields.get("subject")?.as_str()?.to_owned(),
            generated: count("generated")?,
            delivered: count("delivered")?,
            lost: count("lost")?,
            suppressed: count("suppressed")?,
        })
    }
}
