//! Every recorded trace through the real binary: its alerts are those of `tests/snapshots`
//! (`cargo xtask bless` writes them), and every shipped rule has a trace that fires it and one of
//! its kind that does not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const TRACES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/traces");
const SNAPSHOTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/snapshots");

fn traces() -> Vec<PathBuf> {
    let mut traces: Vec<PathBuf> = fs::read_dir(TRACES)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    traces.sort();
    assert!(!traces.is_empty());
    traces
}

fn stdout(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_kubelet-detector"))
        .args(args)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

fn replay(trace: &Path, format: &str) -> String {
    stdout(&["replay", "--format", format, trace.to_str().unwrap()])
}

#[test]
fn traces_give_the_alerts_of_their_snapshots() {
    let mut wrong = Vec::new();
    for trace in traces() {
        let name = trace.file_name().unwrap().to_str().unwrap();
        let name = name.split('.').next().unwrap();
        for (format, end) in [("text", "txt"), ("json", "json")] {
            let found = replay(&trace, format);
            assert_eq!(found, replay(&trace, format), "replays differ");
            let path = Path::new(SNAPSHOTS).join(format!("{name}.{end}"));
            if std::env::var_os("BLESS").is_some() {
                fs::create_dir_all(SNAPSHOTS).unwrap();
                fs::write(&path, &found).unwrap();
            } else if fs::read_to_string(&path).unwrap_or_default() != found {
                wrong.push(format!("{}\n{found}", path.display()));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "not as in the snapshots; if that is right, `cargo xtask bless`:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_shipped_rule_has_a_trace_that_fires_it_and_one_that_does_not() {
    let listed = stdout(&["rules", "list"]);
    let mut fired: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for line in listed.lines() {
        // After the state and the priority.
        fired.insert(line.get(23..).unwrap(), (0, 0));
    }
    for trace in traces() {
        let alerts = replay(&trace, "json");
        let kinds = fs::read_to_string(&trace).unwrap();
        for (rule, (with, without)) in &mut fired {
            let kind = match *rule {
                "Unauthorized Kubelet API Access" => "\"connect_attempt\"",
                "Kubelet API Accepted By Unexpected Process" => "\"accept\"",
                "Unexpected Listener On Kubelet Port" => "\"listen\"",
                other => panic!("say here which kind of event the rule `{other}` is about"),
            };
            if !kinds.contains(kind) {
                continue;
            }
            if alerts.contains(&format!("\"rule\":\"{rule}\"")) {
                *with += 1;
            } else {
                *without += 1;
            }
        }
    }
    for (rule, (with, without)) in fired {
        assert!(with > 0, "no trace fires `{rule}`");
        assert!(without > 0, "no trace of its kind leaves `{rule}` silent");
    }
}
