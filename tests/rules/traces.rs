//! Traces: what one keeps is what was written to it, and older ones are read.

use std::{collections::BTreeSet, path::Path};

use detector::{
    event::{Asked, Creator, Item, Kind, Maker, Names, Part, Who},
    trace,
};

use crate::{details::detailed, events::event, fields::host};

fn written(path: &Path, items: &[Item], asked: &Asked) {
    let mut writer = trace::Writer::create(path, &host(), asked).unwrap();
    for item in items {
        writer.write(item).unwrap();
    }
    writer.finish().unwrap();
}

fn read(path: &Path) -> (Vec<Item>, Asked) {
    let mut reader = trace::Reader::open(path, |file| Box::new(file)).unwrap();
    let mut items = Vec::new();
    while let Some(item) = reader.next_item().unwrap() {
        items.push(item);
    }
    (items, reader.asked)
}

/// In both forms; what was told is what a replay is told.
#[test]
fn a_trace_keeps_what_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let detailed = detailed();
    let mut named = detailed.clone();
    named.names = Some(Box::new(Names {
        client: Vec::new(),
        server: vec!["api".to_owned()],
    }));
    let mut passed = event(Kind::ConnectAttempt);
    passed.creator = Some(Creator {
        uid: 1,
        who: Who::Other(Box::new(Maker {
            pid: 2,
            start_time_ns: 3,
            comm: "maker".to_owned(),
            path: "/maker".to_owned(),
        })),
    });
    passed.original = Some(passed.socket.server);
    let items = [detailed, named, passed, event(Kind::Accept)].map(Item::Event);
    let asked = Asked {
        parts: BTreeSet::from([Part::Environment, Part::Streams]),
        names: BTreeSet::from(["api".to_owned()]),
    };
    for name in ["a.jsonl", "a.kdt", "a.jsonl.zst", "a.kdt.zst"] {
        let path = folder.path().join(name);
        written(&path, &items, &asked);
        let (found, asked_for) = read(&path);
        assert_eq!(found, items, "{name}");
        assert_eq!(asked_for, asked, "{name}");
    }
}

/// Traces of version 2 have neither details nor names, those of version 3 no sockets that were found,
/// those of version 4 no creators.
#[test]
fn older_traces_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let items = [event(Kind::ConnectAttempt), event(Kind::Accept)].map(Item::Event);
    for name in ["a.jsonl", "a.kdt"] {
        let path = folder.path().join(name);
        written(&path, &items, &Asked::default());
        let mut bytes = std::fs::read(&path).unwrap();
        for older in *b"432" {
            age(&mut bytes, older);
            std::fs::write(&path, &bytes).unwrap();
            assert_eq!(read(&path).0, items, "{name}");
        }
    }
}

/// Makes the header one of an older version.
fn age(bytes: &mut [u8], older: u8) {
    let version = b"\"version\":";
    let place = bytes
        .windows(version.len())
        .position(|part| part == version);
    bytes[place.unwrap() + version.len()] = older;
}

/// Version 4 had kinds of records for them, as lines and as bytes.
#[test]
fn names_and_found_sockets_of_older_traces_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let items = [Item::Event(event(Kind::Accept))];
    let mut found = event(Kind::Accept);
    found.found = true;
    let mut named = event(Kind::Accept);
    named.names = Some(Box::new(Names {
        client: Vec::new(),
        server: vec!["a".to_owned()],
    }));
    let path = folder.path().join("a.jsonl");
    written(&path, &items, &Asked::default());
    let text = std::fs::read_to_string(&path).unwrap();
    let line = text.lines().find(|line| line.starts_with("{\"event\":["));
    let inside = line.unwrap().strip_prefix("{\"event\":[").unwrap();
    let inside = inside.strip_suffix("]}").unwrap();
    for (old, expected) in [
        (format!("{{\"found\":[{inside},null]}}"), &found),
        (
            format!("{{\"named\":[{inside},{{\"client\":[],\"server\":[\"a\"]}}]}}"),
            &named,
        ),
    ] {
        let mut bytes = text.replace(line.unwrap(), &old).into_bytes();
        age(&mut bytes, b'4');
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(read(&path).0, [Item::Event(expected.clone())]);
    }
    let path = folder.path().join("a.kdt");
    written(&path, &items, &Asked::default());
    let mut bytes = std::fs::read(&path).unwrap();
    age(&mut bytes, b'4');
    for (kind, rest, expected) in [(6, &[0][..], &found), (5, &[0, 1, 1, b'a'], &named)] {
        std::fs::write(&path, with_event_as(&bytes, kind, rest)).unwrap();
        assert_eq!(read(&path).0, [Item::Event(expected.clone())]);
    }
}

/// The event's record (kind 1) becomes one of another kind, with more behind it.
fn with_event_as(trace: &[u8], kind: u8, rest: &[u8]) -> Vec<u8> {
    let header = trace.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let (mut old, mut new) = (&trace[header..], trace[..header].to_vec());
    while let Some((length, after)) = old.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap();
        let mut record = after[..length].to_vec();
        if record[0] == 1 {
            record[0] = kind;
            record.extend_from_slice(rest);
        }
        new.extend(u32::try_from(record.len()).unwrap().to_le_bytes());
        new.extend(record);
        old = &after[length..];
    }
    new
}

/// Hostile files: details without a process, twice, or after an event.
#[test]
fn details_out_of_order_are_damage() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    written(&path, &[Item::Event(detailed())], &Asked::default());
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let [header, process, details, event, end] = lines[..] else {
        panic!("{text}");
    };
    for (order, good) in [
        (vec![header, process, details, event, end], true),
        (vec![header, details, process, event, end], false),
        (vec![header, process, details, details, event, end], false),
        (vec![header, process, event, details, end], false),
    ] {
        std::fs::write(&path, order.join("\n") + "\n").unwrap();
        let mut reader = trace::Reader::open(&path, |file| Box::new(file)).unwrap();
        let mut held = Vec::new();
        let outcome = loop {
            match reader.next_item() {
                Ok(Some(item)) => held.push(item),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        assert_eq!(outcome.is_ok(), good, "{order:?}");
    }
}
