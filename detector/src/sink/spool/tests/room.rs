//! What goes when there is no more room.

use std::time::Duration;

use super::*;

#[test]
fn the_oldest_of_the_least_urgent_go_when_there_is_no_more_room() {
    for on_disk in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(on_disk.then_some(folder.path()));
        (settings.max_bytes, settings.memory_bytes) = (Size(200 << 10), Size(200 << 10));
        let (mut spool, mut reader) = open(&settings);
        fill(&mut spool, 1..=500, Priority::Critical);
        fill(&mut spool, 501..=2000, Priority::Notice);
        let held = spool.shared.lock().bytes(on_disk, |_| true);
        assert!(held <= 200 << 10, "{held}");
        let counts = dropped(&spool);
        let gone: u64 = counts.iter().map(|(_, count)| count).sum();
        assert!(counts.iter().all(|(cause, _)| *cause == "spool_full"));
        assert!(gone > 500);
        let expected: Vec<u64> = (1..=500).chain(501 + gone..=2000).collect();
        assert_eq!(drain(&mut reader), expected);
        assert_eq!(spool.news(), []);
    }
}

#[test]
fn what_a_sink_is_getting_is_not_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(Some(folder.path()));
    settings.max_bytes = Size(200 << 10);
    let (mut spool, mut reader) = open(&settings);
    fill(&mut spool, 1..=100, Priority::Notice);
    let batch = reader.batch(10, EVERY);
    assert_eq!(batch.len(), 10);
    fill(&mut spool, 101..=3000, Priority::Notice);
    let gone: u64 = dropped(&spool).iter().map(|(_, count)| count).sum();
    drop((spool, reader));
    // The daemon ended before the sink had the ten: they are there.
    let (spool, mut reader) = open(&settings);
    let found = drain(&mut reader);
    assert_eq!(found[..10], (1..=10).collect::<Vec<_>>());
    assert_eq!(found.len() as u64 + gone, 3000);
    assert_eq!(spool.news(), []);
}

#[test]
fn each_sink_counts_what_it_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(Some(folder.path()));
    settings.max_bytes = Size(200 << 10);
    let sinks = sinks(&["debug", "critical", "warning"]);
    let (mut spool, mut readers) = Spool::open(&settings, &sinks).unwrap();
    fill(&mut spool, 1..=300, Priority::Warning);
    assert_eq!(drain(&mut readers[2]).len(), 300);
    fill(&mut spool, 301..=3000, Priority::Warning);
    let news = spool.news();
    let count = |name: &str| -> u64 {
        let counts = news.iter().map(|news| match news {
            News::Dropped { sink, count, .. } if sink == name => *count,
            _ => 0,
        });
        counts.sum()
    };
    let counts = ["sink0", "sink1", "sink2"].map(count);
    assert_eq!(counts[1], 0, "it wants none of them");
    assert!(counts[0] > counts[2], "one has what was dropped first");
    assert_eq!(drain(&mut readers[0]).len() as u64 + counts[0], 3000);
    assert_eq!(drain(&mut readers[2]).len() as u64 + counts[2], 2700);
}

#[test]
fn in_a_burst_the_least_urgent_go_first() {
    let folder = tempfile::tempdir().unwrap();
    for path in [Some(folder.path()), None] {
        // A third of the alerts is more.
        let bound = Size(48 << 10);
        let settings = SpoolSettings {
            max_bytes: bound,
            memory_bytes: bound,
            ..settings(path)
        };
        let (mut spool, mut reader) = open(&settings);
        let priorities = [Priority::Debug, Priority::Warning, Priority::Emergency];
        for sequence in 1..=900 {
            append(&mut spool, sequence, priorities[sequence as usize % 3]);
        }
        spool.commit();
        let kept = drain(&mut reader);
        // What is left of the room, by segments, is for others.
        let urgent = kept.iter().filter(|sequence| *sequence % 3 == 2).count();
        assert!(urgent * 2 > kept.len() && urgent > 100, "{kept:?}");
        assert!(kept.iter().all(|sequence| sequence % 3 > 0), "{kept:?}");
        let lost = 900 - kept.len() as u64;
        assert_eq!(dropped(&spool), [("spool_full", lost)], "told at once");
    }
}

/// Nothing of what is there is new any more.
fn settle(spool: &Spool) {
    let mut state = spool.shared.lock();
    for segment in state.levels.iter_mut().flatten() {
        segment.changed -= Duration::from_secs(60);
    }
    state.trim();
}

#[test]
fn the_backlog_of_one_sink_costs_another_nothing() {
    const BOUND: u64 = 1 << 20;
    for on_disk in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = settings(on_disk.then_some(folder.path()));
        (settings.max_bytes, settings.memory_bytes) = (Size(BOUND), Size(BOUND));
        let (mut spool, mut readers) = Spool::open(&settings, &sinks(&["debug", "debug"])).unwrap();
        let mut up = readers.pop().unwrap();
        let mut sequence = 0;
        let mut make = |spool: &mut Spool, up: &mut Reader, priority, count| {
            for _ in 0..count {
                sequence += 1;
                append(spool, sequence, priority);
                spool.commit();
                assert!(spool.shared.lock().bytes(on_disk, |_| true) <= BOUND);
                // Behind by as much as it gets at once.
                if sequence % 200 == 0 {
                    drain(up);
                }
            }
            drain(up);
        };
        make(&mut spool, &mut up, Priority::Warning, 6000);
        settle(&spool);
        let urgent = spool.shared.lock().levels[Priority::Warning as usize].len();
        for _ in 0..10 {
            make(&mut spool, &mut up, Priority::Informational, 400);
            settle(&spool);
        }
        let of_other = spool.news().into_iter().filter_map(|news| match news {
            News::Dropped { sink, count, .. } if sink == "sink1" => Some(count),
            _ => None,
        });
        assert_eq!(of_other.sum::<u64>(), 0);
        let left = &spool.shared.lock().levels[Priority::Warning as usize];
        assert_eq!(left.len(), urgent, "what is less urgent goes first");
    }
}
