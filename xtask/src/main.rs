//! `cargo xtask`: every chore of the project, one command each.
#![expect(clippy::print_stdout, reason = "a command-line tool")]

mod bench;
mod bpf;
mod coverage;
mod detector;
mod edges;
mod fuzz;
mod lint;
mod peers;
mod record;
mod setup;
mod test;
mod vm;

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use clap::Parser;

#[derive(Parser)]
enum Task {
    /// Install what the build of the probes and the tests need.
    Setup,
    /// Build the probes and the detector.
    Build,
    /// Build, then run the detector; arguments go to it (default: `run`).
    Run {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Build, then run every test, live ones included where the kernel lets them.
    Test,
    /// Build, then run the live tests on Debian's kernels in QEMU.
    Vm(vm::Options),
    /// Build, then measure what the detector costs; all benches by default.
    Bench { benches: Vec<bench::Bench> },
    /// What `bench overhead` runs, here and in a guest.
    #[command(hide = true)]
    Overhead(bench::Plan),
    /// Build, then record the scenarios of `tests/traces`; all by default.
    Record { scenarios: Vec<String> },
    /// Write `tests/snapshots` and the generated docs anew, and list what changed.
    Bless,
    /// Run the tests of the rule language, and tell which of its lines they run.
    Coverage,
    /// Fuzz what reads foreign text and bytes.
    Fuzz(fuzz::Options),
    /// Formatting, clippy and the length of files.
    Lint,
}

/// One set in all builds, for a second set would be a second build of most crates.
pub(crate) const FEATURES: [&str; 2] = ["--features", "detector/kafka"];

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("no workspace")?;
    env::set_current_dir(root).context("cannot enter the workspace")?;
    match Task::parse() {
        Task::Setup => {
            peers::fetch();
            setup::run().map(drop)
        }
        Task::Build => build(&[]).map(drop),
        Task::Bench { benches } => bench::run(&benches, &build(&["--examples"])?),
        Task::Overhead(plan) => bench::measure(&plan),
        Task::Run { mut args } => {
            build(&[])?;
            if args.is_empty() {
                args.push("run".to_owned());
            }
            run(Command::new("target/release/kubelet-detector").args(args))
        }
        Task::Test => {
            peers::fetch();
            test::run(&bpf::build(&setup::run()?)?)
        }
        Task::Vm(options) => vm::run(&options, &build(&["--examples"])?),
        Task::Record { scenarios } => {
            build(&["--examples"])?;
            record::run(&scenarios)
        }
        Task::Bless => {
            run(Command::new("cargo")
                .args([
                    "test",
                    "--locked",
                    "--package",
                    "detector",
                    "--test",
                    "scenarios",
                    "--test",
                    "rules",
                    "--test",
                    "config",
                ])
                .args(FEATURES)
                .env("BLESS", "1"))?;
            run(Command::new("git").args(["status", "--short", "tests/snapshots", "docs"]))
        }
        Task::Coverage => coverage::run(),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::Lint => lint::run(),
    }
}

/// Returns the path of the kernel object.
fn build(more: &[&str]) -> Result<PathBuf> {
    let probes = bpf::build(&setup::run()?)?;
    run(Command::new("cargo")
        .args([
            "build",
            "--release",
            "--locked",
            "--package",
            "detector",
            "--bins",
        ])
        .args(FEATURES)
        .args(more)
        .env("KUBELET_DETECTOR_PROBES", &probes))?;
    Ok(probes)
}

/// Runs a command to its end; its failure is ours.
fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}
