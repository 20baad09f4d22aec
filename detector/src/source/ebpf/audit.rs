//! Whether the probes are still what was attached: root can write to a map, take a pin away, or turn
//! off what they depend on.

use std::collections::BTreeMap;

use aya::{
    Ebpf as Object, Pod,
    maps::{Array, MapData},
    programs::links::FdLink,
};

use super::{
    attach::{self, Link},
    pin::Pins,
    switches::Switches,
};
use crate::source::Attached;

/// What was attached.
pub(super) struct Audit {
    links: Vec<Watched>,
    /// In `ELSEWHERE`: which subjects the state tracepoint leaves to others.
    elsewhere: Vec<(u32, u32)>,
    switches: Switches,
    /// Names and inodes of the pins.
    pins: BTreeMap<String, u64>,
}

struct Watched {
    name: &'static str,
    link: FdLink,
    /// Of the program, as the kernel gave them; the tag is not known of one that was adopted.
    id: u32,
    tag: Option<u64>,
}

impl Audit {
    /// To be called when all is attached and pinned.
    pub(super) fn new(
        object: &Object,
        links: Vec<Link>,
        attached: &[Attached],
        pins: Option<&Pins>,
    ) -> Self {
        let watched = |(name, link): Link| {
            let attached = link.info().map(|info| info.program_id());
            Watched {
                name,
                id: attached.unwrap_or_default(),
                tag: tag(object, name),
                link,
            }
        };
        Self {
            links: links.into_iter().map(watched).collect(),
            elsewhere: attach::elsewhere(attached).collect(),
            switches: Switches::of(&attached.iter().map(|one| one.mechanism).collect::<Vec<_>>()),
            pins: pins.map(Pins::inodes).unwrap_or_default(),
        }
    }

    /// What is not as it was attached and written, in words.
    pub(super) fn changes(
        &self,
        object: &Object,
        ports: &[u64],
        pins: Option<&Pins>,
    ) -> Vec<String> {
        let mut changes = Vec::new();
        for Watched {
            name,
            link,
            id,
            tag,
        } in &self.links
        {
            if self::tag(object, name) != *tag {
                changes.push(format!("the program {name} is another"));
            }
            match link.info() {
                Ok(info) if info.program_id() == *id => {}
                Ok(_) => changes.push(format!("the probe {name} is detached")),
                Err(error) => {
                    changes.push(format!("the probe {name} cannot be looked at: {error}"))
                }
            }
        }
        let ports: Vec<Option<u64>> = ports.iter().copied().map(Some).collect();
        let elsewhere = words(object, "ELSEWHERE");
        let mut subjects = self.elsewhere.iter();
        let is_elsewhere = subjects.all(|(subject, word)| {
            let index = usize::try_from(*subject).unwrap_or(usize::MAX);
            elsewhere.get(index) == Some(&Some(*word))
        });
        for (map, is_written) in [
            ("PORTS", words(object, "PORTS") == ports),
            ("ELSEWHERE", is_elsewhere),
        ] {
            if !is_written {
                changes.push(format!("the map {map} is not what the detector wrote"));
            }
        }
        changes.extend(self.switches.off());
        let pinned = pins.map(Pins::inodes).unwrap_or_default();
        for (name, inode) in &self.pins {
            match pinned.get(name) {
                None => changes.push(format!("the pin {name} is gone")),
                Some(other) if other != inode => {
                    changes.push(format!("the pin {name} is another"));
                }
                Some(_) => {}
            }
        }
        changes
    }
}

fn tag(object: &Object, name: &str) -> Option<u64> {
    Some(object.program(name)?.info().ok()?.tag())
}

/// Of a map that is an array; `None` for what cannot be read.
fn words<T: Pod>(object: &Object, name: &str) -> Vec<Option<T>> {
    let Some(Ok(map)) = object.map(name).map(Array::<&MapData, T>::try_from) else {
        return Vec::new();
    };
    (0..map.len())
        .map(|index| map.get(&index, 0).ok())
        .collect()
}
