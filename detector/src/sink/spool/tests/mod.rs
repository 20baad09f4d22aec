mod folder;
mod memory;
mod room;

use std::{fs, os::unix::fs::FileExt as _, path::Path};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    alert::Priority,
    sink::{
        filter::Filter,
        settings::{Fsync, Size, SpoolSettings},
    },
};

const EVERY: usize = usize::MAX;

pub(super) fn settings(path: Option<&Path>) -> SpoolSettings {
    SpoolSettings {
        path: path.map(Path::to_owned),
        fsync: Fsync::Never,
        ..SpoolSettings::default()
    }
}

fn sinks(least: &[&str]) -> Vec<(String, Arc<Filter>)> {
    let sink = |(index, least): (usize, &&str)| {
        let text = format!(r#"{{"name": "sink{index}", "priority": "{least}"}}"#);
        let settings = serde_json::from_str(&text).unwrap();
        (format!("sink{index}"), Arc::new(Filter::new(&settings)))
    };
    least.iter().enumerate().map(sink).collect()
}

pub(super) fn open(settings: &SpoolSettings) -> (Spool, Reader) {
    let (spool, mut readers) = Spool::open(settings, &sinks(&["debug"])).unwrap();
    (spool, readers.remove(0))
}

fn append(spool: &mut Spool, sequence: u64, priority: Priority) {
    let message = format!("alert {sequence} {}", "x".repeat(100));
    let alert = Alert {
        sequence,
        instance: Uuid::nil(),
        time_ns: sequence,
        rule: "a rule",
        priority,
        source: "syscall",
        hostname: "node",
        message: &message,
        fields: &[],
        tags: &[],
        event: None,
    };
    assert!(spool.append(&alert));
}

pub(super) fn fill(spool: &mut Spool, range: std::ops::RangeInclusive<u64>, priority: Priority) {
    for sequence in range {
        append(spool, sequence, priority);
        spool.commit();
    }
}

/// Reads and acknowledges everything.
pub(super) fn drain(reader: &mut Reader) -> Vec<u64> {
    let mut found = Vec::new();
    loop {
        let batch = reader.batch(7, EVERY);
        if batch.is_empty() {
            return found;
        }
        found.extend(batch.iter().map(|kept| kept.sequence));
        reader.ack();
    }
}

fn dropped(spool: &Spool) -> Vec<(&'static str, u64)> {
    let counts = spool.news().into_iter().filter_map(|news| match news {
        News::Dropped { cause, count, .. } => Some((cause, count)),
        _ => None,
    });
    counts.collect()
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let found = segment::files(folder).unwrap();
    found.into_iter().map(|(_, path)| path).collect()
}

/// What the log says meanwhile.
fn said(meanwhile: impl FnOnce()) -> String {
    let log = tempfile::NamedTempFile::new().unwrap();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(log.reopen().unwrap())
        .finish();
    tracing::subscriber::with_default(subscriber, meanwhile);
    fs::read_to_string(&log).unwrap()
}

#[test]
fn alerts_of_all_priorities_come_in_the_order_in_which_they_were_made() {
    let (mut spool, mut readers) =
        Spool::open(&settings(None), &sinks(&["debug", "warning"])).unwrap();
    let priorities = [Priority::Debug, Priority::Critical, Priority::Warning];
    for sequence in 1..=30 {
        append(&mut spool, sequence, priorities[sequence as usize % 3]);
    }
    assert!(drain(&mut readers[0]).is_empty(), "nothing is committed");
    spool.commit();
    assert_eq!(drain(&mut readers[0]), (1..=30).collect::<Vec<_>>());
    let urgent: Vec<u64> = (1..=30).filter(|sequence| sequence % 3 != 0).collect();
    assert_eq!(drain(&mut readers[1]), urgent);
    assert_eq!(spool.behind()["sink1"], 0);
    assert_eq!(spool.news(), []);
}

#[test]
fn what_was_not_acknowledged_is_told_again_by_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(Some(folder.path()));
    let (mut spool, mut reader) = open(&settings);
    fill(&mut spool, 1..=10, Priority::Warning);
    assert_eq!(reader.batch(4, EVERY).len(), 4);
    reader.ack();
    assert_eq!(reader.batch(4, EVERY).len(), 4);
    drop((spool, reader));
    let (mut spool, mut reader) = open(&settings);
    fill(&mut spool, 11..=12, Priority::Warning);
    assert_eq!(drain(&mut reader), (5..=12).collect::<Vec<_>>());
    assert_eq!(spool.news(), []);
    assert!(matches!(
        Spool::open(&settings, &[]),
        Err(SpoolError::Locked { .. })
    ));
    drop((spool, reader));
    // Every sink has everything: the segments are gone, the numbers go on.
    let (mut spool, mut reader) = open(&settings);
    assert_eq!(segments(folder.path()), [] as [&Path; 0]);
    fill(&mut spool, 13..=13, Priority::Warning);
    assert_eq!(drain(&mut reader), [13]);
    assert_eq!(spool.news(), []);
}

