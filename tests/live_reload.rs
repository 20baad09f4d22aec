//! Rules, sinks, certificates and bounds that change while connects go on: every alert arrives, and each
//! mistake is told.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

#[expect(dead_code, reason = "the tests of sinks need more of it")]
#[path = "sinks/certificates.rs"]
mod certificates;
#[expect(dead_code, reason = "other live tests need more of it")]
mod daemon;
#[expect(dead_code, reason = "the tests of sinks need more of it")]
#[path = "sinks/peers.rs"]
mod peers;

use std::{
    collections::BTreeSet,
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use certificates::Certificates;
use daemon::Daemon;
use peers::{Lines, free_port, served};
use rustix::process::Signal;
use serde_json::Value;

const PORT: u16 = 23_280;
const RELOADS: usize = 100;
/// For all of them; `KUBELET_DETECTOR_FULL` asks for the longer.
const TIMES: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(60)];
/// Between two connects.
const PAUSE: Duration = Duration::from_millis(4);

/// The files of a node, as an administrator changes them.
struct Node {
    folder: tempfile::TempDir,
    certificates: Certificates,
    /// Where alerts go, and where nobody is.
    peer: u16,
    nobody: u16,
}

impl Node {
    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whole at every moment.
    fn put(&self, name: &str, text: &str) {
        let new = self.at("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.at(name)).unwrap();
    }

    fn rules(&self, more: &str) {
        let condition = format!("evt.type = connect and fd.sport = {PORT}");
        self.put(
            "rules.yaml",
            &format!("{}{more}", rule("Watched", &condition)),
        );
    }

    fn config(&self, sinks: &str, more: &str) {
        let (rules, spool) = (self.at("rules.yaml"), self.at("spool"));
        let text = format!(
            "rules_files: [{}]\nwatch_config_files: false\nspool: {{path: {}, max_bytes: {}MiB}}\n\
             sinks:\n{sinks}{more}\n",
            rules.display(),
            spool.display(),
            64 + more.len()
        );
        self.put("config.yaml", &text);
    }

    /// The sink that is to get everything.
    fn siem(&self, batch: usize) -> String {
        let file = |name: &str| self.at(name).display().to_string();
        format!(
            "  - {{name: siem, http: {{url: 'https://127.0.0.1:{}/lines', body: lines, \
             batch: {batch}, gzip: {}, tls: {{server_name: siem.example, ca: {}, certificate: {}, \
             key: {}}}}}}}\n",
            self.peer,
            batch.is_multiple_of(2),
            file("ca"),
            file("certificate"),
            file("key")
        )
    }

    /// As a certificate that is renewed.
    fn renew(&self, text: Option<&str>) {
        for (name, from) in [
            ("ca", &self.certificates.ca),
            ("certificate", &self.certificates.client),
            ("key", &self.certificates.client_key),
        ] {
            let right = fs::read_to_string(from).unwrap();
            self.put(name, text.unwrap_or(&right));
        }
    }

    /// All as it is at first.
    fn reset(&self) {
        self.renew(None);
        self.rules("");
        self.config(&self.siem(500), "");
    }

    /// What is valid changes something that is in force.
    fn change(&self, round: usize) {
        self.reset();
        let siem = self.siem(1 + round * 13 % 500);
        let local = |name: &str| {
            let path = self.at(name);
            format!("  - {{name: local, file: {{path: {}}}}}\n", path.display())
        };
        match round / 2 % 5 {
            0 => {
                let other = PORT + 1 + u16::try_from(round).unwrap();
                self.rules(&rule("Other", &format!("fd.sport = {other}")));
            }
            1 => self.config(&siem, ""),
            2 => {
                let url = format!("http://127.0.0.1:{}/", self.nobody);
                let more = format!("  - {{name: other, http: {{url: '{url}'}}}}\n");
                self.config(&(siem + &more), "");
            }
            3 => self.config(
                &(siem
                    + &local(if round.is_multiple_of(4) {
                        "one"
                    } else {
                        "two"
                    })),
                "",
            ),
            _ => self.config(&siem, "heartbeat: {interval: 1s}\n"),
        }
    }

    /// What is not.
    fn spoil(&self, round: usize) {
        self.reset();
        let siem = self.siem(500);
        match round / 2 % 5 {
            0 => self.rules(&rule("More", "fd.sprt = 1 and")),
            1 => self.config(&siem, "sinkz: []"),
            2 => self.renew(Some("no certificate")),
            3 => {
                let path = self.at("none/out");
                let local = format!("  - {{name: local, file: {{path: {}}}}}\n", path.display());
                self.config(&(siem + &local), "");
            }
            _ => fs::remove_file(self.at("key")).unwrap(),
        }
    }
}

fn rule(name: &str, condition: &str) -> String {
    format!(
        "- rule: {name}\n  desc: d\n  condition: {condition}\n  output: o\n  priority: NOTICE\n"
    )
}

/// Connects until it is told to end; how many there were.
fn connects(end: &AtomicBool) -> usize {
    let mut count = 0;
    while !end.load(Relaxed) {
        assert!(TcpStream::connect(("127.0.0.1", PORT)).is_err());
        count += 1;
        thread::sleep(PAUSE);
    }
    count
}

fn alerts(path: &Path) -> Vec<Value> {
    let lines = Lines::of(path.to_owned()).all();
    let alerts = lines.iter().map(|line| line.split_once(' ').unwrap().1);
    alerts
        .map(|alert| serde_json::from_str(alert).unwrap())
        .collect()
}

#[test]
fn a_hundred_reloads_under_load_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::new(&folder.path().join("tls"));
    let arguments = certificates.arguments();
    let Some((_server, peer)) = served(folder.path(), "http_contract.py", &arguments) else {
        return;
    };
    let node = Node {
        folder,
        certificates,
        peer,
        nobody: free_port(),
    };
    node.reset();
    let Some(mut daemon) = Daemon::start_configured(&node.at("config.yaml")) else {
        return;
    };
    let end = Arc::new(AtomicBool::new(false));
    let load = thread::spawn({
        let end = Arc::clone(&end);
        move || connects(&end)
    });
    let full = std::env::var_os("KUBELET_DETECTOR_FULL").is_some();
    let time = TIMES[usize::from(full)];
    let begun = Instant::now();
    for round in 0..RELOADS {
        let (outcome, change): (_, fn(&Node, usize)) = match round % 2 {
            0 => ("reloaded; ports watched", Node::change),
            _ => ("nothing is reloaded", Node::spoil),
        };
        change(&node, round);
        daemon.signal(Signal::HUP);
        assert!(daemon.wait_for(outcome), "{}", daemon.said);
        let next = time * u32::try_from(round + 1).unwrap() / u32::try_from(RELOADS).unwrap();
        thread::sleep(next.saturating_sub(begun.elapsed()));
    }
    let took = begun.elapsed();
    end.store(true, Relaxed);
    let connects = load.join().unwrap();
    node.reset();
    daemon.signal(Signal::HUP);
    assert!(daemon.wait_for("reloaded; ports watched"));
    let (_, summaries) = daemon.finish();
    for summary in summaries {
        assert_eq!(
            (summary.lost, summary.suppressed),
            (0, 0),
            "{}",
            summary.subject
        );
    }

    let arrived = alerts(&node.at("out"));
    let count = |rule: &str| arrived.iter().filter(|alert| alert["rule"] == rule).count();
    let sequences: BTreeSet<u64> = arrived
        .iter()
        .map(|alert| alert["sequence"].as_u64().unwrap())
        .collect();
    println!(
        "{RELOADS} reloads in {took:.1?}: {connects} connects, {} alerts of them arrived, {} \
         rejections told, {} alerts in all, {} twice",
        count("Watched"),
        count("Hot reload failure"),
        arrived.len(),
        arrived.len() - sequences.len()
    );
    assert_eq!(count("Watched"), connects);
    assert_eq!(count("Hot reload failure"), RELOADS / 2);
    // One run, and nothing of it is missing.
    assert!(sequences.iter().copied().eq(1..=arrived.len() as u64));
}
