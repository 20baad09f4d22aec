//! The probes prove themselves, and tell when somebody meddles with them.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

use std::{collections::BTreeSet, fs};

use aya::maps::{Array, Map, MapData, loaded_maps};
use detector::source::{Fault, Options, Ports, ebpf::EbpfError, live::Live};

const NONE: [u64; 1024] = [0; 1024];
const PORTS: Ports<'static> = Ports {
    connect: &NONE,
    accept: &NONE,
    listen: &NONE,
};
const SECOND: u64 = 1_000_000_000;

/// The ids of the maps that this process has open.
fn open_maps() -> BTreeSet<u32> {
    let mut ids = BTreeSet::new();
    for descriptor in fs::read_dir("/proc/self/fdinfo").unwrap() {
        let about = fs::read_to_string(descriptor.unwrap().path()).unwrap_or_default();
        let id = about.lines().find_map(|line| line.strip_prefix("map_id:"));
        ids.extend(id.map(|id| id.trim().parse::<u32>().unwrap()));
    }
    ids
}

#[tokio::test]
async fn silence_and_meddling_are_faults() {
    let mut live = match Live::start(&Options::default(), &PORTS, 0) {
        Ok(live) => live,
        Err(error @ (EbpfError::Stub | EbpfError::Privilege { .. })) => {
            println!("skipped: {error}");
            return;
        }
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    };
    println!("live: attached to no port but the canary's");
    let mut events = Vec::new();
    let mut prove = |live: &mut Live, now_ns: u64| {
        let first = live.prove(now_ns);
        while live.drain(now_ns, &mut events).unwrap() {}
        assert!(events.is_empty(), "the canary's events are nobody's");
        first.or_else(|| live.prove(now_ns + 10 * SECOND))
    };
    assert_eq!(prove(&mut live, 0), Some(Ok(())));
    assert_eq!(live.audit(0), None);

    let open = open_maps();
    let mut own = loaded_maps()
        .flatten()
        .filter(|map| map.name_as_str() == Some("PORTS") && open.contains(&map.id()));
    let map = Map::Array(MapData::from_id(own.next().unwrap().id()).unwrap());
    let mut words: Array<_, u64> = Array::try_from(map).unwrap();
    for index in 0..words.len() {
        words.set(index, 0, 0).unwrap();
    }
    let unseen = vec!["listen", "connect", "outcome", "accept"];
    assert_eq!(
        prove(&mut live, 100 * SECOND),
        Some(Err(Fault::Unseen(unseen)))
    );
    let Some(Fault::Changed(changes)) = live.audit(100 * SECOND) else {
        panic!("the change is not seen")
    };
    assert_eq!(changes, ["the map PORTS is not what the detector wrote"]);
    assert_eq!(live.audit(120 * SECOND), None, "it is told once");
}
