//! Which lines of the rule language its tests run, the lines of the tests themselves left out.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::setup;

/// What must be covered.
const MODULES: &str = "detector/src/rules/";
/// Percent of lines.
const LEAST: f64 = 95.0;
const FOLDER: &str = "target/coverage";
/// Where a file's own tests begin.
const TESTS: &str = "#[cfg(test)]";

pub(crate) fn run() -> Result<()> {
    let llvm = setup::llvm()?;
    let root = std::env::current_dir()?;
    let profiles = root.join(FOLDER).join("profiles");
    if profiles.exists() {
        fs::remove_dir_all(&profiles)?;
    }
    fs::create_dir_all(&profiles)?;
    let binaries = test(&root, &profiles)?;
    let merged = profiles.join("merged");
    let mut raw = Vec::new();
    for entry in fs::read_dir(&profiles)? {
        raw.push(entry?.path());
    }
    crate::run(
        Command::new(llvm.join("llvm-profdata"))
            .args(["merge", "--sparse", "-o"])
            .arg(&merged)
            .args(raw),
    )?;
    let mut export = Command::new(llvm.join("llvm-cov"));
    export.args(["export", "--format=lcov", "--instr-profile"]);
    export.arg(&merged);
    for binary in &binaries {
        export.arg("--object").arg(binary);
    }
    let output = export
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start llvm-cov")?;
    if !output.status.success() {
        bail!("llvm-cov ended with {}", output.status);
    }
    report(&covered(&String::from_utf8_lossy(&output.stdout)))
}

/// Runs the unit tests of the modules and the table tests; returns their binaries.
fn test(root: &Path, profiles: &Path) -> Result<Vec<PathBuf>> {
    // Only this workspace is counted: what it depends on runs at full speed.
    let wrapper = root.join(FOLDER).join("rustc");
    fs::write(&wrapper, "#!/bin/sh\nexec \"$@\" -C instrument-coverage\n")?;
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755))?;
    let cargo = |more: &[&str]| {
        let mut command = Command::new("cargo");
        command
            .args(["test", "--locked", "--package", "detector", "--lib"])
            .args(["--test", "rules"])
            .args(more)
            .env("CARGO_TARGET_DIR", FOLDER)
            .env("RUSTC_WORKSPACE_WRAPPER", &wrapper)
            .env("LLVM_PROFILE_FILE", profiles.join("%p-%m.profraw"));
        command
    };
    let built = cargo(&["--no-run", "--message-format=json"])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !built.status.success() {
        bail!("the tests do not build");
    }
    let mut binaries = Vec::new();
    for line in String::from_utf8_lossy(&built.stdout).lines() {
        let message: Value = serde_json::from_str(line).unwrap_or_default();
        if let Some(path) = message.get("executable").and_then(Value::as_str) {
            binaries.push(PathBuf::from(path));
        }
    }
    // Its name filter keeps to the modules; all table tests are of them.
    crate::run(cargo(&[]).args(["--", "--quiet"]).stdout(Stdio::null()))?;
    Ok(binaries)
}

/// Of each file: line, and whether it ran.
type Files = BTreeMap<String, BTreeMap<usize, bool>>;

fn covered(lcov: &str) -> Files {
    let mut files = Files::new();
    let mut file: Option<String> = None;
    for line in lcov.lines() {
        if let Some(path) = line.strip_prefix("SF:") {
            file = path
                .find(MODULES)
                .and_then(|at| Some(path.get(at..)?.to_owned()));
        } else if let (Some(file), Some(data)) = (&file, line.strip_prefix("DA:")) {
            let mut parts = data.split(',');
            let number = parts.next().and_then(|number| number.parse().ok());
            let ran = parts.next().is_some_and(|count| count != "0");
            if let Some(number) = number {
                *files
                    .entry(file.clone())
                    .or_default()
                    .entry(number)
                    .or_default() |= ran;
            }
        }
    }
    for (file, lines) in &mut files {
        let text = fs::read_to_string(file).unwrap_or_default();
        let tests = text.lines().position(|line| line == TESTS);
        lines.retain(|number, _| tests.is_none_or(|tests| *number <= tests));
    }
    files
}

fn percent(ran: usize, all: usize) -> f64 {
    let exact = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    100.0 * exact(ran) / exact(all.max(1))
}

fn report(files: &Files) -> Result<()> {
    let (mut all, mut ran) = (0, 0);
    for (file, lines) in files {
        let covered = lines.values().filter(|ran| **ran).count();
        all += lines.len();
        ran += covered;
        let missed = ranges(lines);
        let name = file.strip_prefix(MODULES).unwrap_or(file);
        println!(
            "coverage: {name:<26} {covered:>4} of {:>4} lines, {:>5.1} %{missed}",
            lines.len(),
            percent(covered, lines.len())
        );
    }
    let whole = percent(ran, all);
    println!("coverage: {MODULES} {ran} of {all} lines, {whole:.2} %");
    if all == 0 || whole < LEAST {
        bail!("less than {LEAST} % of the lines of {MODULES} are covered: add rows to tests/rules");
    }
    Ok(())
}

/// The lines that did not run, runs of them as `from-to`.
fn ranges(lines: &BTreeMap<usize, bool>) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    let mut open = false;
    for (number, ran) in lines {
        match ranges.last_mut() {
            _ if *ran => {}
            Some(last) if open => last.1 = *number,
            _ => ranges.push((*number, *number)),
        }
        open = !ran;
    }
    let shown: Vec<String> = ranges
        .iter()
        .map(|(from, to)| {
            if from == to {
                from.to_string()
            } else {
                format!("{from}-{to}")
            }
        })
        .collect();
    if shown.is_empty() {
        return String::new();
    }
    format!(", not {}", shown.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_once_and_runs_are_joined() {
        let lcov = "SF:/x/detector/src/rules/none.rs\nDA:1,5\nDA:2,0\nDA:3,0\nDA:5,0\nDA:6,1\nDA:8,0\n\
                    end_of_record\nSF:/x/detector/src/rules/none.rs\nDA:5,2\nend_of_record\n\
                    SF:/x/detector/src/cli/mod.rs\nDA:1,0\nend_of_record\n";
        let files = covered(lcov);
        let lines = files.get("detector/src/rules/none.rs").unwrap();
        assert_eq!((files.len(), lines.len()), (1, 6));
        assert_eq!(ranges(lines), ", not 2-3 8");
        assert!(report(&files).is_err());
        assert!(percent(1, 2) > 49.9 && percent(0, 0) < 0.1);
    }
}
