//! `cargo xtask vm`: the live tests on Debian's kernels in QEMU, by every mechanism of the probes.
//! Plain emulation is enough; nothing is mounted or changed on this machine but `target/vm`.

mod guest;
mod kernel;
mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result, bail};

use crate::setup;
use guest::{Guest, Outcome};
pub(crate) use kernel::Apt;
use kernel::Kernel;
use table::Column;

/// Oldest to newest; the first and the last run in CI.
pub(crate) const KERNELS: [&str; 4] = ["5.10", "6.1", "6.12", "7.2"];
/// Connects of a flood: emulation is slow.
const FLOOD: &str = "3000";
/// Needed by the scenario of a script.
const BASH: &str = "/bin/bash";

/// As `--attach` names them.
const MECHANISMS: [&str; 3] = ["fentry", "kprobe", "tracepoint"];
/// Whether all of them give the same events, and what needs no mechanism of its own.
const ALL: &str = "any";
/// This machine's kernel, among those of the guests.
const HOST: &str = "this host";
/// Test programs that run once for each mechanism, and which of their tests.
const TESTS: [(&str, &str); 9] = [
    ("live", ""),
    ("live_ways", ""),
    ("live_identity", ""),
    ("live_creators", ""),
    ("live_original", ""),
    ("live_scenarios", ""),
    ("live_flood", ""),
    ("live_let_off", ""),
    ("reload", "reloads_amid_a_flood reloaded_rules_watch"),
];
const TESTS_OF_ALL: [&str; 3] = ["live_attach", "live_inventory", "live_health"];
/// In the guest's output, before the name of a part.
const PART: &str = "== ";
const LACKS: &str = "lacks: ";

pub(crate) fn run(chosen: &[String], probes: &Path) -> Result<()> {
    for label in chosen {
        if !KERNELS.contains(&label.as_str()) && label != HOST {
            bail!("the kernel `{label}` is not known: {}", KERNELS.join(", "));
        }
    }
    setup::qemu()?;
    let programs = programs(probes)?;
    let (mut table, mut columns) = (Vec::new(), Vec::new());
    for label in KERNELS.into_iter().chain([HOST]) {
        if !chosen.is_empty() && !chosen.iter().any(|one| one == label) {
            continue;
        }
        let outcome = if label == HOST {
            programs.here()?
        } else {
            let kernel = Kernel::cached(label)?;
            println!("vm: {label}: {}", kernel.packages.join(", "));
            Guest::new(&kernel, &programs.files, &programs.script())?.boot(&[])?
        };
        let mut column = Column::new(label);
        for part in MECHANISMS.into_iter().chain([ALL]) {
            column.read(part, section(&outcome.output, part));
        }
        let cells: Vec<Cell> = MECHANISMS
            .into_iter()
            .chain([ALL])
            .map(|part| Cell::read(section(&outcome.output, part), part))
            .collect();
        // Debian's kernels have every mechanism.
        let passed = |cell: &Cell| match cell {
            Cell::Passed { .. } => true,
            Cell::Lacking => label == HOST,
            Cell::Failed => false,
        };
        let well =
            outcome.status == Some(0) && outcome.complaint.is_none() && cells.iter().all(passed);
        if !well {
            println!("{}\n{}", outcome.output, outcome.console);
            println!(
                "vm: {label}: FAILED (status {:?}, the kernel says {:?}); its output is above",
                outcome.status, outcome.complaint
            );
        }
        for failed in column.failed() {
            println!("vm: {label}: FAILED: {failed}");
        }
        columns.push(column);
        println!("vm: {label}: took {:.0?}", outcome.took);
        table.push((label, well, cells));
    }
    let tables = table::tables(&columns, &MECHANISMS);
    println!("{tables}");
    print(&table);
    if chosen.is_empty() {
        table::write(&tables)?;
        println!("vm: {} is written", table::PATH);
    }
    let failed = table.iter().filter(|(_, well, _)| !well);
    let failed: Vec<&str> = failed.map(|(label, ..)| *label).collect();
    if !failed.is_empty() {
        bail!("the live tests failed on {}", failed.join(", "));
    }
    Ok(())
}

