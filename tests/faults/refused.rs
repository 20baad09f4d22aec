//! A peer that refuses every alert: that is told once, and what tells it is refused too.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use detector::{
    event::Item,
    host::Host,
    metrics::Sink,
    pipeline::Pipeline,
    rules::{self, SourceFile},
    sink::{Format, Plan, Sinks, Style},
    trace,
};
use serde_json::{Value, json};

use crate::server::{Manner, Server};

const TRACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/traces/accept.jsonl");
const RULE: &str =
    "{rule: Accepted, desc: d, condition: evt.type = accept, output: o, priority: NOTICE}";
/// For whatever is waited for.
const LONG: Duration = Duration::from_secs(30);

struct Run {
    pipeline: Pipeline<Sinks>,
    file: std::path::PathBuf,
}

impl Run {
    fn start(folder: &Path, port: u16) -> Self {
        let file = folder.join("alerts");
        let settings = json!([
            {"name": "log", "file": {"path": file}},
            {"name": "siem", "http": {"url": format!("http://127.0.0.1:{port}/")}},
        ]);
        let settings: Vec<_> = serde_json::from_value(settings).unwrap();
        let spool = serde_json::from_value(json!({"path": folder.join("spool")})).unwrap();
        let (host, style) = (
            Host::default(),
            Style {
                format: Format::Json,
                ..Style::default()
            },
        );
        let plan = Plan::new(&settings, &spool, style, &host).unwrap();
        let sinks = Sinks::new(plan, &host, false, Arc::default()).unwrap();
        let loaded = rules::load(&[SourceFile {
            name: "rules.yaml".to_owned(),
            text: format!("[{RULE}]"),
        }]);
        Self {
            pipeline: Pipeline::new(loaded.ruleset.unwrap(), host, sinks),
            file,
        }
    }

    /// How many alerts there are in all.
    fn match_some(&mut self) -> u64 {
        let mut reader = trace::Reader::open(Path::new(TRACE), |file| Box::new(file)).unwrap();
        while let Some(item) = reader.next_item().unwrap() {
            if let Item::Event(event) = item {
                self.pipeline.process(Item::Event(event)).unwrap();
            }
        }
        self.pipeline.flush().unwrap();
        self.made()
    }

    fn made(&self) -> u64 {
        self.pipeline
            .status()
            .alerts
            .iter()
            .map(|one| one.count)
            .sum()
    }

    fn look(&mut self, last: bool) {
        self.pipeline.news(0, last).unwrap();
        self.pipeline.flush().unwrap();
    }

    /// Until the file has so many alerts, and the peer has refused as many.
    fn wait(&mut self, count: u64) {
        let begin = Instant::now();
        loop {
            self.look(false);
            let status = self.pipeline.status();
            let sink = |name: &str| -> Sink {
                let mut each = status.sinks.each.iter();
                each.find(|one| one.name == name).unwrap().clone()
            };
            if (sink("log").delivered, sink("siem").refused) == (count, count) {
                return;
            }
            assert!(begin.elapsed() < LONG, "not {count}: {:#?}", status.sinks);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn written(&self, rule: &str) -> Vec<Value> {
        let text = fs::read_to_string(&self.file).unwrap();
        let alerts = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        alerts
            .filter(|alert| alert["rule"] == rule)
            .map(|mut alert| alert["output_fields"].take())
            .collect()
    }
}

#[test]
fn a_refusal_is_told_and_does_not_feed_itself() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Manner::Answers(400, None), 0, None);
    let mut run = Run::start(folder.path(), server.address.port());
    let matched = run.match_some();
    // With the alert that tells of it, which is refused as well.
    run.wait(matched + 1);
    let told = run.written("Alerts dropped");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (&told[0]["cause"], &told[0]["sink"]),
        (&json!("refused"), &json!("siem"))
    );
    let first = told[0]["count"].as_u64().unwrap();
    assert!((1..=matched).contains(&first));

    // No more is made of what is the detector's own.
    run.pipeline.heartbeat(0, false).unwrap();
    run.wait(matched + 2);
    assert_eq!(run.made(), matched + 2);
    // At the end the rest is told, without the minute.
    run.look(true);
    let rest = u64::from(first < matched);
    run.wait(matched + 2 + rest);
    run.look(true);
    run.look(true);
    assert_eq!(run.made(), matched + 2 + rest);
    run.pipeline.heartbeat(0, true).unwrap();
    run.wait(matched + 3 + rest);
    let heartbeats = run.written("Heartbeat");
    assert_eq!(
        heartbeats[1]["dropped"],
        matched + 2 + rest,
        "all that is refused"
    );
}
