//! From an alert to an HTTP peer on loopback, through the spool.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::detector::BINARY;

const EXAMPLE: &str = "target/release/examples/sinks";
const ARRIVAL: &str = "target/release/examples/arrival";

/// Of the peer, for which alerts pile up: a minute, or ten where the whole is asked for.
fn down_s() -> &'static str {
    match std::env::var_os("KUBELET_DETECTOR_FULL") {
        Some(_) => "600",
        None => "60",
    }
}

fn output(example: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(example)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot start {example}"))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn number(word: &str) -> Result<f64> {
    word.parse().with_context(|| word.to_owned())
}

/// By the real detector, of refused connects.
pub(super) fn arrival(port: u16) -> Result<()> {
    let said = output(ARRIVAL, &[BINARY, &port.to_string()])?;
    let words: Vec<&str> = said.split_whitespace().collect();
    let [connects, median, p99, most, kib] = words[..] else {
        bail!("not understood: {said}");
    };
    let (median, p99, most) = (number(median)?, number(p99)?, number(most)?);
    println!(
        "arrival: {connects} connects at 500 a second, from connect() returning to the bytes at the peer: \
         median {:.2} ms, p99 {:.2} ms (limit 10), at most {:.2} ms; {:.1} MiB resident",
        median / 1e6,
        p99 / 1e6,
        most / 1e6,
        number(kib)? / 1024.0
    );
    Ok(())
}

pub(super) fn run() -> Result<()> {
    let down = down_s();
    for line in output(EXAMPLE, &[down])?.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
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
                    "sinks: {mib:.1} MiB resident after {down} s at 500 a second with the peer \
                     down (limit 40)"
                );
            }
            _ => bail!("not understood: {line}"),
        }
    }
    Ok(())
}
