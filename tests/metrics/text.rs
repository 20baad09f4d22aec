//! The text that Prometheus reads, and what is written about it.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use detector::metrics::{
    Status,
    catalogue::{METRICS, document},
    prometheus::render,
};

use super::{
    filled,
    scraped::{QUERIES, peer, queries},
};

const SNAPSHOT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/snapshots/metrics.txt"
);
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");

fn rendered(status: &Status) -> String {
    String::from_utf8(render(status).unwrap()).unwrap()
}

fn is_as_written(path: &str, made: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, made).unwrap();
    }
    let written = fs::read_to_string(path).unwrap_or_default();
    let advice = "if that is right: BLESS=1 cargo test --test metrics";
    assert_eq!(written, made, "{path}: {advice}");
}

#[test]
fn a_filled_status_is_the_text_of_its_snapshot() {
    is_as_written(SNAPSHOT, &rendered(&filled::status()));
}

#[test]
fn every_metric_is_described_and_has_a_sample() {
    let text = rendered(&filled::status());
    for metric in METRICS {
        let (name, kind) = (metric.name, metric.kind.as_str());
        assert!(text.contains(&format!("# HELP {name} {}\n", metric.help)));
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")));
        let is_sample = |line: &str| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            let rest = match kind {
                "summary" => rest.strip_prefix("_sum").unwrap_or_default(),
                _ => rest,
            };
            rest.starts_with(['{', ' '])
        };
        assert!(text.lines().any(is_sample), "{name} has no sample");
    }
    let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), METRICS.len(), "a name stands twice");
}

#[test]
fn odd_values_are_escaped_and_large_ones_written_out() {
    let text = rendered(&filled::status());
    let line = "detector_pipeline_alerts_total{rule=\"a \\\"rule\\\" \\\\ of\\ntwo \u{fffd}\u{1b}[2J \
                lines\",priority=\"Critical\",source=\"syscall\"} 4";
    assert!(text.lines().any(|one| one == line), "{text}");
    let large = "detector_pipeline_events_total{kind=\"accept\"} 18446744073709552000";
    assert!(text.lines().any(|one| one == large), "{text}");
}

#[test]
fn of_what_is_not_there_nothing_is_told() {
    let text = rendered(&Status::default());
    for absent in ["detector_sink", "detector_spool", "alerts_total"] {
        assert!(!text.contains(absent), "{absent}");
    }
    assert!(text.contains("detector_pipeline_reloads_total{outcome=\"refused\"} 0\n"));
}

#[test]
fn promtool_finds_nothing_wrong() {
    let Some(promtool) = peer("promtool") else {
        return;
    };
    for status in [filled::status(), Status::default()] {
        let mut child = Command::new(&promtool)
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&render(&status).unwrap()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(output.status.success() && said.is_empty(), "{said}");
    }
}

#[test]
fn the_table_of_metrics_is_that_of_the_catalogue() {
    is_as_written(DOCUMENT, &document());
}

#[test]
fn every_metric_has_a_query() {
    let queries = queries();
    assert!(Path::new(QUERIES).exists() && !queries.is_empty());
    for metric in METRICS {
        let name = metric.name;
        let asks = |query: &String| {
            let mut words = query.split(|next: char| !next.is_ascii_alphanumeric() && next != '_');
            words.any(|word| word.strip_suffix("_sum").unwrap_or(word) == name)
        };
        assert!(queries.iter().any(asks), "{name} has no query in {QUERIES}");
    }
}
