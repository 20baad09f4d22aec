//! Of alike alerts that are left out, the count goes where they would have gone.

use std::{fs, path::Path, time::Duration};

use detector::{
    host::Host,
    pipeline::{Pipeline, noise::Limit},
    sink::{Format, Plan, Sinks, Style, settings::SpoolSettings},
    trace,
};
use serde_json::Value;

use crate::{delivery::settings, loaded::ruleset};

const TRACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/traces/accept.jsonl");
const RULE: &str = "[{rule: Accepted, desc: d, condition: evt.type = accept, output: o, \
                     priority: NOTICE, tags: [mine]}]";
/// The trace is judged so often: the same processes, once more.
const TIMES: u32 = 3;

/// What each of two sinks gets: one that wants the rule, and one that does not.
fn told(limit: Option<Limit>) -> [Vec<Value>; 2] {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let yaml = format!(
        "sinks:\n\
         - {{name: mine, priority: notice, rules: [Accepted], tags: [mine], file: {{path: '{}'}}}}\n\
         - {{name: others, tags: [others], file: {{path: '{}'}}}}\n",
        at("mine").display(),
        at("others").display()
    );
    let (host, style) = (
        Host::default(),
        Style {
            format: Format::Json,
            ..Style::default()
        },
    );
    let plan = Plan::new(&settings(&yaml), &SpoolSettings::default(), style, &host).unwrap();
    let sinks = Sinks::new(plan, &host, false, Default::default()).unwrap();
    let mut pipeline = Pipeline::new(ruleset(&[RULE]), host, sinks).limit(limit);
    for _ in 0..TIMES {
        let mut reader = trace::Reader::open(Path::new(TRACE), |file| Box::new(file)).unwrap();
        while let Some(item) = reader.next_item().unwrap() {
            pipeline.process(item).unwrap();
        }
    }
    pipeline.finish().unwrap();
    ["mine", "others"].map(|name| {
        let text = fs::read_to_string(at(name)).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    })
}

#[test]
fn the_count_of_suppressed_alerts_goes_where_they_would_have_gone() {
    let [all, others] = told(None);
    assert!(all.iter().all(|alert| alert["rule"] == "Accepted"));
    assert!(others.is_empty());
    let limit = Limit {
        alerts: 1,
        period: Duration::from_secs(3600),
    };
    let [limited, others] = told(Some(limit));
    assert!(others.is_empty());
    let (counts, told): (Vec<&Value>, Vec<&Value>) = limited
        .iter()
        .partition(|alert| alert["rule"] == "Alerts suppressed");
    let suppressed: u64 = counts
        .iter()
        .map(|alert| alert["output_fields"]["count"].as_u64().unwrap())
        .sum();
    assert!(suppressed > 0 && !told.is_empty());
    assert_eq!(told.len() as u64 + suppressed, all.len() as u64);
    for alert in counts {
        assert_eq!(alert["priority"], "Notice");
        assert_eq!(alert["output_fields"]["rule"], "Accepted");
    }
}
