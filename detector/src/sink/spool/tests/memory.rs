//! What is in memory, because there is no disk or it cannot be written.

use super::*;

/// The folder of a spool that cannot be written meanwhile, and is back then.
struct Blocked {
    path: PathBuf,
    away: PathBuf,
}

impl Blocked {
    fn new(path: &Path) -> Self {
        let away = path.with_extension("away");
        fs::rename(path, &away).unwrap();
        fs::write(path, "").unwrap();
        Self {
            path: path.to_owned(),
            away,
        }
    }

    fn unblock(self) {
        fs::remove_file(&self.path).unwrap();
        fs::rename(&self.away, &self.path).unwrap();
    }
}

#[test]
fn a_disk_that_cannot_be_written_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    let settings = settings(Some(&path));
    let (mut spool, mut reader) = open(&settings);
    fill(&mut spool, 1..=3, Priority::Error);
    assert_eq!(drain(&mut reader), [1, 2, 3]);
    spool.shared.lock().trim();
    let blocked = Blocked::new(&path);
    fill(&mut spool, 4..=6, Priority::Error);
    assert!(matches!(spool.news()[..], [News::DiskFails(_)]));
    assert_eq!(
        drain(&mut reader),
        [4, 5, 6],
        "sinks are served from memory"
    );
    fill(&mut spool, 7..=9, Priority::Error);
    blocked.unblock();
    spool.shared.lock().spill();
    assert_eq!(spool.news(), [News::DiskWorks]);
    drop((spool, reader));
    let (spool, mut reader) = open(&settings);
    assert_eq!(drain(&mut reader), [7, 8, 9]);
    assert_eq!(spool.news(), []);
}

#[test]
fn what_ends_with_the_detector_is_told_of_each_sink() {
    let (mut spool, mut readers) = Spool::open(
        &settings(None),
        &sinks(&["debug", "critical", "debug", "warning"]),
    )
    .unwrap();
    fill(&mut spool, 1..=20, Priority::Warning);
    assert_eq!(readers[0].batch(5, EVERY).len(), 5);
    readers[0].ack();
    drain(&mut readers[2]);
    let told = said(|| spool.finish());
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 2, "{told}");
    for (line, expected) in lines
        .iter()
        .zip(["sink=\"sink0\" count=15", "sink=\"sink3\" count=20"])
    {
        assert!(
            line.contains(" ERROR ") && line.contains(expected),
            "{line}"
        );
        assert!(line.contains("there is no `spool.path`"), "{line}");
    }
}

#[test]
fn what_an_earlier_run_could_not_write_is_not_told_as_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spool");
    let settings = settings(Some(&path));
    let (mut spool, reader) = open(&settings);
    fill(&mut spool, 1..=3, Priority::Warning);
    // What follows would be appended to a file that is open.
    spool.shared.lock().levels[Priority::Warning as usize].clear();
    let blocked = Blocked::new(&path);
    fill(&mut spool, 4..=9, Priority::Warning);
    drop(reader);
    let told = said(|| spool.finish());
    assert!(
        told.contains("count=6") && told.contains("cannot be written"),
        "{told}"
    );
    blocked.unblock();
    let reopened = |sequence| {
        let (mut spool, reader) = open(&settings);
        fill(&mut spool, sequence..=sequence, Priority::Warning);
        (spool, reader)
    };
    // It is still known where a run ends before the sink comes to it.
    drop(reopened(10));
    let (spool, mut reader) = reopened(11);
    assert_eq!(drain(&mut reader), [1, 2, 3, 10, 11]);
    assert_eq!(dropped(&spool), [("not_written", 6)]);
    drop((spool, reader));
    // What is damaged later is no part of it.
    drop(reopened(12));
    segments(&path)
        .iter()
        .for_each(|file| fs::remove_file(file).unwrap());
    let (spool, mut reader) = reopened(13);
    assert_eq!(drain(&mut reader), [13]);
    assert_eq!(dropped(&spool), [("spool_damaged", 1)]);
}
