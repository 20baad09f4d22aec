//! What evaluating rules costs, on one core and in memory, printed with the limits: `cargo xtask
//! bench rules`.
#![expect(clippy::print_stdout, reason = "it prints what it measured")]

mod generated;

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use detector::{
    event::Event,
    rules::{Memory, Ruleset, SourceFile, load},
};
use generated::{Differ, events, rules};

const SHIPPED: &str = include_str!("../../../rules/kubelet_rules.yaml");
const EVENTS: usize = 4096;
const RUNS: usize = 9;
const RUN: Duration = Duration::from_millis(150);

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let events = events(EVENTS);
    evaluated("the shipped rules", SHIPPED, &events, Some(3_000_000))?;
    for (what, differ, limit, most) in [
        ("differ in ports", Differ::Ports, 1_000_000, 4),
        (
            "differ in names, networks and paths",
            Differ::Values,
            300_000,
            12,
        ),
        (
            "differ in what they let off",
            Differ::Exceptions,
            300_000,
            12,
        ),
    ] {
        let cost = |count, limit| {
            let what = format!("{count} rules that {what}");
            evaluated(&what, &rules(count, differ), &events, limit)
        };
        let times = 1.0 / cost(10, None)? * cost(1000, Some(limit))?;
        println!("rules: from 10 to 1000 that {what}: {times:.1} times the cost (limit {most})");
    }
    Ok(())
}

fn ruleset(text: &str) -> Result<Ruleset, Failure> {
    let loaded = load(&[SourceFile {
        name: "bench".to_owned(),
        text: text.to_owned(),
    }]);
    let first = loaded.diagnostics.first().map(ToString::to_string);
    Ok(loaded.ruleset.ok_or_else(|| first.unwrap_or_default())?)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// Prints events a second; returns nanoseconds an event.
fn evaluated(what: &str, text: &str, events: &[Event], limit: Option<u32>) -> Result<f64, Failure> {
    let rules = ruleset(text)?;
    let mut memory = Memory::default();
    let mut all = |events: &[Event]| -> usize {
        let matched = events
            .iter()
            .map(|event| rules.evaluate_with(&mut memory, event).count());
        matched.sum()
    };
    let matched = all(events);
    let mut silent = events.to_vec();
    silent.retain(|event| rules.evaluate(event).next().is_none());
    let allocated = allocation_counter::measure(|| {
        black_box(all(&silent));
    });
    let runs = (0..RUNS).map(|_| {
        let start = Instant::now();
        let mut rounds = 0;
        while start.elapsed() < RUN {
            black_box(all(black_box(events)));
            rounds += events.len();
        }
        start.elapsed().as_secs_f64() * 1e9 / rounds as f64
    });
    let cost = median(runs.collect());
    let limit = limit.map_or_else(String::new, |limit| format!(" (limit {limit})"));
    println!(
        "rules: {what}: {:.0} events a second{limit}, {cost:.0} ns each; {matched} alerts of {} events; \
         {} allocations for {} events without an alert",
        1e9 / cost,
        events.len(),
        allocated.count_total,
        silent.len(),
    );
    Ok(cost)
}
