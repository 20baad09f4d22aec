//! What can happen between the detector and a SIEM, one row each: how many alerts were made, how many
//! arrived, how often one came again, and how many are missing without having been counted: none.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its table"
)]

#[path = "faults/refused.rs"]
mod refused;
#[path = "faults/server.rs"]
#[expect(dead_code, reason = "tests/live_faults.rs uses the rest of it")]
mod server;
#[path = "faults/source.rs"]
mod source;

use std::{
    fs::{self, OpenOptions},
    io::{BufRead as _, BufReader},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use detector::alert::Priority;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::json;

use server::{Manner, Server};
use source::{Source, http, spool};

const RATE: u32 = 500;
const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Row {
    fault: &'static str,
    made: u64,
    arrived: u64,
    again: u64,
    /// By the receiver, and kept as dead letters.
    refused: u64,
    /// Counted and told by the detector.
    dropped: u64,
}

impl Row {
    fn new(fault: &'static str, source: &Source, server: &Server) -> Self {
        let (arrived, again) = server.counts();
        Self {
            fault,
            made: source.made,
            arrived,
            again,
            refused: source.refused(),
            dropped: source.dropped,
        }
    }

    fn lost(&self) -> i64 {
        let known = self.arrived + self.refused + self.dropped;
        self.made as i64 - known as i64
    }
}

/// How long a peer is down: a minute where the whole is asked for.
fn outage() -> Duration {
    match std::env::var_os("KUBELET_DETECTOR_FULL") {
        Some(_) => 60 * SECOND,
        None => 10 * SECOND,
    }
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/")
}

/// A source before a server that behaves in one way for a time, and then takes everything.
fn misbehaves(fault: &'static str, manner: Manner, time: Duration) -> Row {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(manner, 0, None);
    let sink = http(&url(server.address.port()), &json!({}));
    let mut source = Source::new(sink, spool(folder.path(), &json!({})));
    source.feed(RATE, time);
    server.behave(Manner::Takes);
    source.feed(RATE, SECOND);
    source.drain(|| server.counts().0);
    source.close();
    Row::new(fault, &source, &server)
}

fn down_at_start() -> Row {
    let folder = tempfile::tempdir().unwrap();
    let port = Server::free_port();
    let mut source = Source::new(
        http(&url(port), &json!({})),
        spool(folder.path(), &json!({})),
    );
    source.feed(RATE, 5 * SECOND);
    let server = Server::start(Manner::Takes, port, None);
    source.feed(RATE, SECOND);
    source.drain(|| server.counts().0);
    source.close();
    Row::new("peer down at start", &source, &server)
}

fn down_meanwhile() -> Row {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Manner::Takes, 0, None);
    let port = server.address.port();
    let mut source = Source::new(
        http(&url(port), &json!({})),
        spool(folder.path(), &json!({})),
    );
    source.feed(RATE, SECOND);
    let (before, _) = server.counts();
    let server = server.down(|| source.feed(RATE, outage()));
    source.feed(RATE, SECOND);
    source.drain(|| server.counts().0);
    source.close();
    assert!(before > 0);
    Row::new("peer down meanwhile", &source, &server)
}

fn slow() -> Row {
    let time = Duration::from_millis(100);
    misbehaves("100 ms a request", Manner::Slow(time), 5 * SECOND)
}

fn refuses_some() -> Row {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Manner::Refuses, 0, None);
    let sink = http(&url(server.address.port()), &json!({"body": "one"}));
    let mut source = Source::new(sink, spool(folder.path(), &json!({})));
    source.feed(RATE, 2 * SECOND);
    source.drain(|| server.counts().0);
    let row = Row::new("400 of every tenth", &source, &server);
    source.close();
    let dead = fs::read_to_string(folder.path().join("dead/siem.jsonl")).unwrap();
    let dead: Vec<serde_json::Value> = dead
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(dead.len() as u64, row.made / 10);
    assert_eq!(row.refused, row.made / 10);
    assert_eq!(source.told_refused, row.refused);
    for letter in dead {
        assert_eq!(letter["reason"], "HTTP 400");
        assert_eq!(letter["alert"]["sequence"].as_u64().unwrap() % 10, 0);
    }
    row
}

