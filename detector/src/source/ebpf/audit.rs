//! Whether the probes are still what was attached: root can detach a link, or write to a map.

use aya::{Ebpf as Object, maps::Array, programs::links::FdLink};

use super::attach::Link;

/// What was attached.
pub(super) struct Audit {
    links: Vec<Watched>,
}

struct Watched {
    name: &'static str,
    link: FdLink,
    /// Of the program, as the kernel gave them; the tag is not known of one that was adopted.
    id: u32,
    tag: Option<u64>,
}

impl Audit {
    pub(super) fn new(object: &Object, links: Vec<Link>) -> Self {
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
        }
    }

    /// What is not as it was attached and written, in words.
    pub(super) fn changes(&self, object: &Object, ports: &[u64]) -> Vec<String> {
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
        if !written(object, ports) {
            changes.push("the map PORTS is not what the detector wrote".to_owned());
        }
        changes
    }
}

fn tag(object: &Object, name: &str) -> Option<u64> {
    Some(object.program(name)?.info().ok()?.tag())
}

fn written(object: &Object, ports: &[u64]) -> bool {
    let words = object.map("PORTS").map(Array::<_, u64>::try_from);
    let Some(Ok(words)) = words else {
        return false;
    };
    (0..words.len())
        .zip(ports)
        .all(|(index, word)| words.get(&index, 0).ok() == Some(*word))
}
