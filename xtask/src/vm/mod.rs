//! `cargo xtask vm`: the live tests on Debian's kernels in QEMU. Plain emulation is enough; nothing
//! is mounted or changed on this machine but `target/vm`.

mod guest;
mod kernel;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::setup;
use guest::Guest;
use kernel::Kernel;

/// Oldest to newest; the first and the last run in CI.
pub(crate) const KERNELS: [&str; 4] = ["5.10", "6.1", "6.12", "7.2"];
/// Connects of a flood: emulation is slow.
const FLOOD: &str = "3000";
/// Needed by the scenario of a script.
const BASH: &str = "/bin/bash";

pub(crate) fn run(chosen: &[String], probes: &Path) -> Result<()> {
    for label in chosen {
        if !KERNELS.contains(&label.as_str()) {
            bail!("the kernel `{label}` is not known: {}", KERNELS.join(", "));
        }
    }
    setup::qemu()?;
    let programs = programs(probes)?;
    let mut failed = Vec::new();
    for label in KERNELS {
        if !chosen.is_empty() && !chosen.iter().any(|one| one == label) {
            continue;
        }
        let kernel = Kernel::cached(label)?;
        println!("vm: {label}: {}", kernel.packages.join(", "));
        let guest = Guest::new(&kernel, &programs.files, &script(&programs.tests))?;
        let outcome = guest.boot()?;
        let passed = outcome.output.matches("test result: ok").count();
        // Nothing is missing in the guest, so nothing may be skipped.
        let skipped = outcome.output.contains("skipped: ");
        if outcome.status == Some(0) && passed == programs.tests.len() && !skipped {
            let attached = outcome.output.matches("live: attached").count();
            println!("vm: {label}: passed, {attached} live tests attached");
        } else {
            println!("{}\n{}", outcome.output, outcome.console);
            println!(
                "vm: {label}: FAILED (status {:?}); its output is above",
                outcome.status
            );
            failed.push(label);
        }
    }
    if !failed.is_empty() {
        bail!("the live tests failed on {}", failed.join(", "));
    }
    Ok(())
}

struct Programs {
    tests: Vec<PathBuf>,
    /// The tests, what they run, and the libraries of both; at the same paths in the guest.
    files: BTreeSet<PathBuf>,
}

fn programs(probes: &Path) -> Result<Programs> {
    let output = Command::new("cargo")
        .args([
            "test",
            "--release",
            "--locked",
            "--package",
            "detector",
            "--no-run",
        ])
        .args(["--test", "live", "--test", "live_scenarios", "--examples"])
        .args(["--message-format", "json"])
        .env("KUBELET_DETECTOR_PROBES", probes)
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!("the live tests do not build");
    }
    let mut tests = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        let name = message
            .pointer("/target/name")
            .and_then(|name| name.as_str());
        let executable = message.get("executable").and_then(|path| path.as_str());
        if let (Some("live" | "live_scenarios"), Some(path)) = (name, executable) {
            tests.push(PathBuf::from(path));
        }
    }
    let release = std::env::current_dir()?.join("target/release");
    let mut files: BTreeSet<PathBuf> = tests.iter().cloned().collect();
    files.insert(release.join("kubelet-detector"));
    files.insert(release.join("examples/trigger"));
    files.insert(PathBuf::from(BASH));
    for program in files.clone() {
        files.extend(libraries(&program)?);
    }
    Ok(Programs { tests, files })
}

/// The loader and the shared libraries, as ldd(1) lists them.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("ldd")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(paths
        .map(PathBuf::from)
        .filter(|path| fs::metadata(path).is_ok())
        .collect())
}

/// One after the other: emulated CPUs are few. The last status that is not 0 counts.
fn script(tests: &[PathBuf]) -> String {
    let mut script = format!("export KUBELET_DETECTOR_FLOOD={FLOOD} RUST_BACKTRACE=0\nstatus=0\n");
    for test in tests {
        let path = test.display();
        script.push_str(&format!(
            "{path} --test-threads 1 --show-output || status=$?\n"
        ));
    }
    script.push_str("exit $status\n");
    script
}
