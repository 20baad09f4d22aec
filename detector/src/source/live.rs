//! The probes' events, complete: attempt and outcome joined, accepts attributed.

use std::{io, time::Duration};

use super::{
    Attached, Options, Ports,
    decode::Decoded,
    ebpf::{Ebpf, EbpfError},
    join::Join,
    owner::Owners,
    procfs,
};
use crate::event::{Event, Loss};

/// Records taken from the ring buffer at once.
const BATCH: usize = 1024;
/// How long the ring buffer is looked into every millisecond after something was found in it:
/// while a wake-up would cost the connecting processes more than the looks cost.
const LINGER: u32 = 5;
const LOOK: Duration = Duration::from_millis(1);

/// `CLOCK_BOOTTIME`, nanoseconds.
pub fn since_boot_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

pub struct Live {
    boot_time_ns: u64,
    ebpf: Ebpf,
    join: Join,
    owners: Owners,
    decoded: Vec<Decoded>,
    unjoined_seen: u64,
    /// Looks that found nothing, since the last that did.
    empty_looks: u32,
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
            boot_time_ns,
            ebpf: Ebpf::start(options, ports, boot_time_ns)?,
            join: Join::default(),
            owners: Owners::default(),
            decoded: Vec::new(),
            unjoined_seen: 0,
            empty_looks: 0,
        })
    }

    /// One for each subject.
    pub fn attached(&self) -> &[Attached] {
        self.ebpf.attached()
    }

    /// How many instructions the kernel's verifier processed for each attached program; none from
    /// kernels that do not tell (before 5.16).
    pub fn verified(&self) -> Vec<(String, u32)> {
        self.ebpf.verified()
    }

    /// These ports are watched too from now on; none ceases to be.
    pub fn watch_also(&mut self, ports: &Ports<'_>) -> Result<(), EbpfError> {
        self.ebpf.watch_also(ports)
    }

    /// No other ports are watched any more.
    pub fn watch_only(&mut self, ports: &Ports<'_>) -> Result<(), EbpfError> {
        self.ebpf.watch_only(ports)
    }

    /// Waits until it is worth to look into the ring buffer.
    pub async fn readable(&mut self) -> io::Result<()> {
        let look = self.empty_looks < LINGER;
        tokio::select! {
            ready = self.ebpf.readable() => ready,
            () = tokio::time::sleep(LOOK), if look => Ok(()),
        }
    }

    /// Unix time by the clock of the events: it never steps, as the wall clock may.
    pub fn now_ns(&self) -> u64 {
        self.boot_time_ns.saturating_add(since_boot_ns())
    }

    /// When the oldest attempt that waits for its source port has waited long enough.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.join.deadline_ns()
    }

    /// Takes one batch and appends the events that are complete at `now_ns` (Unix time); false
    /// when the ring buffer is empty.
    pub fn drain(&mut self, now_ns: u64, events: &mut Vec<Event>) -> Result<bool, EbpfError> {
        let taken = self.ebpf.drain(BATCH, &mut self.decoded);
        let first = events.len();
        for decoded in self.decoded.drain(..) {
            self.join.push(decoded, events);
        }
        if taken < BATCH {
            let ebpf = &self.ebpf;
            let port = |sock, cookie| ebpf.source_port(sock, cookie);
            self.join.expire(now_ns, port, events);
        }
        for event in events.iter_mut().skip(first) {
            self.owners.attribute(event, procfs::find_listener);
        }
        self.rest(taken)?;
        Ok(taken == BATCH)
    }

    /// Before sleeping the probes are asked for a wake-up; what they sent until then is found by
    /// one more look.
    fn rest(&mut self, taken: usize) -> Result<(), EbpfError> {
        if taken > 0 {
            self.empty_looks = 0;
            return Ok(());
        }
        self.empty_looks = self.empty_looks.saturating_add(1);
        if self.empty_looks == LINGER - 1 {
            self.ebpf.arm()?;
        }
        Ok(())
    }

    /// What was lost since the last call; some is told now and then only, all of it by the `last`
    /// call.
    pub fn losses(&mut self, time_ns: u64, last: bool) -> Vec<Loss> {
        let mut losses = self.ebpf.losses(time_ns, last);
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