/// Fifty alerts in several segments, changed while nobody has the spool open.
fn changed(change: impl Fn(&[PathBuf])) -> (Vec<u64>, u64) {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(Some(folder.path()));
    settings.max_bytes = Size(1 << 20);
    let (mut spool, reader) = open(&settings);
    fill(&mut spool, 1..=500, Priority::Warning);
    drop((spool, reader));
    let files = segments(folder.path());
    assert!(files.len() > 4, "{}", files.len());
    change(&files);
    let (mut spool, mut reader) = open(&settings);
    fill(&mut spool, 501..=510, Priority::Warning);
    let found = drain(&mut reader);
    let counts = dropped(&spool);
    assert!(counts.iter().all(|(cause, _)| *cause == "spool_damaged"));
    assert!(found.is_sorted() && found.ends_with(&[509, 510]));
    (found, counts.iter().map(|(_, count)| count).sum())
}

#[test]
fn what_is_changed_cut_off_or_removed_is_counted() {
    let (found, missing) = changed(|_| {});
    assert_eq!((found.len(), missing), (510, 0));
    let flip = |files: &[PathBuf]| {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&files[1])
            .unwrap();
        let mut byte = [0];
        file.read_at(&mut byte, 1000).unwrap();
        file.write_at(&[byte[0] ^ 4], 1000).unwrap();
    };
    let (found, missing) = changed(flip);
    assert_eq!((found.len(), missing), (509, 1));
    let cut = |files: &[PathBuf]| {
        let last = fs::OpenOptions::new()
            .write(true)
            .open(files.last().unwrap())
            .unwrap();
        last.set_len(last.metadata().unwrap().len() - 300).unwrap();
        let middle = fs::OpenOptions::new().write(true).open(&files[2]).unwrap();
        middle.set_len(100).unwrap();
    };
    let (found, missing) = changed(cut);
    assert!(missing > 2);
    assert_eq!(found.len() as u64 + missing, 510);
    for index in [0, 2, 4] {
        let (found, missing) = changed(|files| fs::remove_file(&files[index]).unwrap());
        assert!(missing > 10);
        assert_eq!(found.len() as u64 + missing, 510, "file {index}");
    }
    let all = |files: &[PathBuf]| {
        files.iter().for_each(|file| fs::remove_file(file).unwrap());
    };
    let (found, missing) = changed(all);
    assert_eq!((found.len(), missing), (10, 500));
}

#[derive(Debug, Clone)]
enum Step {
    Append(u8),
    Commit,
    Batch(usize, u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..8_u8).prop_map(Step::Append),
        2 => Just(Step::Commit),
        3 => (1..20_usize, 0..2_u8).prop_map(|(limit, sink)| Step::Batch(limit, sink)),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn every_sink_gets_what_it_wants_once(steps in prop::collection::vec(step(), 1..120)) {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(Some(folder.path()));
        let wants = [Priority::Debug, Priority::Error];
        let sinks = sinks(&["debug", "error"]);
        let (mut spool, mut readers) = Spool::open(&settings, &sinks).unwrap();
        let mut made: Vec<(u64, Priority)> = Vec::new();
        let mut got = [Vec::new(), Vec::new()];
        let mut committed = 0;
        for step in steps {
            match step {
                Step::Append(level) => {
                    let priority = Priority::ALL[level as usize];
                    made.push((made.len() as u64 + 1, priority));
                    append(&mut spool, made.len() as u64, priority);
                }
                Step::Commit => {
                    spool.commit();
                    committed = made.len();
                }
                Step::Batch(limit, sink) => {
                    let sink = sink as usize;
                    let batch = readers[sink].batch(limit, EVERY);
                    prop_assert!(batch.len() <= limit);
                    got[sink].extend(batch.iter().map(|kept| kept.sequence));
                    readers[sink].ack();
                }
                Step::Reopen => {
                    spool.commit();
                    committed = made.len();
                    drop((spool, readers));
                    (spool, readers) = Spool::open(&settings, &sinks).unwrap();
                }
            }
        }
        for (index, reader) in readers.iter_mut().enumerate() {
            got[index].extend(drain(reader));
            let wanted = made[..committed].iter().filter(|(_, priority)| *priority <= wants[index]);
            let wanted: Vec<u64> = wanted.map(|(sequence, _)| *sequence).collect();
            prop_assert_eq!(&got[index], &wanted);
        }
        prop_assert_eq!(spool.news(), []);
    }
}
