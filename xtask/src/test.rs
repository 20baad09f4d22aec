//! Runs every test, and says how many of the live ones ran and why others did not.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// What the tests of the probes print first: that they are attached, or why they cannot be.
const LIVE: &str = "live: attached";
const SKIPPED: &str = "skipped: ";

/// Read off the output of `cargo test`.
#[derive(Default)]
struct Counts {
    passed: u32,
    failed: u32,
    live: u32,
    skipped: u32,
    reasons: BTreeSet<String>,
}

impl Counts {
    fn read(&mut self, line: &str) {
        if line.starts_with(LIVE) {
            self.live += 1;
        } else if let Some(reason) = line.strip_prefix(SKIPPED) {
            self.skipped += 1;
            self.reasons.insert(reason.to_owned());
        } else if line.starts_with("test result:") {
            let number = |before: &str| {
                let head = line.split(before).next().unwrap_or_default();
                let digits = head.rsplit(' ').find(|word| !word.is_empty());
                digits.and_then(|word| word.parse().ok()).unwrap_or(0)
            };
            self.passed += number(" passed");
            self.failed += number(" failed");
        }
    }
}

pub(crate) fn run(probes: &Path) -> Result<()> {
    println!("xtask: running every test, with the probes built in");
    let mut child = Command::new("cargo")
        .args([
            "test",
            "--workspace",
            "--release",
            "--locked",
            "--no-fail-fast",
        ])
        .args(crate::FEATURES)
        .args(["--", "--show-output"])
        .env("KUBELET_DETECTOR_PROBES", probes)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let lines = BufReader::new(child.stdout.take().context("stdout is not piped")?).lines();
    let mut counts = Counts::default();
    for line in lines {
        let line = line?;
        println!("{line}");
        counts.read(&line);
    }
    let status = child.wait()?;
    println!(
        "xtask: {} tests passed, {} failed; {} of them live; {} skipped a part",
        counts.passed, counts.failed, counts.live, counts.skipped
    );
    for reason in &counts.reasons {
        println!("xtask: skipped: {reason}");
    }
    if !status.success() {
        bail!("tests failed");
    }
    Ok(())
}
