//! The programs that run in a guest, and the libraries that they need.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail};

use super::{guest::Outcome, plan};

/// Needed by the scenario of a script.
const BASH: &str = "/bin/bash";

pub(super) struct Programs {
    /// By their names.
    pub(super) tests: BTreeMap<String, PathBuf>,
    pub(super) detector: PathBuf,
    /// The tests, what they run, and the libraries of both; at the same paths in the guest.
    pub(super) files: BTreeSet<PathBuf>,
}

impl Programs {
    pub(super) fn build(probes: &Path) -> Result<Self> {
        let output = Command::new("cargo")
            .args(["test", "--release", "--locked", "--package", "detector"])
            .args(crate::FEATURES)
            .arg("--no-run")
            .args(plan::names().flat_map(|name| ["--test", name]))
            .args(["--message-format", "json"])
            .env("KUBELET_DETECTOR_PROBES", probes)
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start cargo")?;
        if !output.status.success() {
            bail!("the live tests do not build");
        }
        let mut tests = BTreeMap::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let message: serde_json::Value = serde_json::from_str(line)?;
            let name = message
                .pointer("/target/name")
                .and_then(|name| name.as_str());
            let executable = message.get("executable").and_then(|path| path.as_str());
            if let (Some(name), Some(path)) = (name, executable)
                && plan::names().any(|test| test == name)
            {
                tests.insert(name.to_owned(), PathBuf::from(path));
            }
        }
        let release = std::env::current_dir()?.join("target/release");
        let detector = release.join("kubelet-detector");
        let mut files: BTreeSet<PathBuf> = tests.values().cloned().collect();
        files.insert(detector.clone());
        files.insert(release.join("examples/trigger"));
        files.insert(PathBuf::from(BASH));
        for program in files.clone() {
            files.extend(libraries(&program)?);
        }
        Ok(Self {
            tests,
            detector,
            files,
        })
    }
}

/// The loader and the shared libraries, as ldd(1) lists them.
pub(crate) fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output().context("ldd")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = text.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(paths
        .map(PathBuf::from)
        .filter(|path| fs::metadata(path).is_ok())
        .collect())
}

/// Runs the script on this machine.
pub(super) fn here(script: &str) -> Result<Outcome> {
    let start = Instant::now();
    let output = Command::new("sh")
        .args(["-c", script])
        .output()
        .context("cannot start sh")?;
    Ok(Outcome {
        status: output.status.code(),
        output: String::from_utf8_lossy(&output.stdout).into_owned(),
        console: String::from_utf8_lossy(&output.stderr).into_owned(),
        complaint: None,
        took: start.elapsed(),
    })
}
