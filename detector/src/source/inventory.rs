//! The sockets on watched ports that are older than the probes, in every network namespace that a
//! process lives in or that is mounted: listeners and established connections, from /proc. They
//! become events that say that they were found, not seen.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::SocketAddr,
    path::PathBuf,
};

use procfs::{
    net::{TcpNetEntry, TcpState},
    process::{self, FDTarget, MountInfo, Process as Entry},
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Ports, owner::Owner, procfs as proc};
use crate::event::{Attribution, Elapsed, Endpoint, Event, Family, Kind, Socket, Thread};

/// Sockets that are told; more are counted.
const MAX_FOUND: usize = 16_384;
/// Set in the cookie of a socket that was found: the probes make none that large.
const FOUND: u64 = 1 << 63;
const NETWORK: &str = "net:[";

/// The sockets on watched ports, and how many more there are than can be told.
#[derive(Debug, Default)]
pub struct Inventory {
    pub events: Vec<Event>,
    pub omitted: u64,
}

/// A socket on a watched port.
struct Open {
    kind: Kind,
    netns: u32,
    inode: u64,
    client: Option<SocketAddr>,
    server: SocketAddr,
}

/// What is open now; `time_ns` becomes the time of the events.
pub fn take(ports: &Ports<'_>, time_ns: u64) -> Inventory {
    let mut entries: Vec<Entry> = process::all_processes()
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    entries.sort_by_key(Entry::pid);
    let mut sockets: Vec<Open> = Vec::new();
    for (netns, rows) in tables(&entries) {
        sockets.extend(rows.iter().filter_map(|row| watched(row, netns, ports)));
    }
    let omitted = sockets.len().saturating_sub(MAX_FOUND);
    sockets.truncate(MAX_FOUND);
    let owners = owners(&entries, &sockets);
    let mut events = Vec::with_capacity(sockets.len());
    for (index, socket) in sockets.iter().enumerate() {
        let owner = owners.get(&socket.inode);
        socket.tell(FOUND | index as u64, time_ns, owner, &mut events);
    }
    Inventory {
        events,
        omitted: omitted as u64,
    }
}

/// The TCP sockets of each network namespace, by its inode.
fn tables(entries: &[Entry]) -> BTreeMap<u32, Vec<TcpNetEntry>> {
    let mut tables = BTreeMap::new();
    for entry in entries {
        let netns = proc::namespace(entry, "net");
        if netns != 0 && !tables.contains_key(&netns) {
            tables.insert(netns, rows(entry));
        }
    }
    let mounted = Entry::myself().and_then(|myself| myself.mountinfo());
    for mount in mounted.into_iter().flatten() {
        if let Some(netns) = network(&mount)
            && !tables.contains_key(&netns)
            && let Some(rows) = rows_of(mount.mount_point)
        {
            tables.insert(netns, rows);
        }
    }
    tables
}

fn rows(entry: &Entry) -> Vec<TcpNetEntry> {
    let tables = [entry.tcp(), entry.tcp6()];
    tables.into_iter().flatten().flatten().collect()
}

/// The inode of a network namespace that is mounted, as ip-netns(8) does.
fn network(mount: &MountInfo) -> Option<u32> {
    let inode = mount.root.strip_prefix(NETWORK)?.strip_suffix(']')?;
    (mount.fs_type == "nsfs").then(|| inode.parse().ok())?
}

/// A thread of its own goes there: the others stay where they are.
fn rows_of(namespace: PathBuf) -> Option<Vec<TcpNetEntry>> {
    let look = move || {
        let file = std::fs::File::open(namespace).ok()?;
        move_into_link_name_space(
            std::os::fd::AsFd::as_fd(&file),
            Some(LinkNameSpaceType::Network),
        )
        .ok()?;
        let tid = rustix::thread::gettid().as_raw_nonzero();
        let thread = Entry::new_with_root(PathBuf::from(format!("/proc/self/task/{tid}"))).ok()?;
        Some(rows(&thread))
    };
    std::thread::spawn(look).join().ok()?
}

