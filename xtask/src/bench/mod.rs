//! `cargo xtask bench`: what the detector costs, measured from outside and printed with the limit
//! that the project set itself. Needs root and an idle machine.

mod load;
mod overhead;
mod render;
mod sinks;

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::detector::Detector;
use load::{Server, connect, connects, quantile};
pub(crate) use overhead::{Plan, measure};

const WATCHED: u16 = 10250;
const UNWATCHED: u16 = 10999;
const STATS: &str = "/proc/sys/kernel/bpf_stats_enabled";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bench {
    /// Nanoseconds of the kernel programs, beside an empty one.
    Cost,
    /// Median of connect() on an unwatched port, detector on and off.
    Connect,
    /// From connect() returning to the alert on stdout.
    Alert,
    /// Resident memory while idle.
    Memory,
    /// From exec to attached.
    Start,
    /// Events a second of a replay.
    Replay,
    /// Events a second of the rules alone, and loading; of the files in `FALCO_RULES` too.
    Rules,
    /// Alerts a second, from a rule and its event to a line in memory.
    Render,
    /// From an alert to a peer over HTTP: alerts a second, latency, memory.
    Sinks,
    /// From connect() returning to the alert at a peer over HTTP.
    Arrival,
    /// What a connect pays for being watched, beside bpftrace and tcpconnect.
    Overhead,
}

pub(crate) fn run(chosen: &[Bench], object: &Path) -> Result<()> {
    for bench in Bench::value_variants() {
        if !chosen.is_empty() && !chosen.contains(bench) {
            continue;
        }
        match bench {
            Bench::Cost => cost(object)?,
            Bench::Connect => connect_latency()?,
            Bench::Alert => alert_latency()?,
            Bench::Memory => memory()?,
            Bench::Start => start()?,
            Bench::Replay => replay()?,
            Bench::Rules => rules()?,
            Bench::Render => render::run()?,
            Bench::Sinks => sinks::run()?,
            Bench::Arrival => sinks::arrival(WATCHED)?,
            Bench::Overhead => overhead::run()?,
        }
    }
    Ok(())
}

fn quiet() -> Result<Detector> {
    Detector::start(&["run"], Stdio::null())
}

/// Mean of a run while `load` goes on, and the number of runs.
fn mean(probe: &Detector, load: impl FnOnce() -> Result<()>) -> Result<(f64, u64)> {
    let before = probe.cost()?;
    load()?;
    let after = probe.cost()?;
    let runs = after.1 - before.1;
    Ok(((after.0 - before.0) as f64 / runs.max(1) as f64, runs))
}

fn cost(object: &Path) -> Result<()> {
    let enabled = fs::read_to_string(STATS).context("bench cost needs root")?;
    fs::write(STATS, "1").context("bench cost needs root")?;
    let many = |port, count| move || connects(port, count).map(drop);
    {
        let _server = Server::start(UNWATCHED)?;
        let probe = Detector::empty(object)?;
        let (empty, runs) = mean(&probe, many(UNWATCHED, 20_000))?;
        println!("cost: an empty program {empty:.1} ns a run ({runs} runs)");
        drop(probe);
        let probe = quiet()?;
        let (ns, runs) = mean(&probe, many(UNWATCHED, 20_000))?;
        let above = ns - empty;
        println!(
            "cost: unwatched {ns:.1} ns a run, {above:.1} above empty ({runs} runs; limit 40)"
        );
    }
    let probe = quiet()?;
    let (ns, runs) = mean(&probe, many(WATCHED, 10_000))?;
    println!("cost: watched {ns:.0} ns a run, one after the other ({runs} runs; limit 2500)");
    let spaced = || {
        (0..200).try_for_each(|_| {
            std::thread::sleep(Duration::from_millis(5));
            connect(WATCHED).map(drop)
        })
    };
    let (ns, runs) = mean(&probe, spaced)?;
    println!("cost: watched {ns:.0} ns a run, waking the idle reader each time ({runs} runs)");
    fs::write(STATS, enabled)?;
    Ok(())
}

