//! Names of addresses, by the host's own file: nobody on the network is asked.

use std::{
    collections::{BTreeSet, HashMap},
    io::Read as _,
    net::IpAddr,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::event::{Event, Names};

/// Bytes of the file that are read.
const MAX_FILE: u64 = 1 << 20;
/// Names of one address.
const MAX_NAMES: usize = 8;
/// Addresses that have names; what follows in the file is not looked at.
const MAX_ADDRESSES: usize = 4096;

pub(super) struct Hosts {
    path: PathBuf,
    /// Others are not kept.
    wanted: BTreeSet<String>,
    read: Option<SystemTime>,
    names: HashMap<IpAddr, Vec<String>>,
}

impl Hosts {
    pub(super) fn new(root: &Path) -> Self {
        Self {
            path: root.join("etc/hosts"),
            wanted: BTreeSet::new(),
            read: None,
            names: HashMap::new(),
        }
    }

    pub(super) fn ask(&mut self, wanted: BTreeSet<String>) {
        self.wanted = wanted;
        self.read = None;
        self.names.clear();
        self.refresh();
    }

    pub(super) fn refresh(&mut self) {
        if self.wanted.is_empty() {
            return;
        }
        let modified = std::fs::metadata(&self.path)
            .and_then(|about| about.modified())
            .ok();
        if modified == self.read {
            return;
        }
        self.read = modified;
        let mut bytes = Vec::new();
        let read = std::fs::File::open(&self.path)
            .and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
        if let Err(error) = read {
            tracing::warn!("cannot read {}: {error}", self.path.display());
        }
        self.names = names(&String::from_utf8_lossy(&bytes), &self.wanted);
    }

    /// The names of both ends; none if neither has one.
    pub(super) fn of(&self, event: &Event) -> Option<Box<Names>> {
        if self.names.is_empty() {
            return None;
        }
        let of = |ip: IpAddr| self.names.get(&ip).cloned().unwrap_or_default();
        let names = Names {
            client: event
                .socket
                .client
                .map(|end| of(end.ip))
                .unwrap_or_default(),
            server: of(event.socket.server.ip),
        };
        (names != Names::default()).then(|| Box::new(names))
    }
}

/// As in hosts(5): an address and its names; `#` begins a comment. Letters of either case are one.
fn names(text: &str, wanted: &BTreeSet<String>) -> HashMap<IpAddr, Vec<String>> {
    let mut found: HashMap<IpAddr, Vec<String>> = HashMap::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(Ok(ip)) = words.next().map(str::parse::<IpAddr>) else {
            continue;
        };
        for word in words {
            for name in wanted.iter().filter(|one| one.eq_ignore_ascii_case(word)) {
                if found.len() >= MAX_ADDRESSES && !found.contains_key(&ip) {
                    return found;
                }
                let of = found.entry(ip).or_default();
                if of.len() < MAX_NAMES && !of.contains(name) {
                    of.push(name.clone());
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_wanted_are_found() {
        let wanted = ["api.example", "Other"].map(str::to_owned).into();
        let text = "# 10.0.0.1 api.example\n10.0.0.5 API.example alias other # api\n::1 api.example\nx other\n10.0.0.6 alias\n";
        let found = names(text, &wanted);
        let of = |ip: &str| found.get(&ip.parse::<IpAddr>().unwrap()).cloned();
        assert_eq!(of("10.0.0.5").unwrap(), ["api.example", "Other"]);
        assert_eq!(of("::1").unwrap(), ["api.example"]);
        assert_eq!(of("10.0.0.1"), None);
        assert_eq!(of("10.0.0.6"), None);
    }

    #[test]
    fn the_table_is_bounded() {
        let line = |n: u32| format!("{} name\n", std::net::Ipv4Addr::from(n));
        let text: String = (1..=u32::try_from(MAX_ADDRESSES).unwrap() + 9)
            .map(line)
            .collect();
        assert_eq!(
            names(&text, &["name".to_owned()].into()).len(),
            MAX_ADDRESSES
        );
    }
}
