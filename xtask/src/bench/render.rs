//! Alerts a second from a rule and its event to lines in memory, on one core.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

const EXAMPLE: &str = "target/release/examples/render";

pub(super) fn run() -> Result<()> {
    let output = Command::new(EXAMPLE)
        .output()
        .with_context(|| format!("cannot start {EXAMPLE}"))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let mut words = line.split_whitespace();
        let (Some(rule), Some(format), Some(rate)) = (words.next(), words.next(), words.next())
        else {
            bail!("not understood: {line}");
        };
        let rule = match rule {
            "shipped" => "the shipped rule",
            _ => "an output of twelve fields",
        };
        let limit = match format {
            "text" => 700_000,
            "json" => 400_000,
            _ => 100_000,
        };
        println!("render: {rule}, {format}: {rate} alerts a second (limit {limit})");
    }
    Ok(())
}
