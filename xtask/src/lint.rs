//! What a reviewer should not have to look for.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, bail};

const MAX_LINES: usize = 500;

/// What a file may name only in the places listed: the edges of docs/ARCHITECTURE.md.
const EDGES: [(&str, &[&str]); 3] = [
    (
        "use aya",
        &[
            "detector/src/source/ebpf.rs",
            "detector-ebpf/src/",
            "tests/bench/",
        ],
    ),
    ("use saphyr_parser", &["detector/src/rules/yaml.rs"]),
    (
        "use detector_ebpf",
        &["detector/src/source/", "detector-ebpf/src/"],
    ),
];

pub(crate) fn run() -> Result<()> {
    crate::run(Command::new("cargo").args(["fmt", "--all", "--check"]))?;
    crate::run(Command::new("cargo").args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))?;
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
        for (needle, allowed) in EDGES {
            let crossed = text.lines().any(|line| line.starts_with(needle));
            if crossed && !allowed.iter().any(|place| file.starts_with(place)) {
                bail!("{file} has `{needle}`: only {} may", allowed.join(", "));
            }
        }
    }
    println!("lint: ok");
    Ok(())
}
