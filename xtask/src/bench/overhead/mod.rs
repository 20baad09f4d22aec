//! `cargo xtask bench overhead`: what a connect pays for being watched, by the detector and by the
//! tools that others would use, in turns on one machine: here, and in a guest that has kprobes.

mod peers;
mod table;
mod tool;

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::{STATS, UNWATCHED, WATCHED};
use crate::{setup, vm};
use table::Row;
use tool::Running;

const FOLDER: &str = "target/bench/overhead";
/// Built as an example; a copy's name is the name of its process.
const LOAD: &str = "target/release/examples/connects";
const STRANGER: &str = "stranger";
const KUBELET: &str = "kubelet";
/// Makes the connects by which a tool is known to be attached.
const STARTER: &str = "starter";

/// Name, program and port.
const LOADS: [(&str, &str, u16); 3] = [
    ("unwatched", STRANGER, UNWATCHED),
    ("allowlisted", KUBELET, WATCHED),
    ("alerting", STRANGER, WATCHED),
];

/// One tool after the other, with nothing attached in between, and all of it again.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Plan {
    #[arg(long)]
    rounds: u32,
    /// Of each load.
    #[arg(long)]
    connects: u32,
    /// The kernel has them: measure also the tools that need them.
    #[arg(long)]
    kprobes: bool,
}

const HERE: Plan = Plan {
    rounds: 9,
    connects: 20_000,
    kprobes: false,
};

/// As words: emulation is slow, but counts the same each time.
const GUEST: &str = "--rounds 3 --connects 1000 --kprobes";

pub(super) fn run() -> Result<()> {
    fs::create_dir_all(FOLDER)?;
    for name in [STRANGER, KUBELET, STARTER] {
        fs::copy(LOAD, Path::new(FOLDER).join(name)).context(LOAD)?;
    }
    println!("overhead: beside {}", peers::prepare()?);
    println!("overhead: here, in nanoseconds");
    measure(&HERE)?;
    guest()
}

/// QEMU counts instructions and lets a nanosecond be one: no load of this machine changes that.
fn guest() -> Result<()> {
    let label = vm::KERNELS.last().context("no kernel")?;
    setup::qemu()?;
    let xtask = env::current_exe()?;
    let root = env::current_dir()?;
    let mut files: BTreeSet<PathBuf> = [xtask.clone(), root.join(crate::detector::BINARY)].into();
    files.extend([STRANGER, KUBELET, STARTER].map(|name| root.join(FOLDER).join(name)));
    for program in files.clone() {
        files.extend(vm::libraries(&program)?);
    }
    files.extend(peers::files()?);
    let script = format!("{} overhead {GUEST}", xtask.display());
    println!("overhead: Debian's kernel {label} in QEMU, in instructions");
    let output = vm::boot(label, &files, &script, &["-icount", "shift=0,sleep=off"])?;
    for line in output.lines().filter(|line| line.starts_with("overhead: ")) {
        println!("{}", line.trim_end());
    }
    Ok(())
}

/// Measures what is built already and prints the table.
pub(crate) fn measure(plan: &Plan) -> Result<()> {
    let before = fs::read_to_string(STATS).context("bench overhead needs root")?;
    let rows = rounds(plan);
    fs::write(STATS, before)?;
    table::print(plan.rounds, plan.connects, &rows?);
    Ok(())
}

fn rounds(plan: &Plan) -> Result<Vec<Row>> {
    let mut tools = peers::tools(plan.kprobes)?;
    let mut rows = Vec::new();
    connects(STRANGER, UNWATCHED, plan.connects)?;
    for _ in 0..plan.rounds {
        let mut off = connects(STRANGER, UNWATCHED, plan.connects)?;
        for tool in &tools {
            let running = Running::start(tool)?;
            let mut measured = Vec::new();
            for (load, program, port) in LOADS {
                let on = connects(program, port, plan.connects)?;
                let kernel = running.kernel_ns(program, port, plan.connects / 4)?;
                measured.push((load, on, kernel));
            }
            let told = running.stop()?;
            let after = connects(STRANGER, UNWATCHED, plan.connects)?;
            let without = off.between(&after);
            off = after;
            let made = f64::from(plan.connects + plan.connects / 4);
            for (load, on, kernel) in measured {
                let told = match load {
                    "alerting" => Some(told.lines_of(STRANGER) as f64 / made),
                    "allowlisted" => Some(told.lines_of(KUBELET) as f64 / made),
                    _ => None,
                };
                rows.push(Row {
                    load,
                    tool: tool.name,
                    without,
                    on,
                    kernel,
                    told,
                });
            }
        }
        tools.rotate_left(1);
    }
    Ok(rows)
}

/// What a load measured of itself.
#[derive(Debug, Clone, Copy)]
struct Connects {
    mean_ns: f64,
    median_ns: f64,
    per_second: f64,
}

impl Connects {
    fn between(&self, other: &Self) -> Self {
        Self {
            mean_ns: f64::midpoint(self.mean_ns, other.mean_ns),
            median_ns: f64::midpoint(self.median_ns, other.median_ns),
            per_second: f64::midpoint(self.per_second, other.per_second),
        }
    }
}

fn connects(program: &str, port: u16, count: u32) -> Result<Connects> {
    let path = Path::new(FOLDER).join(program);
    let output = Command::new(&path)
        .args([port.to_string(), count.to_string()])
        .output()
        .with_context(|| format!("cannot start {}", path.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<f64> = text
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [mean_ns, median_ns, per_second] = numbers.as_slice() else {
        bail!(
            "the load failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    Ok(Connects {
        mean_ns: *mean_ns,
        median_ns: *median_ns,
        per_second: *per_second,
    })
}
