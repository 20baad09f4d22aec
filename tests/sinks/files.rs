//! Files that are turned over and moved while alerts are written.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use detector::sink::{Format, settings::SinkSettings};

use crate::{
    alerts::{ALERTS, Alerts, assert_same},
    delivery::{Delivery, documented},
    peers::{Lines, wait_until},
};

const MAX_BYTES: u64 = 256 << 10;
const MAX_AGE: Duration = Duration::from_millis(20);
const TURNS: usize = 10;

/// The file and its older ones, oldest first.
fn turned_over(path: &Path) -> Vec<PathBuf> {
    let older = (1..).map(|number| path.with_extension(format!("jsonl.{number}")));
    let mut all: Vec<PathBuf> = older.take_while(|path| path.exists()).collect();
    all.reverse();
    all.push(path.to_owned());
    all
}

fn lines(paths: &[PathBuf]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for path in paths {
        let text = fs::read_to_string(path).unwrap();
        assert!(
            text.is_empty() || text.ends_with('\n'),
            "{} ends within a line",
            path.display()
        );
        assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o600);
        let lines = Lines::of(path.clone()).all();
        all.extend(lines.into_iter().map(String::into_bytes));
    }
    all
}

fn file(folder: &Path, more: &str) -> (PathBuf, SinkSettings) {
    let path = folder.join("alerts.jsonl");
    let words = [
        (
            "/var/log/kubelet-detector/alerts.jsonl",
            path.to_str().unwrap(),
        ),
        ("max_bytes: 100MiB", more),
        ("keep: 5", "keep: 100000"),
    ];
    let sink = documented("file", &words);
    (path, sink)
}

#[test]
fn a_file_is_turned_over_by_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let (path, sink) = file(folder.path(), &format!("max_bytes: {MAX_BYTES}"));
    let alerts = Alerts::new(ALERTS);
    let mut delivery = Delivery::start(&[sink], &folder.path().join("spool"), &alerts.host);
    delivery.write(&alerts.all);
    delivery.end();
    let files = turned_over(&path);
    let bodies = alerts.bodies(Format::Json);
    assert_same(&lines(&files), &bodies);
    let largest = files
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .max()
        .unwrap();
    assert!(largest <= MAX_BYTES, "{largest}");
    let bytes: u64 = bodies.iter().map(|body| body.len() as u64 + 1).sum();
    assert!(files.len() as u64 >= bytes.div_ceil(MAX_BYTES));
    println!(
        "sink file: {ALERTS} alerts made, {} read in {} files",
        bodies.len(),
        files.len()
    );
}

#[test]
fn a_file_is_turned_over_by_its_age() {
    let folder = tempfile::tempdir().unwrap();
    let (path, sink) = file(folder.path(), "max_bytes: 0\n      max_age: 20ms");
    let alerts = Alerts::new(ALERTS);
    let mut delivery = Delivery::start(&[sink], &folder.path().join("spool"), &alerts.host);
    let mut written = 0;
    for some in alerts.all.chunks(ALERTS / TURNS) {
        delivery.write(some);
        written += some.len();
        wait_until("a file that has everything and is old", || {
            let age = fs::metadata(&path)
                .ok()?
                .created()
                .unwrap()
                .elapsed()
                .unwrap();
            let count: usize = turned_over(&path)
                .into_iter()
                .map(|path| Lines::of(path).count())
                .sum();
            (age > MAX_AGE && count == written).then_some(())
        });
    }
    delivery.end();
    let files = turned_over(&path);
    assert!(files.len() >= TURNS, "{}", files.len());
    assert_same(&lines(&files), &alerts.bodies(Format::Json));
}

/// As logrotate does with `create` and a signal.
#[test]
fn a_file_that_is_moved_is_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (path, sink) = file(folder.path(), "max_bytes: 0");
    let alerts = Alerts::new(ALERTS);
    let mut delivery = Delivery::start(&[sink], &folder.path().join("spool"), &alerts.host);
    let mut files = Vec::new();
    for (number, some) in alerts.all.chunks(ALERTS / 20).enumerate() {
        delivery.write(some);
        wait_until("a file that is opened anew", || path.exists().then_some(()));
        let moved = folder.path().join(format!("moved.{number:02}"));
        fs::rename(&path, &moved).unwrap();
        files.push(moved);
        delivery.reopen();
    }
    delivery.end();
    if path.exists() {
        files.push(path);
    }
    let read = lines(&files);
    assert_same(&read, &alerts.bodies(Format::Json));
}
