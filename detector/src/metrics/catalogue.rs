//! Every metric: its name, what it tells, and where a status has it. docs/metrics.md is made of this.

use super::{Sink, Spool, Status, Subject, Times};

/// One metric, under Prometheus' conventions: base units, `_total` on what only grows.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub labels: &'static [&'static str],
    pub help: &'static str,
    pub(super) samples: fn(&Status) -> Vec<Sample>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    /// `_sum` and `_count`, without quantiles.
    Summary,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Summary => "summary",
        }
    }
}

#[derive(Debug)]
pub(super) struct Sample {
    /// In the order of the metric's labels.
    pub(super) labels: Vec<String>,
    /// Of a summary its sum.
    pub(super) value: f64,
    /// Of a summary.
    pub(super) count: u64,
}

/// In the order in which they are written.
pub const METRICS: [Metric; 35] = [
    gauge(
        "detector_build_info",
        &["version", "target", "rustc"],
        "What runs; always 1.",
        |status| {
            let build = &status.build;
            vec![number([&build.version, &build.target, &build.rustc], 1)]
        },
    ),
    gauge(
        "detector_run_info",
        &["uuid", "node", "kernel"],
        "The run, as every alert names it, and its node; always 1.",
        |status| {
            let uuid = status.instance.to_string();
            vec![number([uuid.as_str(), &status.node, &status.kernel], 1)]
        },
    ),
    gauge(
        "process_start_time_seconds",
        &[],
        "When the run began, in seconds since the Unix epoch.",
        |status| vec![seconds([], status.started_ns)],
    ),
    gauge(
        "process_resident_memory_bytes",
        &[],
        "Memory that the process has.",
        |status| vec![number([], status.process.resident_bytes)],
    ),
    counter(
        "process_cpu_seconds_total",
        &[],
        "Processor time that the process took, in user space and in the kernel.",
        |status| vec![seconds([], status.process.cpu_ns)],
    ),
    gauge(
        "detector_pipeline_updated_time_seconds",
        &[],
        "When these values were put together, in seconds since the Unix epoch.",
        |status| vec![seconds([], status.updated_ns)],
    ),
    counter(
        "detector_pipeline_events_total",
        &["kind"],
        "Events that rules judged.",
        |status| {
            let events = status.events.iter();
            events.map(|one| number([&one.kind], one.count)).collect()
        },
    ),
    counter(
        "detector_pipeline_alerts_total",
        &["rule", "priority", "source"],
        "Alerts of rules, and of the detector itself (source internal), before any filter of a sink.",
        |status| {
            let alerts = status.alerts.iter();
            let sample = |one: &super::Alerts| {
                number([&one.rule, one.priority.as_str(), &one.source], one.count)
            };
            alerts.map(sample).collect()
        },
    ),
    counter(
        "detector_pipeline_reloads_total",
        &["outcome"],
        "Readings of configuration and rules: applied, or refused because they are wrong.",
        |status| {
            let reloads = &status.reloads;
            vec![
                number(["applied"], reloads.applied),
                number(["refused"], reloads.refused),
            ]
        },
    ),
    summary(
        "detector_rules_evaluation_seconds",
        &[],
        "Time to judge one event by all rules, of one event in 64.",
        |status| vec![times([], &status.evaluation)],
    ),
    gauge(
        "detector_source_attached",
        &["subject", "mechanism", "place"],
        "Where the probes of a subject are attached; 1 while they are.",
        |status| {
            let attached = subjects(status).filter(|one| !one.place.is_empty());
            attached
                .map(|one| number([&one.name, &one.mechanism, &one.place], 1))
                .collect()
        },
    ),
    gauge(
        "detector_source_proven",
        &["subject"],
        "Whether the probes of a subject told of the detector's last connection to itself.",
        |status| of_subjects(status, |one| one.proven.into()),
    ),
    gauge(
        "detector_source_faults",
        &[],
        "How much is wrong with the probes at the moment: unproven, or changed from outside.",
        |status| vec![number([], status.probes.faults.len() as u64)],
    ),
    counter(
        "detector_source_generated_total",
        &["subject"],
        "Records that the probes made since they were attached.",
        |status| of_subjects(status, |one| one.generated),
    ),
    counter(
        "detector_source_delivered_total",
        &["subject"],
        "Records that this process read.",
        |status| of_subjects(status, |one| one.delivered),
    ),
    counter(
        "detector_source_overrun_total",
        &["subject"],
        "Records that found the ring buffer full.",
        |status| of_subjects(status, |one| one.lost),
    ),
    counter(
        "detector_source_suppressed_total",
        &["subject"],
        "Records of processes that flood the detector, left out so that those of others are seen.",
        |status| of_subjects(status, |one| one.suppressed),
    ),
    counter(
        "detector_source_lost_total",
        &["subject", "cause"],
        "Events that were lost and that an alert told lost, by cause.",
        |status| {
            let losses = status.probes.losses.iter();
            losses
                .map(|one| number([&one.subject, &one.cause], one.count))
                .collect()
        },
    ),
    counter(
        "detector_source_let_off_total",
        &["name"],
        "Connects of threads of a name that no rule can match, which the probes only count.",
        |status| {
            let names = status.probes.let_off.iter();
            names.map(|one| number([&one.name], one.connects)).collect()
        },
    ),
    gauge(
        "detector_source_ring_buffer_used_bytes",
        &[],
        "How much of the ring buffer is in use.",
        |status| vec![number([], status.probes.ring.used)],
    ),
    gauge(
        "detector_source_ring_buffer_size_bytes",
        &[],
        "How large the ring buffer is.",
        |status| vec![number([], status.probes.ring.size)],
    ),
    counter(
        "detector_sink_delivered_total",
        SINK,
        "Alerts that a sink has taken.",
        |status| of_sinks(status, |one| one.delivered),
    ),
    counter(
        "detector_sink_refused_total",
        SINK,
        "Alerts that a sink refused for good; they are kept as dead letters, and told as dropped (refused).",
        |status| of_sinks(status, |one| one.refused),
    ),
    counter(
        "detector_sink_retried_total",
        SINK,
        "Alerts that were handed over in vain, each time that they were.",
        |status| of_sinks(status, |one| one.retried),
    ),
    counter(
        "detector_sink_dropped_total",
        &["sink", "kind", "cause"],
        "Alerts that a sink will not get, by cause, without those that it refused.",
        |status| {
            let each = |one: &Sink| {
                let all = one.dropped.iter();
                all.map(|dropped| number([&one.name, &one.kind, &dropped.cause], dropped.count))
                    .collect::<Vec<_>>()
            };
            status.sinks.each.iter().flat_map(each).collect()
        },
    ),
    gauge(
        "detector_sink_behind_alerts",
        SINK,
        "Alerts of the spool from the first that a sink has not acknowledged on, wanted or not.",
        |status| of_sinks(status, |one| one.behind),
    ),
    gauge(
        "detector_sink_queued_bytes",
        SINK,
        "What waits in memory for a sink of this machine.",
        |status| of_sinks(status, |one| one.queued),
    ),
    gauge(
        "detector_sink_failing",
        SINK,
        "Whether a sink takes no alerts at the moment.",
        |status| of_sinks(status, |one| one.failing.is_some().into()),
    ),
    summary(
        "detector_sink_request_seconds",
        SINK,
        "Time that a request to a sink took, answered or not.",
        |status| {
            let each = status.sinks.each.iter();
            each.map(|one| times([&one.name, &one.kind], &one.requests))
                .collect()
        },
    ),
    gauge(
        "detector_spool_disk_bytes",
        &[],
        "Alerts that the spool keeps on disk.",
        |status| of_spool(status, |spool| spool.disk_bytes),
    ),
    gauge(
        "detector_spool_memory_bytes",
        &[],
        "Alerts that the spool keeps in memory.",
        |status| of_spool(status, |spool| spool.memory_bytes),
    ),
    gauge(
        "detector_spool_limit_bytes",
        &[],
        "What the spool may keep before the oldest of the least urgent are dropped.",
        |status| of_spool(status, |spool| spool.limit_bytes),
    ),
    gauge(
        "detector_spool_segments",
        &[],
        "Files, and runs of memory, of the spool.",
        |status| of_spool(status, |spool| spool.segments),
    ),
    gauge(
        "detector_spool_oldest_age_seconds",
        &[],
        "How long the oldest segment is there of which a sink lacks something.",
        |status| {
            let spool = status.sinks.spool.iter();
            spool
                .map(|spool| seconds([], spool.oldest_ms.saturating_mul(1_000_000)))
                .collect()
        },
    ),
    gauge(
        "detector_spool_failing",
        &[],
        "Whether the spool cannot be written, and alerts are kept in memory.",
        |status| of_spool(status, |spool| spool.failing.into()),
    ),
];

