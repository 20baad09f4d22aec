//! The table: medians over the rounds, and the quartiles between which half of the rounds are.
//! Below each load it says who is ahead by which measure.

use super::{Connects, LOADS};

/// One load beside one tool, in one round.
pub(super) struct Row {
    pub(super) load: &'static str,
    pub(super) tool: &'static str,
    /// Before and after the tool.
    pub(super) without: Connects,
    pub(super) on: Connects,
    /// Run time of the tool's programs for each connect.
    pub(super) kernel: f64,
    /// Lines for each connect; the rest was lost.
    pub(super) told: Option<f64>,
}

type Measure = (&'static str, bool, fn(&Row) -> f64);

/// What the tools are compared by, and whether more is better.
const MEASURES: [Measure; 4] = [
    ("added mean", false, |row| {
        row.on.mean_ns - row.without.mean_ns
    }),
    ("added median", false, |row| {
        row.on.median_ns - row.without.median_ns
    }),
    ("programs", false, |row| row.kernel),
    ("connects/s", true, |row| {
        row.on.per_second / row.without.per_second
    }),
];

pub(super) fn print(rounds: u32, connects: u32, rows: &[Row]) {
    let of = |get: fn(&Row) -> f64| Spread::of(rows.iter().map(get));
    println!(
        "overhead: {rounds} rounds of {connects} connects; without a tool connect() takes \
         {:.0} (mean), {:.0} (median), {:.0} connects/s",
        of(|row| row.without.mean_ns).median,
        of(|row| row.without.median_ns).median,
        of(|row| row.without.per_second).median,
    );
    println!(
        "overhead: added: connect() with the tool less without, but for the slowest hundredth; \
         programs: run time of its programs a connect; connects/s: ratio to those without; \
         in brackets the quartiles; told: lines a connect"
    );
    let heads: String = MEASURES
        .iter()
        .map(|(name, ..)| format!("{name:<24}"))
        .collect();
    println!("overhead: {:<12} {:<18} {heads}told", "load", "tool");
    for (load, ..) in LOADS {
        let mut lines: Vec<(&str, Vec<Spread>)> = Vec::new();
        for tool in tools(rows) {
            let own = || {
                let own = rows.iter();
                own.filter(|row| row.load == load && row.tool == tool)
            };
            let spreads: Vec<Spread> = MEASURES
                .iter()
                .map(|(.., get)| Spread::of(own().map(get)))
                .collect();
            let cells: String = MEASURES
                .iter()
                .zip(&spreads)
                .map(|((_, ratio, _), spread)| format!("{:<24}", spread.text(*ratio)))
                .collect();
            let told = Spread::of(own().filter_map(|row| row.told));
            let told = if own().all(|row| row.told.is_none()) {
                String::new()
            } else {
                format!("{:.1} %", told.median * 100.0)
            };
            println!("overhead: {load:<12} {tool:<18} {cells}{told}");
            lines.push((tool, spreads));
        }
        ahead(load, &lines);
    }
}

/// In the order in which they were first measured.
fn tools(rows: &[Row]) -> Vec<&'static str> {
    let mut tools = Vec::new();
    for row in rows {
        if !tools.contains(&row.tool) {
            tools.push(row.tool);
        }
    }
    tools
}

fn ahead(load: &str, lines: &[(&str, Vec<Spread>)]) {
    let mut words = Vec::new();
    for (index, (measure, more, _)) in MEASURES.iter().enumerate() {
        let of = |line: &(&str, Vec<Spread>)| line.1.get(index).map_or(0.0, |one| one.median);
        let best = lines.iter().max_by(|a, b| {
            let order = of(a).total_cmp(&of(b));
            if *more { order } else { order.reverse() }
        });
        if let Some((tool, _)) = best {
            words.push(format!("{measure}: {tool}"));
        }
    }
    println!("overhead: {load}: ahead by {}", words.join("; by "));
}

struct Spread {
    low: f64,
    median: f64,
    high: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().saturating_sub(1);
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        Self {
            low: at(last / 4),
            median: at(last / 2),
            high: at((last * 3).div_ceil(4)),
        }
    }

    fn text(&self, ratio: bool) -> String {
        let Self { low, median, high } = self;
        if ratio {
            format!("{median:.3} [{low:.3}..{high:.3}]")
        } else {
            format!("{median:.0} [{low:.0}..{high:.0}]")
        }
    }
}
