//! The detector as a process that is watched from outside.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

pub(crate) const BINARY: &str = "target/release/kubelet-detector";

/// The detector, or the empty probe beside it: a process that says on stderr when it is ready; ended by SIGTERM when dropped.
pub(crate) struct Detector {
    child: Child,
    /// From exec to ready.
    pub(crate) took: Duration,
}

impl Detector {
    /// With these arguments; `stdout` is where its alerts go.
    pub(crate) fn start(args: &[&str], stdout: Stdio) -> Result<Self> {
        Self::spawn(Command::new(BINARY).args(args).stdout(stdout), "watching")
    }

    /// A program without an instruction on the same tracepoint.
    pub(crate) fn empty(object: &Path) -> Result<Self> {
        let mut command = Command::new("target/release/examples/baseline");
        Self::spawn(command.arg(object).stdout(Stdio::null()), "attached")
    }

    fn spawn(command: &mut Command, ready: &str) -> Result<Self> {
        let start = Instant::now();
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take().context("stderr is not piped")?;
        let mut lines = BufReader::new(stderr);
        let mut line = String::new();
        while !line.contains(ready) {
            line.clear();
            if lines.read_line(&mut line)? == 0 {
                bail!("{command:?} ended before it was ready: run it by hand");
            }
        }
        let took = start.elapsed();
        // Keeps the pipe empty, so that the process never waits for it.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Ok(Self { child, took })
    }

    pub(crate) fn stdout(&mut self) -> Result<ChildStdout> {
        self.child.stdout.take().context("stdout is not piped")
    }

    /// See the function of that name.
    pub(crate) fn cost(&self) -> Result<(u64, u64)> {
        cost(self.child.id())
    }

    /// Resident memory, KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        Ok(number.context("no VmRSS")?.parse()?)
    }

    /// Ends it and waits for it.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        if self.child.try_wait()?.is_none() {
            let pid = rustix::process::Pid::from_raw(pid).context("no process id")?;
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Detector {
    fn drop(&mut self) {
        drop(self.stop());
    }
}

/// Run time in nanoseconds and number of runs of all BPF programs that the process holds
/// (`kernel.bpf_stats_enabled`).
pub(crate) fn cost(pid: u32) -> Result<(u64, u64)> {
    let mut programs = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let Ok(text) = fs::read_to_string(entry?.path()) else {
            continue;
        };
        let value = |key: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(key));
            line.and_then(|count| count.trim().parse().ok())
        };
        if let (Some(id), Some(time), Some(runs)) =
            (value("prog_id:"), value("run_time_ns:"), value("run_cnt:"))
        {
            programs.insert(id, (time, runs));
        }
    }
    let sum = |total: (u64, u64), one: &(u64, u64)| (total.0 + one.0, total.1 + one.1);
    Ok(programs.values().fold((0, 0), sum))
}
