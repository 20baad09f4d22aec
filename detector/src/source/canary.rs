//! A connection of the detector to itself, on a port of its own: what the probes tell of it shows
//! that each subject is seen, and silence is a fault.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    time::Duration,
};

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, listen, socket_with,
    sockopt::{Timeout, set_socket_reuseport, set_socket_timeout},
};

use super::Fault;
use crate::event::{Attribution, Event, Kind};

/// How often a connection is made: with what it may take, a fault is told within a minute.
const PERIOD_NS: u64 = 50_000_000_000;
/// How long the probes may take to tell of it.
const PATIENCE_NS: u64 = 5_000_000_000;
/// On loopback an answer takes microseconds.
const TIMEOUT: Duration = Duration::from_secs(1);

const SUBJECTS: [(Kind, &str); 4] = [
    (Kind::Listen, "listen"),
    (Kind::ConnectAttempt, "connect"),
    (Kind::ConnectOutcome, "outcome"),
    (Kind::Accept, "accept"),
];

/// What a connection of the canary shows, if all is well.
pub type Verdict = Result<(), Fault>;

pub struct Canary {
    port: u16,
    /// `None` after a failure: it is made anew.
    listener: Option<OwnedFd>,
    /// Subjects that were seen of the connection under way.
    seen: Vec<Kind>,
    /// When the connection under way was made.
    begun_ns: Option<u64>,
    due_ns: u64,
    /// Process and port of the canary of a daemon before.
    former: (u32, u16),
}

impl Default for Canary {
    /// Takes a free port of loopback; where loopback is down, one that is free elsewhere, to connect
    /// to as soon as it is up. If there is none, no connection will be.
    fn default() -> Self {
        let listener = listener(0).ok();
        let port = match &listener {
            Some(listener) => port_of(listener),
            None => free_port(),
        };
        Self {
            port: port.unwrap_or_default(),
            listener,
            seen: Vec::new(),
            begun_ns: None,
            due_ns: 0,
            former: (0, 0),
        }
    }
}

impl Canary {
    /// What a daemon before sent is nobody's either.
    pub fn succeed(&mut self, former: (u32, u16)) {
        self.former = former;
    }

    /// To be watched in every direction.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether the event is of the canary, and none that anybody else is to see; `by_call` if accepts
    /// are seen where a process makes them, which the end of a handshake does not prove.
    pub fn takes(&mut self, event: &Event, by_call: bool) -> bool {
        let of = (event.process.pid, event.socket.server.port);
        let own = of == (std::process::id(), self.port);
        let proves =
            event.kind != Kind::Accept || !by_call || event.attribution == Attribution::Caller;
        if own && proves && self.begun_ns.is_some() && !self.seen.contains(&event.kind) {
            self.seen.push(event.kind);
        }
        own || of == self.former
    }

    /// Whether a connection was made and what came of it is not known yet.
    pub fn is_under_way(&self) -> bool {
        self.begun_ns.is_some()
    }

    /// Makes a connection when one is due, and tells what came of it when that is known. To be
    /// called when all that the probes told of the connection is taken.
    pub fn step(&mut self, now_ns: u64) -> Option<Verdict> {
        if let Some(begun_ns) = self.begun_ns {
            let unseen = SUBJECTS
                .iter()
                .filter(|(kind, _)| !self.seen.contains(kind));
            let unseen: Vec<&str> = unseen.map(|(_, subject)| *subject).collect();
            if unseen.is_empty() {
                self.begun_ns = None;
                return Some(Ok(()));
            }
            if now_ns.saturating_sub(begun_ns) >= PATIENCE_NS {
                self.begun_ns = None;
                return Some(Err(Fault::Unseen(unseen)));
            }
            return None;
        }
        if now_ns < self.due_ns {
            return None;
        }
        self.due_ns = now_ns.saturating_add(PERIOD_NS);
        self.seen.clear();
        match self.connect() {
            Ok(()) => {
                self.begun_ns = Some(now_ns);
                None
            }
            Err(error) => {
                self.listener = None;
                Some(Err(Fault::NoCanary(error.to_string())))
            }
        }
    }

    fn connect(&mut self) -> io::Result<()> {
        // A second listener beside the first, so that a listen is seen too; it is gone before the
        // connection could come to it.
        drop(listener(self.port)?);
        let own = match self.listener.take() {
            Some(own) => own,
            None => listener(self.port)?,
        };
        let server = TcpListener::from(own);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let client = TcpStream::connect_timeout(&address, TIMEOUT);
        let accepted = client.and_then(|client| {
            let accepted = server.accept()?;
            Ok((client, accepted))
        });
        self.listener = Some(server.into());
        accepted.map(drop)
    }
}

fn port_of(socket: &OwnedFd) -> io::Result<u16> {
    let address = rustix::net::getsockname(socket)?;
    let address: SocketAddr = address.try_into().map_err(io::Error::from)?;
    Ok(address.port())
}

fn free_port() -> io::Result<u16> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?;
    port_of(&socket)
}

fn listener(port: u16) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    set_socket_reuseport(&socket, true)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(TIMEOUT))?;
    bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    listen(&socket, 1)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Endpoint;

    fn event(kind: Kind, port: u16) -> Event {
        let ip = [127, 0, 0, 1].into();
        Event::example(kind, Endpoint { ip, port })
    }

    fn own(kind: Kind, port: u16) -> Event {
        let mut event = event(kind, port);
        std::sync::Arc::make_mut(&mut event.process).pid = std::process::id();
        event
    }

    #[test]
    fn each_subject_must_be_seen_in_time() {
        let mut canary = Canary::default();
        assert_eq!(canary.step(0), None);
        for kind in [Kind::Listen, Kind::ConnectAttempt, Kind::Accept] {
            let port = canary.port();
            assert!(canary.takes(&own(kind, port), true));
            assert!(!canary.takes(&own(kind, port ^ 1), true), "another port's");
            assert!(!canary.takes(&event(kind, port), true), "another process's");
        }
        assert_eq!(canary.step(PATIENCE_NS - 1), None);
        let unseen = Fault::Unseen(vec!["outcome"]);
        assert_eq!(canary.step(PATIENCE_NS), Some(Err(unseen)));
        assert_eq!(canary.step(PERIOD_NS - 1), None);
        assert_eq!(canary.step(PERIOD_NS), None);
        for (kind, _) in SUBJECTS {
            let port = canary.port();
            assert!(canary.takes(&own(kind, port), true));
        }
        assert_eq!(canary.step(PERIOD_NS + 1), Some(Ok(())));
    }

    #[test]
    fn the_end_of_a_handshake_does_not_prove_that_accepts_are_seen() {
        let mut canary = Canary::default();
        canary.step(0);
        let mut accept = own(Kind::Accept, canary.port());
        accept.attribution = Attribution::ListenerOwner;
        assert!(canary.takes(&accept, true) && canary.seen.is_empty());
        assert!(canary.takes(&accept, false));
        assert_eq!(canary.seen, [Kind::Accept]);
    }

    #[test]
    fn a_listener_that_was_killed_is_a_fault_and_is_made_anew() {
        let mut canary = Canary::default();
        let own = canary.listener.as_ref().unwrap();
        rustix::net::shutdown(own, rustix::net::Shutdown::Both).unwrap();
        let Some(Err(Fault::NoCanary(why))) = canary.step(0) else {
            panic!("it connects to nobody")
        };
        assert!(why.contains("refused"), "{why}");
        assert_eq!(canary.step(PERIOD_NS), None, "it connects again");
        assert_eq!(canary.begun_ns, Some(PERIOD_NS));
    }
}
