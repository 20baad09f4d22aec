//! Kernel, mechanism and way in, as the tests' lines `way: NAME: OUTCOME` tell, and the verifier's
//! instructions: printed, and written as docs/coverage.md.

use std::{collections::BTreeMap, fmt::Write as _, fs};

use anyhow::Result;

use super::{
    cell::{Cell, said, section},
    guest::Outcome,
    plan::Plan,
};

pub(super) const PATH: &str = "docs/coverage.md";
const WAY: &str = "way: ";
const VERIFIER: &str = "verifier: ";

const HEAD: &str = "\
# Coverage

Written by `cargo xtask vm`, which runs the live tests on each of these kernels by each mechanism of
the probes. A way in or an identity is tested in tests/live_ways.rs or tests/live_identity.rs under
this name: its events, exactly.
";

/// Of one kernel.
pub(super) struct Column {
    pub(super) kernel: &'static str,
    /// One for each part of the plan.
    pub(super) cells: Vec<Cell>,
    /// By mechanism and way.
    ways: BTreeMap<(&'static str, String), String>,
    verifier: BTreeMap<String, u32>,
}

impl Column {
    pub(super) fn read(kernel: &'static str, plan: &Plan, outcome: &Outcome) -> Self {
        let mut column = Self {
            kernel,
            cells: Vec::new(),
            ways: BTreeMap::new(),
            verifier: BTreeMap::new(),
        };
        for part in &plan.parts {
            let output = section(&outcome.output, part.name);
            column.cells.push(Cell::read(output, part));
            output.lines().for_each(|line| column.take(part.name, said(line)));
        }
        column
    }

    fn take(&mut self, mechanism: &'static str, line: &str) {
        let way = line.strip_prefix(WAY);
        if let Some((way, outcome)) = way.and_then(|way| way.split_once(": ")) {
            let key = (mechanism, way.to_owned());
            self.ways.insert(key, outcome.to_owned());
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
    let mut text = String::new();
    let mut row = |cells: Vec<String>| {
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    };
    let heads = columns.iter().flat_map(|column| {
        let of = |mechanism: &&str| format!("{} {mechanism}", column.kernel);
        mechanisms.iter().map(of)
    });
    let heads: Vec<String> = std::iter::once("way".to_owned()).chain(heads).collect();
    let count = heads.len();
    row(heads);
    row(vec!["---".to_owned(); count]);
    let mut ways: Vec<&String> = columns
        .iter()
        .flat_map(|column| column.ways.keys().map(|(_, way)| way))
        .collect();
    ways.sort();
    ways.dedup();
    for way in ways {
        let cells = columns.iter().flat_map(|column| {
            mechanisms.iter().map(|mechanism| {
                let outcome = column.ways.get(&(mechanism, way.clone()));
                match outcome.map(String::as_str) {
                    None => "kernel lacks the mechanism".to_owned(),
                    Some(outcome) => match outcome.strip_prefix("lacks ") {
                        Some(what) => format!("kernel lacks {what}"),
                        None => outcome.to_owned(),
                    },
                }
            })
        });
        row(std::iter::once(way.clone()).chain(cells).collect());
    }
    text.push_str("\nInstructions that the verifier processed (5.10 does not tell; the bound is 250,000):\n\n");
    let mut row = |cells: Vec<String>| {
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    };
    let heads = columns.iter().map(|column| column.kernel.to_owned());
    let heads: Vec<String> = std::iter::once("program".to_owned()).chain(heads).collect();
    let count = heads.len();
    row(heads);
    row(vec!["---".to_owned(); count]);
    let mut programs: Vec<&String> = columns
        .iter()
        .flat_map(|column| column.verifier.keys())
        .collect();
    programs.sort();
    programs.dedup();
    for program in programs {
        let cells = columns.iter().map(|column| {
            let count = column.verifier.get(program);
            count.map_or_else(|| "-".to_owned(), u32::to_string)
        });
        row(std::iter::once(program.clone()).chain(cells).collect());
    }
    text
}

pub(super) fn write(tables: &str) -> Result<()> {
    Ok(fs::write(PATH, format!("{HEAD}\n{tables}"))?)
}
