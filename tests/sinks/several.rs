//! Several sinks at once, of one kind and of several: each gets its own, as it wants it.

use std::collections::BTreeMap;

use detector::{
    alert::Priority,
    sink::{Format, kept::Kept},
};

use crate::{
    alerts::{ALERTS, Alerts, assert_same, bodies},
    delivery::{Delivery, settings},
    http::arrived,
    peers::{Lines, served, wait_until},
};

/// Which alerts a sink is to have, by other means than its filter.
type Wanted = fn(&Kept) -> bool;

#[test]
fn each_sink_gets_its_own_alerts() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    std::fs::create_dir(&one).unwrap();
    std::fs::create_dir(&other).unwrap();
    let Some((_one, first)) = served(&one, "http_contract.py", &[]) else {
        return;
    };
    let Some((_other, second)) = served(&other, "http_contract.py", &[]) else {
        return;
    };
    let files = folder.path().display();
    let yaml = format!(
        r"sinks:
- {{name: urgent, priority: critical, http: {{url: 'http://127.0.0.1:{first}/lines', body: lines}}}}
- {{name: cef, format: cef, rules: ['Kubelet *'], http: {{url: 'http://127.0.0.1:{first}/text', concurrency: 1}}}}
- {{name: tagged, tags: [T1613, odd], http: {{url: 'http://127.0.0.1:{second}/array', body: array, gzip: true}}}}
- {{name: none, rules: [Nothing], http: {{url: 'http://127.0.0.1:{second}/'}}}}
- {{name: all, format: ocsf, file: {{path: '{files}/all'}}}}
- {{name: ecs, format: ecs, priority: notice, rules: ['*port', 'Detector*'], tags: [network], file: {{path: '{files}/ecs'}}}}
- {{name: text, format: text, priority: warning, tags: [kubelet], file: {{path: '{files}/text'}}}}
"
    );
    let wanted: [(&str, Format, Wanted); 7] = [
        ("urgent", Format::Json, |kept| {
            kept.priority <= Priority::Critical
        }),
        ("cef", Format::Cef, |kept| kept.rule.starts_with("Kubelet ")),
        ("tagged", Format::Json, |kept| {
            kept.rule.starts_with("An odd") || kept.rule == "Kubelet read-only port"
        }),
        ("none", Format::Json, |_| false),
        ("all", Format::Ocsf, |_| true),
        ("ecs", Format::Ecs, |kept| {
            kept.priority <= Priority::Notice && kept.rule == "Kubelet read-only port"
        }),
        ("text", Format::Text, |kept| {
            kept.priority <= Priority::Warning && kept.rule == "Kubelet exec"
        }),
    ];
    let alerts = Alerts::new(ALERTS);
    let expected: BTreeMap<&str, Vec<Vec<u8>>> = wanted
        .into_iter()
        .map(|(name, format, wants)| {
            let its = alerts.all.iter().filter(|kept| wants(kept));
            (name, bodies(its, format, &alerts.host))
        })
        .collect();
    let mut delivery =
        Delivery::start(&settings(&yaml), &folder.path().join("spool"), &alerts.host);
    delivery.write(&alerts.all);
    let remote = ["urgent", "cef", "tagged", "none"];
    wait_until("every delivery", || {
        let mut all = delivery.all_stats();
        all.all(|(name, stats)| stats.delivered >= expected[name].len() as u64)
            .then_some(())
    });
    assert!(delivery.all_stats().map(|(name, _)| name).eq(remote));
    delivery.end();
    for (name, folder, path) in [
        ("urgent", &one, "/lines"),
        ("cef", &one, "/text"),
        ("tagged", &other, "/array"),
        ("none", &other, "/"),
    ] {
        println!("sink {name}: {} of {ALERTS} alerts", expected[name].len());
        assert_same(&arrived(folder, path), &expected[name]);
    }
    for name in ["all", "ecs", "text"] {
        let lines = Lines::of(folder.path().join(name)).all();
        let lines: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
        println!("sink {name}: {} of {ALERTS} alerts", lines.len());
        assert_same(&lines, &expected[name]);
    }
}