/// What a script prints on one of the kernels; `more` are arguments of QEMU.
pub(crate) fn boot(
    label: &str,
    files: &BTreeSet<PathBuf>,
    script: &str,
    more: &[&str],
) -> Result<String> {
    let guest = Guest::new(&Kernel::cached(label)?, files, script)?;
    let Outcome {
        status,
        output,
        console,
        ..
    } = guest.boot(more)?;
    if status != Some(0) {
        bail!("{output}\n{console}\nthe guest's status is {status:?}");
    }
    Ok(output)
}

/// What came of one mechanism on one kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cell {
    Passed { live: usize },
    Lacking,
    Failed,
}

impl Cell {
    /// Nothing is missing in the guest, so nothing may be skipped but what the kernel lacks.
    fn read(output: &str, part: &str) -> Self {
        if output.contains(LACKS) {
            return Self::Lacking;
        }
        let expected = if part == ALL {
            TESTS_OF_ALL.len()
        } else {
            TESTS.len()
        };
        let passed = output.matches("test result: ok").count();
        let live = output.matches("live: attached").count();
        let skips = |line: &str| line.starts_with("skipped: ") && !line.contains("kernel lacks");
        let skipped = part != ALL && output.lines().any(skips);
        if passed == expected && live > 0 && !skipped {
            Self::Passed { live }
        } else {
            Self::Failed
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed { live } => f.pad(&format!("pass ({live} attached)")),
            Self::Lacking => f.pad("kernel lacks it"),
            Self::Failed => f.pad("FAIL"),
        }
    }
}

/// From the line that begins the part to the next one.
fn section<'a>(output: &'a str, part: &str) -> &'a str {
    let begin = format!("{PART}{part}\n");
    let after = output.split_once(&begin).map_or("", |(_, after)| after);
    let next = format!("\n{PART}");
    after.split_once(&next).map_or(after, |(own, _)| own)
}

fn print(table: &[(&str, bool, Vec<Cell>)]) {
    let heads = MECHANISMS.into_iter().chain([ALL]);
    let heads: String = heads.map(|head| format!("{head:<20}")).collect();
    println!("kernel  {heads}");
    for (label, _, cells) in table {
        let cells: String = cells.iter().map(|cell| format!("{cell:<20}")).collect();
        println!("{label:<8}{cells}");
    }
}

struct Programs {
    /// By their names.
    tests: BTreeMap<String, PathBuf>,
    detector: PathBuf,
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
        .args(names().flat_map(|name| ["--test", name]))
        .args(["--message-format", "json"])
        .env("KUBELET_DETECTOR_PROBES", probes)
        .stderr(std::process::Stdio::inherit())
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
            && names().any(|test| test == name)
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
    Ok(Programs {
        tests,
        detector,
        files,
    })
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

impl Programs {
    /// The same on this machine.
    fn here(&self) -> Result<Outcome> {
        let start = Instant::now();
        let output = Command::new("sh")
            .args(["-c", &self.script()])
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

    /// One after the other: emulated CPUs are few. The last status that is not 0 counts.
    fn script(&self) -> String {
        let detector = self.detector.display();
        let mut script = format!(
            "export KUBELET_DETECTOR_FLOOD={FLOOD} RUST_BACKTRACE=0\nstatus=0\n\
             for mechanism in {}; do\n\
             echo \"{PART}$mechanism\"\n\
             if ! {detector} doctor --attach $mechanism >/tmp/doctor 2>&1; then\n\
             echo \"{LACKS}$(cat /tmp/doctor)\"; continue; fi\n\
             export KUBELET_DETECTOR_ATTACH=$mechanism\n",
            MECHANISMS.join(" ")
        );
        for (test, chosen) in TESTS {
            script.push_str(&self.call(test, chosen));
        }
        script.push_str(&format!("done\necho \"{PART}{ALL}\"\n"));
        for test in TESTS_OF_ALL {
            script.push_str(&self.call(test, ""));
        }
        script.push_str("exit $status\n");
        script
    }

    fn call(&self, test: &str, chosen: &str) -> String {
        let path = self.tests.get(test).map(|path| path.display());
        let path = path.map_or_else(|| test.to_owned(), |path| path.to_string());
        format!("{path} --test-threads 1 --show-output {chosen} || status=$?\n")
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    let each = TESTS.into_iter().map(|(name, _)| name);
    each.chain(TESTS_OF_ALL)
}
