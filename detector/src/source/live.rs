//! The probes' events, complete: attempt and outcome joined, accepts attributed.

use std::io;

use super::{
    Options, Ports,
    decode::Decoded,
    ebpf::{Ebpf, EbpfError},
    join::Join,
    owner::Owners,
    procfs,
};
use crate::event::{Event, Loss};

/// Records taken from the ring buffer at once.
const BATCH: usize = 1024;

pub struct Live {
    ebpf: Ebpf,
    join: Join,
    owners: Owners,
    decoded: Vec<Decoded>,
    unjoined_seen: u64,
}

impl Live {
    /// Attaches the probes; must be called within a tokio runtime. `boot_time_ns` is the Unix time
    /// of boot.
    pub fn start(
        options: &Options,
        ports: &Ports<'_>,
        boot_time_ns: u64,
    ) -> Result<Self, EbpfError> {
        Ok(Self {
            ebpf: Ebpf::start(options, ports, boot_time_ns)?,
            join: Join::default(),
            owners: Owners::default(),
            decoded: Vec::new(),
            unjoined_seen: 0,
        })
    }

    /// Subject and mechanism.
    pub fn attached(&self) -> &[(&'static str, &'static str)] {
        self.ebpf.attached()
    }

    /// Waits until the ring buffer has something to read.
    pub async fn readable(&mut self) -> io::Result<()> {
        self.ebpf.readable().await
    }

    /// When the oldest attempt that waits for its source port has waited long enough.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.join.deadline_ns()
    }

    /// Takes one batch and appends the events that are complete at `now_ns` (Unix time); false
    /// when the ring buffer is empty.
    pub fn drain(&mut self, now_ns: u64, events: &mut Vec<Event>) -> bool {
        let taken = self.ebpf.drain(BATCH, &mut self.decoded);
        let first = events.len();
        for decoded in self.decoded.drain(..) {
            self.join.push(decoded.event, decoded.sock, events);
        }
        if taken < BATCH {
            let ebpf = &self.ebpf;
            let port = |sock, cookie| ebpf.source_port(sock, cookie);
            self.join.expire(now_ns, port, events);
        }
        for event in events.iter_mut().skip(first) {
            self.owners.attribute(event, procfs::find_listener);
        }
        taken == BATCH
    }

    /// What was lost since the last call.
    pub fn losses(&mut self, time_ns: u64) -> Vec<Loss> {
        let mut losses = self.ebpf.losses(time_ns);
        let unjoined = self.ebpf.unjoined() + self.join.unjoined;
        if unjoined > self.unjoined_seen {
            losses.push(Loss {
                time_ns,
                subject: "outcome".to_owned(),
                cause: "attempt_unknown".to_owned(),
                count: unjoined - self.unjoined_seen,
            });
            self.unjoined_seen = unjoined;
        }
        losses
    }

    /// Generated and lost records of each subject since the start.
    pub fn summary(&self) -> [(&'static str, u64, u64); 4] {
        self.ebpf.summary()
    }
}
