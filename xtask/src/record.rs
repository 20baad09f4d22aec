//! Records the scenarios of `tests/traces`: the detector watches while the trigger makes the
//! traffic.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::detector::Detector;

pub(crate) const TRACES: &str = "tests/traces";
const TRIGGER: &str = "target/release/examples/trigger";
/// Where the trigger runs, so that a trace names no folder of the machine.
const NEUTRAL: &str = "/tmp/kubelet-detector-trigger";
/// As many ancestors as a record has: a trace names no process of the machine either.
const DEPTH: &str = "8";
const PORT: &str = "10250";

pub(crate) const SCENARIOS: [&str; 15] = [
    "accept",
    "allowlisted",
    "ipv6",
    "listen",
    "listener",
    "long-name",
    "mapped",
    "non-blocking",
    "other-port",
    "refused",
    "script",
    "served",
    "thread",
    "udp",
    "unanswered",
];

/// All scenarios when none is named.
pub(crate) fn run(chosen: &[String]) -> Result<()> {
    if let Some(unknown) = chosen.iter().find(|one| !SCENARIOS.contains(&one.as_str())) {
        bail!(
            "the scenario `{unknown}` is not known: {}",
            SCENARIOS.join(", ")
        );
    }
    fs::create_dir_all(TRACES)?;
    fs::create_dir_all(NEUTRAL)?;
    let trigger = Path::new(NEUTRAL).join("trigger");
    fs::copy(TRIGGER, &trigger).context("cannot copy the trigger")?;
    for scenario in SCENARIOS {
        if chosen.is_empty() || chosen.iter().any(|one| one == scenario) {
            record(scenario, &trigger)?;
        }
    }
    Ok(fs::remove_dir_all(NEUTRAL)?)
}

fn record(scenario: &str, trigger: &Path) -> Result<()> {
    let path = format!("{TRACES}/{scenario}.jsonl");
    let arguments = ["record", "--set", "hostname=node-1", "-o", &path];
    let mut detector = Detector::start(&arguments, std::process::Stdio::null())?;
    let made = Command::new(trigger)
        .args(["nested", PORT, DEPTH, scenario])
        .current_dir("/")
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .status()?;
    detector.stop()?;
    if !made.success() {
        bail!("the trigger of {scenario} ended with {made}");
    }
    let lines = fs::read_to_string(&path)?.lines().count();
    println!("record: {path}, {lines} lines");
    Ok(())
}