/// A server's certificate until that year, and the same as PEM.
fn certificate(year: i32) -> (Arc<ServerConfig>, String) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(year, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], der)
        .unwrap();
    (Arc::new(config), certificate.pem())
}

fn certificate_expired() -> Row {
    let folder = tempfile::tempdir().unwrap();
    let (expired, old) = certificate(2021);
    let (valid, new) = certificate(2100);
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, old + &new).unwrap();
    let server = Server::start(Manner::Takes, 0, Some(expired));
    let url = format!("https://localhost:{}/", server.address.port());
    let sink = http(&url, &json!({"tls": {"ca": ca}}));
    let mut source = Source::new(sink, spool(&folder.path().join("spool"), &json!({})));
    source.feed(RATE, 3 * SECOND);
    assert_eq!(server.counts(), (0, 0));
    server.renew(valid);
    source.drain(|| server.counts().0);
    source.close();
    Row::new("certificate expired", &source, &server)
}

/// The daemon is killed twenty times, and starts again.
fn killed() -> Row {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(Manner::Takes, 0, None);
    let here = std::env::current_exe().unwrap();
    let feeder = here
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/feeder");
    let (mut kept, mut chance) = (Vec::new(), 7_u64);
    for round in 1..=20_u64 {
        let mut child = Command::new(&feeder)
            .arg(folder.path())
            .arg(url(server.address.port()))
            .arg((round * 1_000_000).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let wait = Duration::from_millis(20 + (chance >> 33) % 400);
        // Begins when the first alert is kept.
        let mut end = None;
        for line in lines {
            let Some(sequence) = line.ok().and_then(|line| line.parse::<u64>().ok()) else {
                break;
            };
            kept.push(sequence);
            if *end.get_or_insert_with(|| Instant::now() + wait) < Instant::now() {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
    }
    // What the last one left is told by the next.
    let sink = http(&url(server.address.port()), &json!({}));
    let mut source = Source::new(sink, spool(folder.path(), &json!({})));
    let arrived = || {
        let times = server.times();
        kept.iter()
            .filter(|sequence| times.contains_key(sequence))
            .count() as u64
    };
    source.made = kept.len() as u64;
    source.drain(arrived);
    source.close();
    Row {
        arrived: arrived(),
        ..Row::new("SIGKILL at 20 moments", &source, &server)
    }
}

/// `None` where nothing can be mounted.
fn disk_full() -> Option<Row> {
    let folder = tempfile::tempdir().unwrap();
    let size = c"size=512k,mode=700";
    mount(
        "kubelet-detector",
        folder.path(),
        "tmpfs",
        MountFlags::empty(),
        size,
    )
    .ok()?;
    let port = Server::free_port();
    let mut source = Source::new(
        http(&url(port), &json!({})),
        spool(folder.path(), &json!({})),
    );
    source.feed(RATE, 5 * SECOND);
    assert!(source.disk_failed);
    let server = Server::start(Manner::Takes, port, None);
    source.feed(RATE, SECOND);
    source.drain(|| server.counts().0);
    source.close();
    unmount(folder.path(), UnmountFlags::DETACH).unwrap();
    Some(Row::new("disk full", &source, &server))
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let mut found: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "spool"))
        .collect();
    found.sort();
    found
}

/// Files of the spool are changed while nobody has it open.
fn changed(fault: &'static str, change: impl Fn(&[PathBuf])) -> Row {
    let folder = tempfile::tempdir().unwrap();
    let port = Server::free_port();
    let spool = spool(folder.path(), &json!({"max_bytes": "4MiB"}));
    let mut source = Source::new(http(&url(port), &json!({})), spool);
    source.feed(RATE, 2 * SECOND);
    source.close();
    let files = segments(folder.path());
    assert!(files.len() > 3, "{files:?}");
    change(&files);
    let server = Server::start(Manner::Takes, port, None);
    source.open();
    source.drain(|| server.counts().0);
    source.close();
    let row = Row::new(fault, &source, &server);
    assert!(row.dropped > 0);
    row
}

fn truncated() -> Row {
    changed("spool file truncated", |files| {
        let file = OpenOptions::new().write(true).open(&files[1]).unwrap();
        file.set_len(1000).unwrap();
    })
}

fn bit_flipped() -> Row {
    let row = changed("spool file bit-flipped", |files| {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&files[1])
            .unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, 5000).unwrap();
        file.write_all_at(&[byte[0] ^ 1], 5000).unwrap();
    });
    assert_eq!(row.dropped, 1);
    row
}

