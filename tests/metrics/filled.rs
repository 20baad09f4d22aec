//! A status in which nothing is empty.

use detector::{
    alert::Priority,
    metrics::{
        Alerts, Build, Dropped, Events, LetOff, Losses, Probes, Process, Reloads, Ring, Sink,
        Sinks, Spool, Status, Subject, Times,
    },
};
use uuid::Uuid;

/// In quotes, with a backslash, over two lines, with what stands for bytes that are no UTF-8, and with what
/// a terminal obeys.
pub(crate) const ODD: &str = "a \"rule\" \\ of\ntwo \u{fffd}\u{1b}[2J lines";

pub(crate) const REFUSED: &str = "connection refused \u{1b}]0;title\u{7}";

fn subject(name: &str, proven: bool, delivered: u64) -> Subject {
    Subject {
        name: name.to_owned(),
        mechanism: "tracepoint".to_owned(),
        place: "sock:inet_sock_set_state".to_owned(),
        proven,
        generated: delivered + 5,
        delivered,
        lost: 3,
        suppressed: 2,
    }
}

fn alerts(rule: &str, priority: Priority, source: &str, count: u64) -> Alerts {
    Alerts {
        rule: rule.to_owned(),
        priority,
        source: source.to_owned(),
        count,
    }
}

fn dropped(cause: &str, count: u64) -> Dropped {
    Dropped {
        cause: cause.to_owned(),
        count,
    }
}

fn sinks() -> Sinks {
    Sinks {
        each: vec![
            Sink {
                name: "log".to_owned(),
                kind: "file".to_owned(),
                delivered: 41,
                dropped: vec![dropped("queue_full", 0)],
                queued: 2048,
                ..Sink::default()
            },
            Sink {
                name: "siem".to_owned(),
                kind: "http".to_owned(),
                delivered: 30,
                refused: 1,
                retried: 12,
                dropped: vec![dropped("spool_full", 7), dropped("too_old", 0)],
                behind: 3,
                queued: 0,
                requests: Times {
                    count: 8,
                    total_ns: 20_000_000,
                },
                failing: Some(REFUSED.to_owned()),
            },
        ],
        spool: Some(Spool {
            disk_bytes: 4096,
            memory_bytes: 512,
            limit_bytes: 1 << 30,
            segments: 3,
            oldest_ms: 12_500,
            failing: true,
        }),
    }
}

pub(crate) fn status() -> Status {
    let event = |kind: &str, count| Events {
        kind: kind.to_owned(),
        count,
    };
    Status {
        build: Build {
            version: "1.2.3".to_owned(),
            target: "x86_64-unknown-linux-gnu".to_owned(),
            rustc: "1.95.0".to_owned(),
        },
        instance: Uuid::from_u128(0x1234),
        node: "node-1".to_owned(),
        kernel: "6.12.0".to_owned(),
        started_ns: 1_700_000_000_500_000_000,
        updated_ns: 1_700_003_600_750_000_000,
        events: vec![
            event("connect_attempt", 10),
            event("connect_outcome", 9),
            event("accept", u64::MAX),
            event("listen", 0),
        ],
        alerts: vec![
            alerts(ODD, Priority::Critical, "syscall", 4),
            alerts("Quiet rule", Priority::Notice, "syscall", 0),
            alerts("Heartbeat", Priority::Informational, "internal", 60),
        ],
        probes: Probes {
            subjects: vec![
                subject("connect", true, 10),
                subject("outcome", true, 9),
                subject("accept", false, 1 << 53),
                subject("listen", true, 0),
            ],
            faults: vec!["the probes told nothing: no accept".to_owned()],
            losses: vec![
                Losses {
                    subject: "accept".to_owned(),
                    cause: "ring_buffer_full".to_owned(),
                    count: 3,
                },
                Losses {
                    subject: "listen".to_owned(),
                    cause: "ring_buffer_full".to_owned(),
                    count: 0,
                },
            ],
            let_off: vec![LetOff {
                name: "kube-apiserver".to_owned(),
                connects: 12_345,
            }],
            ring: Ring {
                used: 65_536,
                size: 16 << 20,
            },
        },
        reloads: Reloads {
            applied: 2,
            refused: 1,
        },
        evaluation: Times {
            count: 4,
            total_ns: 5_000,
        },
        sinks: sinks(),
        process: Process {
            resident_bytes: 15 << 20,
            cpu_ns: 2_500_000_000,
        },
    }
}
