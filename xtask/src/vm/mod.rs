//! `cargo xtask vm`: the live tests on Debian's kernels in QEMU, by every mechanism of the probes.
//! Plain emulation is enough; nothing is mounted or changed on this machine but `target/vm`.

mod cell;
mod guest;
mod kernel;
mod modules;
mod plan;
mod programs;
mod table;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Result, anyhow, bail};

use crate::setup;
use cell::Cell;
use guest::{Guest, Outcome};
pub(crate) use kernel::Apt;
use kernel::Kernel;
use plan::{FAILED, MECHANISMS, Plan};
pub(crate) use programs::libraries;
use programs::{Programs, here};
use table::Column;

/// Oldest to newest.
pub(crate) const KERNELS: [&str; 4] = ["5.10", "6.1", "6.12", "7.2"];
/// With `--ci`: the oldest and the newest.
const CI_KERNELS: [&str; 2] = ["5.10", "7.2"];
/// Guests that run at the same time: one alone leaves a small machine half idle.
const AT_ONCE: usize = 2;
/// This machine's kernel, among those of the guests.
const HOST: &str = "this host";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// `5.10`, `6.1`, `6.12`, `7.2`, or `this host`; all of them by default, and then
    /// docs/coverage.md is written.
    kernels: Vec<String>,
    /// Only this mechanism: `fentry`, `kprobe`, `tracepoint`, or `any` for the tests that try all.
    #[arg(long)]
    attach: Vec<String>,
    /// Only this test program, as `live_ways`, or tests of it, as `live_ways::given_up`.
    #[arg(long)]
    only: Vec<String>,
    /// What each change must pass: the oldest and the newest kernel, without the longest tests.
    #[arg(long, conflicts_with_all = ["kernels", "attach", "only"])]
    ci: bool,
}

impl Options {
    fn kernels(&self) -> Result<Vec<&'static str>> {
        let all = || KERNELS.into_iter().chain([HOST]);
        for label in &self.kernels {
            if !all().any(|one| one == label) {
                bail!("the kernel `{label}` is not known: {}", KERNELS.join(", "));
            }
        }
        if self.ci {
            return Ok(CI_KERNELS.to_vec());
        }
        let is_chosen =
            |one: &&str| self.kernels.is_empty() || self.kernels.iter().any(|label| label == one);
        Ok(all().filter(is_chosen).collect())
    }

    fn is_all(&self) -> bool {
        !self.ci && [&self.kernels, &self.attach, &self.only].map(Vec::len) == [0; 3]
    }
}

pub(crate) fn run(options: &Options, probes: &Path) -> Result<()> {
    let labels = options.kernels()?;
    let plan = Plan::new(&options.attach, &options.only, options.ci)?;
    setup::qemu()?;
    let programs = Programs::build(probes)?;
    let detector = programs.detector.display().to_string();
    let script = plan.script(&programs.tests, &detector);
    let mut kernels = Vec::new();
    for label in labels.iter().filter(|label| **label != HOST) {
        let kernel = Kernel::cached(label)?;
        println!("vm: {label}: {}", kernel.packages.join(", "));
        kernels.push(kernel);
    }
    let (mut columns, mut failed) = (Vec::new(), Vec::new());
    let mut read = |label: &'static str, outcome: &Outcome| {
        let column = Column::read(label, &plan, outcome);
        if !report(&column, outcome) {
            failed.push(label);
        }
        columns.push(column);
    };
    for some in kernels.chunks(AT_ONCE) {
        let (files, script) = (&programs.files, &script);
        let outcomes = thread::scope(|scope| {
            let one = |kernel| scope.spawn(move || Guest::new(kernel, files, script)?.boot(&[]));
            let threads: Vec<_> = some.iter().map(one).collect();
            let ends = threads.into_iter().map(|thread| {
                let outcome = thread.join();
                outcome.map_err(|_panic| anyhow!("the thread of a guest panicked"))?
            });
            ends.collect::<Result<Vec<Outcome>>>()
        })?;
        for (kernel, outcome) in some.iter().zip(&outcomes) {
            let label = labels.iter().find(|label| **label == kernel.label);
            read(label.copied().unwrap_or_default(), outcome);
        }
    }
    if labels.contains(&HOST) {
        read(HOST, &here(&script)?);
    }
    let tables = table::tables(&columns, &MECHANISMS);
    println!("{tables}");
    cell::print(&columns, &plan);
    if options.is_all() {
        table::write(&tables)?;
        println!("vm: {} is written", table::PATH);
    }
    if !failed.is_empty() {
        bail!("the live tests failed on {}", failed.join(", "));
    }
    Ok(())
}

/// Says how it went on one kernel: false, with all that was said, if not well.
fn report(column: &Column, outcome: &Outcome) -> bool {
    let label = column.kernel;
    // Debian's kernels have every mechanism.
    let passed = |cell: &Cell| match cell {
        Cell::Passed { .. } => true,
        Cell::Lacking => label == HOST,
        Cell::Failed => false,
    };
    let well =
        outcome.status == Some(0) && outcome.complaint.is_none() && column.cells.iter().all(passed);
    if !well {
        println!("{}\n{}", outcome.output, outcome.console);
        println!(
            "vm: {label}: FAILED (status {:?}, the kernel says {:?}); its output is above",
            outcome.status, outcome.complaint
        );
    }
    let programs = outcome.output.lines();
    let programs = programs.filter_map(|line| line.strip_prefix(FAILED));
    for failed in programs.map(str::to_owned).chain(column.failed()) {
        println!("vm: {label}: FAILED: {failed}");
    }
    println!("vm: {label}: took {:.0?}", outcome.took);
    well
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
