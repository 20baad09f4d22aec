//! A tool while it runs: known to be attached, and heard to the end.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::{FOLDER, STARTER, STATS, WATCHED, connects, peers::Tool};
use crate::detector::cost;

const PATIENCE: Duration = Duration::from_secs(120);
/// How long nothing more is told before a tool is taken to have told all.
const SILENCE: Duration = Duration::from_millis(500);

pub(super) struct Running {
    child: Child,
    told: PathBuf,
}

/// What a tool wrote.
pub(super) struct Told(String);

impl Told {
    pub(super) fn lines_of(&self, program: &str) -> usize {
        self.0.lines().filter(|line| line.contains(program)).count()
    }
}

impl Running {
    /// Returns when its programs have run.
    pub(super) fn start(tool: &Tool) -> Result<Self> {
        let (told, log) = (
            Path::new(FOLDER).join("told"),
            Path::new(FOLDER).join("log"),
        );
        let (program, arguments) = tool.command.split_first().context("no command")?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(fs::File::create(&told)?)
            .stderr(fs::File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let mut running = Self { child, told };
        fs::write(STATS, "1")?;
        let begin = Instant::now();
        loop {
            std::thread::sleep(Duration::from_millis(50));
            connects(STARTER, WATCHED, 1)?;
            let log = fs::read_to_string(&log)?;
            if let Some(status) = running.child.try_wait()? {
                bail!("{} ended with {status}: {log}", tool.name);
            }
            if log.contains(tool.ready) && cost(running.child.id())?.1 > 0 {
                break;
            }
            if begin.elapsed() > PATIENCE {
                bail!("{} is not attached after {PATIENCE:?}: {log}", tool.name);
            }
        }
        fs::write(STATS, "0")?;
        // Of several programs the last may not be attached yet.
        std::thread::sleep(SILENCE);
        Ok(running)
    }

    /// What its programs run for each connect of this load.
    pub(super) fn kernel_ns(&self, program: &str, port: u16, count: u32) -> Result<f64> {
        fs::write(STATS, "1")?;
        let before = cost(self.child.id())?.0;
        connects(program, port, count)?;
        let after = cost(self.child.id())?.0;
        fs::write(STATS, "0")?;
        Ok((after - before) as f64 / f64::from(count.max(1)))
    }

    /// Waits until it has told all, and ends it as Ctrl-C does.
    pub(super) fn stop(mut self) -> Result<Told> {
        let size = || Ok::<_, anyhow::Error>(fs::metadata(&self.told)?.len());
        let mut last = size()?;
        loop {
            std::thread::sleep(SILENCE);
            let now = size()?;
            if now == last {
                break;
            }
            last = now;
        }
        let pid = Pid::from_raw(i32::try_from(self.child.id())?).context("no process id")?;
        kill_process(pid, Signal::INT)?;
        self.child.wait()?;
        Ok(Told(
            String::from_utf8_lossy(&fs::read(&self.told)?).into_owned(),
        ))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already, unless something failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
