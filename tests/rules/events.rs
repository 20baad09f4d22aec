//! Events to judge.

use std::sync::Arc;

use detector::event::{Attribution, Endpoint, Event, Family, Kind, Thread};

pub(crate) use crate::event::{event, process};

/// The kernel completed the handshake and nobody is known.
pub(crate) fn unattributed() -> Event {
    Event {
        attribution: Attribution::Unknown,
        thread: Thread::default(),
        process: Arc::default(),
        ..event(Kind::Accept)
    }
}

pub(crate) fn ipv6() -> Event {
    let mut event = event(Kind::ConnectAttempt);
    event.socket.family = Family::Ipv6;
    event.socket.client = Some(Endpoint {
        ip: "fd00::9".parse().unwrap(),
        port: 5002,
    });
    event.socket.server.ip = "fd00::5".parse().unwrap();
    event
}