fn connect_latency() -> Result<()> {
    const CONNECTS: usize = 100_000;
    let _server = Server::start(UNWATCHED)?;
    connects(UNWATCHED, CONNECTS / 10)?;
    let mut ratios = Vec::new();
    for pair in 1..=5 {
        let off = quantile(&connects(UNWATCHED, CONNECTS)?, 500);
        let probe = quiet()?;
        let on = quantile(&connects(UNWATCHED, CONNECTS)?, 500);
        drop(probe);
        let ratio = on.as_secs_f64() / off.as_secs_f64();
        println!("connect: pair {pair}: median off {off:?}, on {on:?}, ratio {ratio:.3}");
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ratios.len() / 2).copied().unwrap_or_default();
    println!("connect: median ratio {median:.3} (limit 1.03)");
    Ok(())
}

fn alert_latency() -> Result<()> {
    const ALERTS: usize = 200;
    let mut probe = Detector::start(&["run"], Stdio::piped())?;
    let lines = BufReader::new(probe.stdout()?).lines();
    let (sender, arrivals) = std::sync::mpsc::sync_channel(ALERTS);
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if line.contains("Suspicious") && sender.send(Instant::now()).is_err() {
                break;
            }
        }
    });
    let mut took = Vec::new();
    for _ in 0..ALERTS {
        connect(WATCHED)?;
        let returned = Instant::now();
        let arrived = arrivals
            .recv_timeout(Duration::from_secs(5))
            .context("an alert did not arrive within 5 s")?;
        took.push(arrived.saturating_duration_since(returned));
        std::thread::sleep(Duration::from_millis(20));
    }
    took.sort();
    let (median, p99) = (quantile(&took, 500), quantile(&took, 990));
    println!("alert: {ALERTS} connects: median {median:?}, p99 {p99:?} (limit 2 ms)");
    Ok(())
}

fn memory() -> Result<()> {
    let probe = quiet()?;
    std::thread::sleep(Duration::from_secs(2));
    let mib = probe.resident_kib()? as f64 / 1024.0;
    println!("memory: {mib:.1} MiB resident while idle (limit 20)");
    Ok(())
}

fn start() -> Result<()> {
    let mut took = (0..10)
        .map(|_| quiet().map(|probe| probe.took))
        .collect::<Result<Vec<_>>>()?;
    took.sort();
    let (median, worst) = (quantile(&took, 500), quantile(&took, 1000));
    println!("start: exec to attached: median {median:?}, worst of 10 {worst:?} (limit 300 ms)");
    Ok(())
}

/// Half a million real connects are a million events: attempts and outcomes.
fn replay() -> Result<()> {
    const CONNECTS: usize = 500_000;
    let folder = Path::new("target/bench");
    fs::create_dir_all(folder)?;
    for (name, end, what) in [
        ("kubelet", "jsonl", "no alert"),
        ("load", "jsonl", "an alert each second event"),
        ("kubelet", "kdt", "no alert"),
        ("load", "kdt", "an alert each second event"),
    ] {
        let path = folder.join(format!("{name}.{end}"));
        let file = path.to_str().context("the path is not UTF-8")?;
        if !path.exists() {
            let mut probe = Detector::start(&["record", "-o", file], Stdio::null())?;
            // The thread's name is the process's name to the rules.
            let thread = std::thread::Builder::new().name(name.to_owned());
            let load = thread.spawn(|| connects(WATCHED, CONNECTS).map(drop))?;
            load.join().ok().context("the load failed")??;
            probe.stop()?;
        }
        for format in ["text", "json"] {
            let begin = Instant::now();
            let output = Command::new("target/release/kubelet-detector")
                .args(["replay", "--format", format, file])
                .stdout(Stdio::null())
                .output()?;
            let took = begin.elapsed().as_secs_f64();
            let log = String::from_utf8_lossy(&output.stderr);
            let events = log.split("events=").nth(1).unwrap_or_default();
            let events: u32 = events
                .split_whitespace()
                .next()
                .unwrap_or_default()
                .parse()?;
            let rate = f64::from(events) / took;
            println!(
                "replay: {file}, {events} events, {what}, {format}: {took:.2} s, {rate:.0} a second \
                 (limit 300000)"
            );
        }
    }
    Ok(())
}

/// One core and no kernel: the examples measure themselves.
fn rules() -> Result<()> {
    crate::run(&mut Command::new("target/release/examples/rules"))?;
    let mut command = Command::new("target/release/examples/loading");
    if let Some(folder) = env::var_os("FALCO_RULES") {
        let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
        let mut paths = paths.collect::<Result<Vec<_>>>()?;
        paths.retain(|path| path.extension().is_some_and(|end| end == "yaml"));
        command.args(paths);
    }
    crate::run(&mut command)
}
