//! Who listens where: an accept that the kernel completed in softirq context belongs to the owner
//! of its listener. Learnt from listen events; a listener older than the probes is looked up once.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use super::creator;
use crate::event::{Attribution, Creator, Endpoint, Event, Kind, Process, Thread};

/// Listeners that are remembered; beyond, all are forgotten and looked up again.
const MAX_LISTENERS: usize = 4096;
/// How long a listener that nobody was found for is not looked up again.
const RETRY_NS: u64 = 1_000_000_000;

#[derive(Debug, Clone)]
pub struct Owner {
    pub thread: Thread,
    pub process: Arc<Process>,
    /// Of the listener's socket; `None` if the listener was found in /proc.
    pub creator: Option<Creator>,
}

/// Network namespace and address.
type Place = (u32, IpAddr, u16);

#[derive(Debug, Default)]
pub struct Owners {
    listeners: HashMap<Place, Owner>,
    /// When nobody was found, by the time of the accept.
    missed: HashMap<Place, u64>,
}

impl Owners {
    /// Learns from a listen, attributes an accept that names no process, and says who made the listener
    /// of one that does. `find` looks for a listener that is not known: its network namespace and
    /// address.
    pub fn attribute(&mut self, event: &mut Event, find: impl Fn(u32, Endpoint) -> Option<Owner>) {
        match (event.kind, event.attribution) {
            (Kind::Listen, _) => self.learn(
                event.socket.netns,
                event.socket.server,
                Owner {
                    thread: event.thread.clone(),
                    process: Arc::clone(&event.process),
                    creator: event.creator.clone(),
                },
            ),
            (Kind::Accept, Attribution::Unknown) => {
                if let Some(owner) = self.find(event, find) {
                    event.thread = owner.thread.clone();
                    event.process = Arc::clone(&owner.process);
                    event.creator = owner.creator.clone();
                    event.attribution = Attribution::ListenerOwner;
                }
            }
            (Kind::Accept, Attribution::Caller) if event.creator.is_none() => {
                let owner = self.known(event.socket.netns, event.socket.server);
                event.creator = owner.and_then(|owner| creator::seen_by(&event.process, owner));
            }
            _ => {}
        }
    }

    /// Whom an accept would name that names no process.
    pub fn owner(
        &mut self,
        event: &Event,
        find: impl Fn(u32, Endpoint) -> Option<Owner>,
    ) -> Option<Arc<Process>> {
        let owner = self.find(event, find)?;
        Some(Arc::clone(&owner.process))
    }

    fn learn(&mut self, netns: u32, server: Endpoint, owner: Owner) {
        if self.listeners.len() >= MAX_LISTENERS {
            self.listeners.clear();
        }
        let place = (netns, server.ip, server.port);
        self.missed.remove(&place);
        self.listeners.insert(place, owner);
    }

    fn find(
        &mut self,
        event: &Event,
        find: impl Fn(u32, Endpoint) -> Option<Owner>,
    ) -> Option<&Owner> {
        let (netns, server) = (event.socket.netns, event.socket.server);
        let place = (netns, server.ip, server.port);
        if self.known(netns, server).is_none() {
            let missed = self.missed.get(&place).copied();
            if missed.is_some_and(|time_ns| event.time_ns.saturating_sub(time_ns) < RETRY_NS) {
                return None;
            }
            match find(netns, server) {
                Some(owner) => self.learn(netns, server, owner),
                None => {
                    if self.missed.len() >= MAX_LISTENERS {
                        self.missed.clear();
                    }
                    self.missed.insert(place, event.time_ns);
                }
            }
        }
        self.known(netns, server)
    }

    fn known(&self, netns: u32, server: Endpoint) -> Option<&Owner> {
        // A listener on all addresses of IPv6 also serves IPv4.
        let places = [
            server.ip,
            Ipv4Addr::UNSPECIFIED.into(),
            Ipv6Addr::UNSPECIFIED.into(),
        ];
        let mut places = places.map(|ip| (netns, ip, server.port)).into_iter();
        places.find_map(|place| self.listeners.get(&place))
    }
}
