//! From an alert to an HTTP peer on loopback, through the spool.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

const EXAMPLE: &str = "target/release/examples/sinks";
/// Of the peer, for which alerts pile up.
const DOWN_S: &str = "60";

pub(super) fn run() -> Result<()> {
    let output = Command::new(EXAMPLE)
        .arg(DOWN_S)
        .output()
        .with_context(|| format!("cannot start {EXAMPLE}"))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |word: &str| -> Result<f64> { word.parse().with_context(|| line.to_owned()) };
        match words[..] {
            ["throughput", rate] => println!("sinks: {rate} alerts a second (limit 20000)"),
            ["latency", median, p99] => {
                let (median, p99) = (number(median)? / 1e6, number(p99)? / 1e6);
                println!(
                    "sinks: from an alert to its bytes at the peer {median:.2} ms, 99 of 100 within \
                     {p99:.2} ms, at 500 a second (limit 10)"
                );
            }
            ["memory", kib] => {
                let mib = number(kib)? / 1024.0;
                println!(
                    "sinks: {mib:.1} MiB resident after {DOWN_S} s at 500 a second with the peer \
                     down (limit 40)"
                );
            }
            _ => bail!("not understood: {line}"),
        }
    }
    Ok(())
}
