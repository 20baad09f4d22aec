//! What came of one mechanism on one kernel, as a whole.

use std::fmt;

use super::{
    plan::{ALL, LACKS, PART, Part, Plan},
    table::Column,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Passed { live: usize },
    Lacking,
    Failed,
}

impl Cell {
    /// Nothing is missing in the guest, so nothing may be skipped but what the kernel lacks.
    pub(super) fn read(output: &str, part: &Part) -> Self {
        if output.contains(LACKS) {
            return Self::Lacking;
        }
        let passed = output.matches("test result: ok").count();
        let live = output.matches("live: attached").count();
        let skips = |line: &str| line.starts_with("skipped: ") && !line.contains("kernel lacks");
        let skipped = part.name != ALL && output.lines().map(said).any(skips);
        if passed == part.calls.len() && live > 0 && !skipped {
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

/// What a test said: its first line comes behind its name.
pub(super) fn said(line: &str) -> &str {
    let begun = line.strip_prefix("test ");
    let rest = begun.and_then(|begun| begun.split_once(" ... "));
    rest.map_or(line, |(_, said)| said)
}

/// From the line that begins the part to the next one.
pub(super) fn section<'a>(output: &'a str, part: &str) -> &'a str {
    let begin = format!("{PART}{part}\n");
    let after = output.split_once(&begin).map_or("", |(_, after)| after);
    let next = format!("\n{PART}");
    after.split_once(&next).map_or(after, |(own, _)| own)
}

pub(super) fn print(columns: &[Column], plan: &Plan) {
    let row = |cells: &mut dyn Iterator<Item = String>| cells.collect::<String>();
    let heads = &mut plan.parts.iter().map(|part| format!("{:<20}", part.name));
    println!("{:<11}{}", "kernel", row(heads));
    for column in columns {
        let cells = &mut column.cells.iter().map(|cell| format!("{cell:<20}"));
        println!("{:<11}{}", column.kernel, row(cells));
    }
}
