//! What a pipeline counts is what went through it.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use detector::{
    alert::Priority,
    event::{Event, Item, Loss},
    host::Host,
    metrics::{Sink, Status},
    pipeline::{Pipeline, reload::Refused},
    rules::{self, Ruleset, SourceFile},
    sink::{Plan, Sinks, Style},
    trace,
};

const TRACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/traces/accept.jsonl");
const ROUNDS: u64 = 100;
/// For whatever is waited for.
const LONG: Duration = Duration::from_secs(30);

const RULES: &str = "\
- rule: Accepted
  desc: d
  condition: evt.type = accept
  output: o
  priority: NOTICE
- rule: Never
  desc: d
  condition: evt.type = accept and fd.sport = 1
  output: o
  priority: CRITICAL
- rule: Off
  desc: d
  condition: evt.type = accept
  output: o
  priority: INFO
  enabled: false
";

fn ruleset() -> Ruleset {
    let loaded = rules::load(&[SourceFile {
        name: "rules.yaml".to_owned(),
        text: RULES.to_owned(),
    }]);
    loaded.ruleset.unwrap()
}

fn events() -> Vec<Event> {
    let mut reader = trace::Reader::open(Path::new(TRACE), |file| Box::new(file)).unwrap();
    let mut events = Vec::new();
    while let Some(item) = reader.next_item().unwrap() {
        if let Item::Event(event) = item {
            events.push(event);
        }
    }
    events
}

/// A file, and a peer that is not there.
fn sinks(file: &Path) -> Sinks {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let settings = format!(
        r#"[{{"name": "log", "file": {{"path": {file:?}}}}},
            {{"name": "siem", "http": {{"url": "http://{address}/"}}}}]"#
    );
    let settings: Vec<_> = serde_json::from_str(&settings).unwrap();
    let spool = serde_json::from_str(r#"{"path": null}"#).unwrap();
    let host = Host::default();
    let plan = Plan::new(&settings, &spool, Style::default(), &host).unwrap();
    Sinks::new(plan, &host, false, Arc::default()).unwrap()
}

fn sink<'a>(status: &'a Status, name: &str) -> &'a Sink {
    let mut each = status.sinks.each.iter();
    each.find(|one| one.name == name).unwrap()
}

#[test]
fn a_pipeline_counts_what_goes_through_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("alerts");
    let host = Host {
        hostname: "node-1".to_owned(),
        kernel: "6.12.0".to_owned(),
        instance: uuid::Uuid::from_u128(7),
        ..Host::default()
    };
    let mut pipeline = Pipeline::new(ruleset(), host, sinks(&file));
    let before = pipeline.status();
    assert_eq!(
        (before.node.as_str(), before.instance.as_u128()),
        ("node-1", 7)
    );
    let known: Vec<(&str, u64)> = before
        .alerts
        .iter()
        .map(|one| (one.rule.as_str(), one.count))
        .collect();
    assert_eq!(known, [("Accepted", 0), ("Never", 0)], "rules in force");

    let events = events();
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for event in &events {
            let kind = serde_json::to_value(event.kind).unwrap();
            *kinds.entry(kind.as_str().unwrap().to_owned()).or_default() += 1;
            pipeline.process(Item::Event(event.clone())).unwrap();
        }
        pipeline.flush().unwrap();
    }
    let lost = |count| Loss {
        time_ns: 0,
        subject: "accept".to_owned(),
        cause: "ring_buffer_full".to_owned(),
        count,
    };
    pipeline.process(Item::Drop(lost(3))).unwrap();
    pipeline.process(Item::Drop(lost(4))).unwrap();
    pipeline.reload(ruleset());
    pipeline.not_reloaded(0, &Refused::one("no")).unwrap();
    pipeline.flush().unwrap();

    let count = |kind: &str| kinds.get(kind).copied().unwrap_or(0);
    let accepts = count("accept");
    assert!(accepts >= ROUNDS, "the trace has an accept");
    let alerts = accepts + 3;
    let begin = Instant::now();
    let status = loop {
        pipeline.news(0, false).unwrap();
        pipeline.flush().unwrap();
        let status = pipeline.status();
        // "Sink failure" is an alert too.
        let is_told = sink(&status, "log").delivered == alerts + 1;
        if is_told && sink(&status, "siem").behind == alerts + 1 {
            break status;
        }
        assert!(begin.elapsed() < LONG, "{:#?}", status.sinks);
        std::thread::sleep(Duration::from_millis(20));
    };
    for told in &status.events {
        assert_eq!(told.count, count(&told.kind), "{}", told.kind);
    }
    assert_eq!(status.events.len(), 4);
    let made: Vec<(&str, Priority, u64)> = status
        .alerts
        .iter()
        .map(|one| (one.rule.as_str(), one.priority, one.count))
        .collect();
    let expected = [
        ("Accepted", Priority::Notice, accepts),
        ("Events lost", Priority::Critical, 2),
        ("Hot reload failure", Priority::Critical, 1),
        ("Never", Priority::Critical, 0),
        ("Sink failure", Priority::Error, 1),
    ];
    assert_eq!(made, expected);
    let losses = status.probes.losses.iter().filter(|one| one.count > 0);
    let losses: Vec<_> = losses
        .map(|one| (one.subject.as_str(), one.cause.as_str(), one.count))
        .collect();
    assert_eq!(losses, [("accept", "ring_buffer_full", 7)]);
    assert_eq!((status.reloads.applied, status.reloads.refused), (1, 1));
    let sampled = events.len() as u64 * ROUNDS / 64;
    assert_eq!(status.evaluation.count, sampled);
    let mean = status.evaluation.total_ns / sampled;
    assert!((10..10_000_000).contains(&mean), "{mean} ns an event");

    let lines = fs::read_to_string(&file).unwrap().lines().count() as u64;
    assert_eq!(lines, sink(&status, "log").delivered);
    assert_eq!(sink(&status, "log").kind, "file");
    let siem = sink(&status, "siem");
    assert_eq!((siem.kind.as_str(), siem.delivered), ("http", 0));
    assert!(siem.failing.is_some() && siem.requests.count > 0 && siem.retried > 0);
    let causes: Vec<&str> = siem.dropped.iter().map(|one| one.cause.as_str()).collect();
    assert_eq!(
        causes,
        [
            "not_written",
            "spool_damaged",
            "spool_full",
            "too_long",
            "too_old"
        ]
    );
    let spool = status.sinks.spool.unwrap();
    assert!(spool.memory_bytes > 0 && spool.segments > 0, "{spool:?}");
    assert_eq!((spool.disk_bytes, spool.failing), (0, false));
    assert!(spool.limit_bytes > spool.memory_bytes);
    assert!(status.process.resident_bytes > 0);
}