fn deleted() -> Row {
    changed("spool file deleted", |files| {
        fs::remove_file(&files[2]).unwrap()
    })
}

/// More than the spool may hold: the least urgent go, and are counted.
fn full() -> Row {
    let folder = tempfile::tempdir().unwrap();
    let port = Server::free_port();
    let spool = spool(folder.path(), &json!({"max_bytes": "256KiB"}));
    let mut source = Source::new(http(&url(port), &json!({})), spool);
    for index in 0..5000 {
        let urgent = index % 10 == 0;
        source.make(if urgent {
            Priority::Critical
        } else {
            Priority::Notice
        });
        source.flush();
    }
    let server = Server::start(Manner::Takes, port, None);
    source.drain(|| server.counts().0);
    source.close();
    let times = server.times();
    let urgent = (1..=5000)
        .step_by(10)
        .filter(|sequence| times.contains_key(sequence));
    assert_eq!(urgent.count(), 500, "none of the urgent went");
    let row = Row::new("cap of the spool reached", &source, &server);
    assert!(row.dropped > 1000);
    row
}

#[test]
fn nothing_is_lost_in_silence() {
    let answers = |status, after| Manner::Answers(status, after);
    let rows: Vec<Row> = std::thread::scope(|scope| {
        let runs: Vec<Box<dyn FnOnce() -> Option<Row> + Send>> = vec![
            Box::new(|| Some(down_at_start())),
            Box::new(|| Some(down_meanwhile())),
            Box::new(|| Some(slow())),
            Box::new(|| Some(misbehaves("resets mid-request", Manner::Resets, 3 * SECOND))),
            Box::new(|| {
                Some(misbehaves(
                    "429, Retry-After 1",
                    answers(429, Some(1)),
                    3 * SECOND,
                ))
            }),
            Box::new(|| Some(misbehaves("503", answers(503, None), 3 * SECOND))),
            Box::new(|| Some(refuses_some())),
            Box::new(|| Some(misbehaves("half-closes", Manner::HalfCloses, 3 * SECOND))),
            Box::new(|| Some(certificate_expired())),
            Box::new(|| Some(killed())),
            Box::new(disk_full),
            Box::new(|| Some(truncated())),
            Box::new(|| Some(bit_flipped())),
            Box::new(|| Some(deleted())),
            Box::new(|| Some(full())),
        ];
        let threads: Vec<_> = runs.into_iter().map(|run| scope.spawn(run)).collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap())
            .collect()
    });
    if !rows.iter().any(|row| row.fault == "disk full") {
        println!("skipped: a disk cannot be filled (needs root to mount one)");
    }
    println!(
        "{:<26}{:>8}{:>9}{:>7}{:>9}{:>9}{:>6}",
        "fault", "made", "arrived", "again", "refused", "dropped", "lost"
    );
    for row in &rows {
        let Row {
            fault,
            made,
            arrived,
            again,
            refused,
            dropped,
        } = row;
        let lost = row.lost();
        println!("{fault:<26}{made:>8}{arrived:>9}{again:>7}{refused:>9}{dropped:>9}{lost:>6}");
    }
    assert!(rows.iter().all(|row| row.lost() == 0));
}
