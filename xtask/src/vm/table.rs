//! Kernel, mechanism and way in, as the tests' lines `way: NAME: OUTCOME` tell, and the verifier's
//! instructions: printed, and written as docs/coverage.md.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
};

use anyhow::Result;

use super::{
    cell::{Cell, said, section},
    guest::Outcome,
    plan::Plan,
};

pub(super) const PATH: &str = "docs/coverage.md";
const WAY: &str = "way: ";
const HARM: &str = "tampering: ";
const VERIFIER: &str = "verifier: ";
/// Of what a kernel or mechanism does not have, or is not tried.
const NONE: &str = "-";

const HEAD: &str = "\
# Coverage

Written by `cargo xtask vm`, which runs the live tests on each of these kernels by each mechanism of
the probes. A way in or an identity is tested under this name, its events exactly: in
tests/live_ways.rs, live_identity.rs, live_changes.rs, live_creators.rs or live_original.rs. A dash is
a mechanism that the kernel refuses.

## Ways in and identities
";
const FROM_OUTSIDE: &str = "\
What root does to the probes of a detector that runs (tests/live_tampering.rs): after how long it is
told, or that it does no harm and events are seen still. `errno 95` (EOPNOTSUPP) is the kernel's answer to
`bpftool link detach`: links of this kind have no such operation. A dash is what is not tried: the
mechanism does not depend on it, or the whole machine would be concerned.
";
const THE_VERIFIER: &str = "\
Instructions that the verifier processed of each program; it gives up at 1,000,000, the test
(tests/live_verifier.rs) at 250,000. The kernel cuts names to 15 characters.
";

/// By mechanism and name.
type Outcomes = BTreeMap<(&'static str, String), String>;

/// Of one kernel.
pub(super) struct Column {
    pub(super) kernel: &'static str,
    /// One for each part of the plan.
    pub(super) cells: Vec<Cell>,
    ways: Outcomes,
    harms: Outcomes,
    verifier: BTreeMap<String, u32>,
}

impl Column {
    pub(super) fn read(kernel: &'static str, plan: &Plan, outcome: &Outcome) -> Self {
        let mut column = Self {
            kernel,
            cells: Vec::new(),
            ways: Outcomes::new(),
            harms: Outcomes::new(),
            verifier: BTreeMap::new(),
        };
        for part in &plan.parts {
            let output = section(&outcome.output, part.name);
            column.cells.push(Cell::read(output, part));
            output
                .lines()
                .for_each(|line| column.take(part.name, said(line)));
        }
        column
    }

    fn take(&mut self, mechanism: &'static str, line: &str) {
        for (prefix, outcomes) in [(WAY, &mut self.ways), (HARM, &mut self.harms)] {
            let said = line.strip_prefix(prefix);
            if let Some((name, outcome)) = said.and_then(|said| said.split_once(": ")) {
                outcomes.insert((mechanism, name.to_owned()), outcome.to_owned());
            }
        }
        let count = line.strip_prefix(VERIFIER);
        let count = count.and_then(|count| count.strip_suffix(" instructions"));
        if let Some((program, count)) = count.and_then(|count| count.rsplit_once(": "))
            && let Ok(count) = count.parse()
        {
            self.verifier.insert(program.to_owned(), count);
        }
    }

    pub(super) fn failed(&self) -> impl Iterator<Item = String> {
        let failed = self.ways.iter().filter(|(_, outcome)| *outcome == "fail");
        failed.map(|((mechanism, way), _)| format!("{way} by {mechanism}"))
    }
}

/// The tables, as Markdown.
pub(super) fn tables(columns: &[Column], mechanisms: &[&'static str]) -> String {
    let of = |outcomes: fn(&Column) -> &Outcomes| by_mechanism(columns, mechanisms, outcomes);
    let counts = |column: &Column, program: &String| {
        let count = column.verifier.get(program);
        count.map_or_else(|| NONE.to_owned(), u32::to_string)
    };
    let heads = columns.iter().map(|column| column.kernel.to_owned());
    let programs: BTreeSet<&String> = columns.iter().flat_map(|one| one.verifier.keys()).collect();
    let verifier = table("program", heads, &programs, |program| {
        columns
            .iter()
            .map(|column| counts(column, program))
            .collect()
    });
    let harms = of(|column| &column.harms);
    format!(
        "{}\n## From outside\n\n{FROM_OUTSIDE}\n{harms}\n## The verifier\n\n{THE_VERIFIER}\n{verifier}",
        of(|column| &column.ways)
    )
}

/// A column for each kernel and mechanism.
fn by_mechanism(
    columns: &[Column],
    mechanisms: &[&'static str],
    outcomes: fn(&Column) -> &Outcomes,
) -> String {
    let pairs = || {
        let of = |column| mechanisms.iter().map(move |mechanism| (column, *mechanism));
        columns.iter().flat_map(of)
    };
    let heads = pairs().map(|(column, mechanism)| format!("{} {mechanism}", column.kernel));
    let names: BTreeSet<&String> = columns
        .iter()
        .flat_map(|column| outcomes(column).keys().map(|(_, name)| name))
        .collect();
    table("", heads, &names, |name| {
        let cell = |(column, mechanism): (&Column, &'static str)| {
            let outcome = outcomes(column).get(&(mechanism, name.clone()));
            match outcome.map(|outcome| (outcome, outcome.strip_prefix("lacks "))) {
                None => NONE.to_owned(),
                Some((_, Some(what))) => format!("kernel lacks {what}"),
                Some((outcome, None)) => outcome.clone(),
            }
        };
        pairs().map(cell).collect()
    })
}

fn table(
    first: &str,
    heads: impl Iterator<Item = String>,
    names: &BTreeSet<&String>,
    cells: impl Fn(&String) -> Vec<String>,
) -> String {
    let heads: Vec<String> = heads.collect();
    let mut text = format!("| {first} | {} |\n", heads.join(" | "));
    let _ = writeln!(text, "|{}", " --- |".repeat(heads.len() + 1));
    for name in names {
        let _ = writeln!(text, "| {name} | {} |", cells(name).join(" | "));
    }
    text
}

pub(super) fn write(tables: &str) -> Result<()> {
    Ok(fs::write(PATH, format!("{HEAD}\n{tables}"))?)
}
