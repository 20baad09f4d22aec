//! What a reviewer should not have to look for.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::{bpf, edges};

const MAX_LINES: usize = 500;

pub(crate) fn run() -> Result<()> {
    crate::run(Command::new("cargo").args(["fmt", "--all", "--check"]))?;
    clippy()?;
    let listed = Command::new("git")
        .args(["ls-files", "*.rs"])
        .output()
        .context("git")?;
    for file in String::from_utf8_lossy(&listed.stdout).lines() {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
        let lines = text.lines().count();
        if lines > MAX_LINES {
            bail!("{file} has {lines} lines, more than {MAX_LINES}: split it by responsibility");
        }
        edges::check(file, &text)?;
    }
    deny()?;
    println!("lint: ok");
    Ok(())
}

/// What the tests have built is not built again, nor they afterwards: they have these probes too.
fn clippy() -> Result<()> {
    let mut clippy = Command::new("cargo");
    clippy
        .args(["clippy", "--release", "--workspace", "--all-targets"])
        .arg("--locked")
        .args(crate::FEATURES)
        .args(["--", "-D", "warnings"]);
    if let Some(probes) = bpf::built() {
        clippy.env("KUBELET_DETECTOR_PROBES", probes);
    }
    crate::run(&mut clippy)
}

/// Licences and sources of what is depended on.
fn deny() -> Result<()> {
    let installed = Command::new("cargo-deny").arg("--version").output();
    if !installed.is_ok_and(|output| output.status.success()) {
        println!("lint: skipped cargo deny: it is not installed (cargo install cargo-deny)");
        return Ok(());
    }
    crate::run(Command::new("cargo").args([
        "deny",
        "--log-level",
        "error",
        "check",
        "licenses",
        "bans",
        "sources",
    ]))
}