const SINK: &[&str] = &["sink", "kind"];

type Samples = fn(&Status) -> Vec<Sample>;

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    samples: Samples,
) -> Metric {
    Metric {
        name,
        kind: Kind::Counter,
        labels,
        help,
        samples,
    }
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    samples: Samples,
) -> Metric {
    Metric {
        kind: Kind::Gauge,
        ..counter(name, labels, help, samples)
    }
}

const fn summary(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
    samples: Samples,
) -> Metric {
    Metric {
        kind: Kind::Summary,
        ..counter(name, labels, help, samples)
    }
}

fn number<const N: usize>(labels: [&str; N], value: u64) -> Sample {
    Sample {
        labels: labels.map(str::to_owned).into(),
        value: value as f64,
        count: 0,
    }
}

fn seconds<const N: usize>(labels: [&str; N], ns: u64) -> Sample {
    Sample {
        value: ns as f64 / 1e9,
        ..number(labels, 0)
    }
}

fn times<const N: usize>(labels: [&str; N], times: &Times) -> Sample {
    Sample {
        count: times.count,
        ..seconds(labels, times.total_ns)
    }
}

fn subjects(status: &Status) -> impl Iterator<Item = &Subject> {
    status.probes.subjects.iter()
}

fn of_subjects(status: &Status, value: fn(&Subject) -> u64) -> Vec<Sample> {
    subjects(status)
        .map(|one| number([&one.name], value(one)))
        .collect()
}