fn watched(row: &TcpNetEntry, netns: u32, ports: &Ports<'_>) -> Option<Open> {
    let is_in = |bits: &[u64; 1024], address: SocketAddr| {
        let port = address.port();
        let word = bits.get(usize::from(port >> 6)).copied().unwrap_or(0);
        (word >> (port & 63)) & 1 == 1
    };
    let (local, remote) = (row.local_address, row.remote_address);
    let (kind, client, server) = match row.state {
        TcpState::Listen if is_in(ports.listen, local) => (Kind::Listen, None, local),
        TcpState::Established if is_in(ports.connect, remote) => {
            (Kind::ConnectAttempt, Some(local), remote)
        }
        TcpState::Established if is_in(ports.accept, local) => (Kind::Accept, Some(remote), local),
        _ => return None,
    };
    Some(Open {
        kind,
        netns,
        inode: row.inode,
        client,
        server,
    })
}

/// By inode, the first process that has the socket open.
fn owners(entries: &[Entry], sockets: &[Open]) -> HashMap<u64, Owner> {
    let wanted: HashSet<u64> = sockets.iter().map(|socket| socket.inode).collect();
    let mut owners = HashMap::new();
    if wanted.is_empty() {
        return owners;
    }
    for entry in entries {
        for descriptor in entry.fd().into_iter().flatten().flatten() {
            if let FDTarget::Socket(inode) = descriptor.target
                && wanted.contains(&inode)
                && !owners.contains_key(&inode)
                && let Some(owner) = proc::describe(entry)
            {
                owners.insert(inode, owner);
            }
        }
    }
    owners
}

impl Open {
    /// One event, or two: a connection has its attempt and its outcome, as one that is seen has.
    fn tell(&self, cookie: u64, time_ns: u64, owner: Option<&Owner>, events: &mut Vec<Event>) {
        let end = |address: SocketAddr| Endpoint {
            ip: address.ip().to_canonical(),
            port: address.port(),
        };
        let server = end(self.server);
        let event = Event {
            number: 0,
            time_ns,
            cpu: 0,
            kind: self.kind,
            socket: Socket {
                cookie,
                family: if server.ip.is_ipv4() {
                    Family::Ipv4
                } else {
                    Family::Ipv6
                },
                mapped: self.server.is_ipv6() && server.ip.is_ipv4(),
                client: self.client.map(end),
                server,
                netns: self.netns,
            },
            errno: (self.kind != Kind::ConnectAttempt).then_some(0),
            attribution: match owner {
                Some(_) => Attribution::Caller,
                None => Attribution::Unknown,
            },
            thread: owner.map_or_else(Thread::default, |owner| owner.thread.clone()),
            found: true,
            elapsed: Elapsed::default(),
            names: None,
            original: None,
            creator: None,
            process: owner.map(|owner| owner.process.clone()).unwrap_or_default(),
        };
        let outcome = (self.kind == Kind::ConnectAttempt).then(|| Event {
            kind: Kind::ConnectOutcome,
            errno: Some(0),
            ..event.clone()
        });
        events.push(event);
        events.extend(outcome);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn sockets_on_watched_ports_are_found_from_both_ends() {
        let listener = TcpListener::bind("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let accepted = listener.accept().unwrap();
        let mut bits = [0; 1024];
        bits[usize::from(port >> 6)] = 1 << (port & 63);
        let ports = Ports {
            connect: &bits,
            accept: &bits,
            listen: &bits,
        };
        let found = take(&ports, 7);
        let mut kinds: Vec<Kind> = Vec::new();
        for event in &found.events {
            assert!(event.found);
            assert_eq!(event.process.pid, std::process::id());
            assert_eq!(event.socket.server.port, port);
            let client = event.socket.client.map(|client| client.port);
            let expected = stream.local_addr().unwrap().port();
            assert_eq!(client, (event.kind != Kind::Listen).then_some(expected));
            kinds.push(event.kind);
        }
        kinds.sort_by_key(|kind| *kind as u8);
        assert_eq!(
            kinds,
            [
                Kind::ConnectAttempt,
                Kind::ConnectOutcome,
                Kind::Accept,
                Kind::Listen
            ]
        );
        drop((accepted, listener, stream));
        assert!(
            take(&ports, 7)
                .events
                .iter()
                .all(|one| one.kind != Kind::Listen)
        );
    }
}