fn of_sinks(status: &Status, value: fn(&Sink) -> u64) -> Vec<Sample> {
    let each = status.sinks.each.iter();
    each.map(|one| number([&one.name, &one.kind], value(one)))
        .collect()
}

fn of_spool(status: &Status, value: fn(&Spool) -> u64) -> Vec<Sample> {
    let spool = status.sinks.spool.iter();
    spool.map(|spool| number([], value(spool))).collect()
}

/// docs/metrics.md.
pub fn document() -> String {
    let mut text = String::from(PREFACE);
    for metric in &METRICS {
        let labels: Vec<String> = metric.labels.iter().map(|one| format!("`{one}`")).collect();
        text += &format!(
            "| `{}` | {} | {} | {} |\n",
            metric.name,
            metric.kind.as_str(),
            labels.join(", "),
            metric.help
        );
    }
    text
}

const PREFACE: &str = "\
# Metrics and health

`webserver.enabled: true` serves, on `webserver.listen_address` (127.0.0.1) and
`webserver.listen_port` (8765):

| path | answer |
|---|---|
| `/metrics` | the metrics below, in Prometheus' text format |
| `/healthz` | 200 while events are processed; 503 and why, if not for 10 seconds |
| `/readyz` | 200 if the probes of every subject told of the detector's connection to itself, and nobody changed them; 503 and what is missing |
| `/version` | what runs, as JSON |

The same values, for people or as JSON, without the server: `kubelet-detector status`, and `--watch`
to follow them. It reads the Unix socket that `run` and `record` serve for root alone
(/run/kubelet-detector/status.sock, or as `--status-socket` of `run`, `--socket` of `status` and the variable
`KUBELET_DETECTOR_STATUS` say).

Values are put together once a second. Counters begin at 0 with each run, but for those of records
that pinned probes made, which begin when the probes are attached. deploy/dashboard-queries.txt has a
query for each metric.

| name | type | labels | meaning |
|---|---|---|---|
";
