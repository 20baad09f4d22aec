//! The probes' events, complete: attempt and outcome joined, accepts attributed.

use std::{collections::HashSet, io, time::Duration};

use super::{
    Attached, Fault, Options, Ports, Summary,
    accepts::Accepts,
    canary::Canary,
    decode::Decoded,
    ebpf::{Adopted, Ebpf, EbpfError, Mark, Pinned},
    inventory,
    join::{HOLD_NS, Join},
    owner::Owners,
    procfs,
};
use crate::event::{Attribution, Event, Kind, Loss};

/// Records taken from the ring buffer at once.
const BATCH: usize = 1024;
/// The same of pinned probes: as many are told again at most if this process is killed amid them.
const PINNED_BATCH: usize = 32;
/// How long the ring buffer is looked into every millisecond after something was found in it:
/// while a wake-up would cost the connecting processes more than the looks cost.
const LINGER: u32 = 5;
/// How often the probes are compared with what was attached.
const AUDIT_NS: u64 = 5_000_000_000;
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
    /// `None` where accepts are seen at the end of the handshake alone.
    accepts: Option<Accepts>,
    owners: Owners,
    /// With their positions in the ring buffer.
    decoded: Vec<(u64, Decoded)>,
    batch: usize,
    /// What a daemon before was telling when it ended.
    repeated: Vec<Event>,
    /// The time of the youngest record that was read.
    read_ns: u64,
    /// Up to when, since boot, was told what was due.
    due_ns: u64,
    /// What it watched: that is no news to an inventory.
    known: Option<Box<[u64]>>,
    canary: Canary,
    /// Up to where in the ring buffer there may be records of the canary's connection under way.
    canary_end: u64,
    /// Up to where the ring buffer was read when the canary was looked at last.
    canary_seen: u64,
    /// What the last look found changed.
    changes: Vec<String>,
    audit_due_ns: u64,
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
        let canary = Canary::default();
        let watched = Watched::of(ports, &canary);
        let mut live = Self {
            boot_time_ns,
            ebpf: Ebpf::start(options, &watched.ports(), boot_time_ns)?,
            canary,
            canary_end: 0,
            canary_seen: 0,
            changes: Vec::new(),
            audit_due_ns: 0,
            join: Join::default(),
            accepts: None,
            owners: Owners::default(),
            decoded: Vec::new(),
            batch: if options.pin.is_some() {
                PINNED_BATCH
            } else {
                BATCH
            },
            repeated: Vec::new(),
            read_ns: 0,
            due_ns: 0,
            known: None,
            empty_looks: 0,
        };
        live.accepts = live.ebpf.sees_accepts().then(Accepts::default);
        if let Pinned::Adopted(adopted) = live.ebpf.pinned().clone() {
            live.resume(adopted);
        }
        live.ebpf.set_canary(live.canary.port())?;
        Ok(live)
    }

    /// Goes to where the daemon before stood: what is in the ring buffer and was told is known, and
    /// what it was telling is told again.
    fn resume(&mut self, adopted: Adopted) {
        self.canary.succeed(adopted.canary);
        self.retrace(adopted.told, &mut Vec::new());
        self.join.is_old();
        if let Some(accepts) = &mut self.accepts {
            accepts.succeed();
        }
        let mut repeated = Vec::new();
        self.retrace(adopted.telling, &mut repeated);
        repeated.retain(|event| !self.canary.takes(event, self.accepts.is_some()));
        self.due_ns = adopted.telling.time_ns;
        self.repeated = repeated;
        self.known = Some(adopted.watched);
    }

    /// All that was due at the mark.
    fn retrace(&mut self, mark: Mark, events: &mut Vec<Event>) {
        while self.ebpf.drain(BATCH, mark.position, &mut self.decoded) > 0 {
            self.push(events);
        }
        self.release(self.boot_time_ns.saturating_add(mark.time_ns), events);
        self.attribute(events);
    }

    /// Joins what was decoded.
    fn push(&mut self, events: &mut Vec<Event>) {
        for (position, decoded) in self.decoded.drain(..) {
            self.read_ns = self.read_ns.max(decoded.event.time_ns);
            match &mut self.accepts {
                Some(accepts) if decoded.event.kind == Kind::Accept => {
                    let owners = &mut self.owners;
                    let owner = |event: &Event| owners.owner(event, procfs::find_listener);
                    accepts.push(position, decoded, owner, events);
                }
                _ => self.join.push(position, decoded, events),
            }
        }
    }

    /// Hands out what has waited long enough by `now_ns`.
    fn release(&mut self, now_ns: u64, events: &mut Vec<Event>) {
        let ebpf = &self.ebpf;
        let port = |sock, cookie| ebpf.source_port(sock, cookie);
        self.join.release(now_ns, port, events);
        if let Some(accepts) = &mut self.accepts {
            accepts.release(now_ns, events);
        }
    }

    /// As `release`, when all that is older was read; what waits for something older waits in vain.
    fn expire(&mut self, now_ns: u64, events: &mut Vec<Event>) {
        let ebpf = &self.ebpf;
        let port = |sock, cookie| ebpf.source_port(sock, cookie);
        self.join.expire(now_ns, port, events);
        if let Some(accepts) = &mut self.accepts {
            accepts.expire(now_ns, events);
        }
    }

    /// Names the listener's owner where an accept names nobody.
    fn attribute(&mut self, events: &mut [Event]) {
        for event in events {
            self.owners.attribute(event, procfs::find_listener);
            if let Some(accepts) = &mut self.accepts
                && event.kind == Kind::Accept
                && event.attribution != Attribution::Caller
            {
                accepts.named(event);
            }
        }
    }

    /// What became of the probes of the daemon before.
    pub fn pinned(&self) -> &Pinned {
        self.ebpf.pinned()
    }

    /// Events to come first that the daemon before perhaps told.
    pub fn repeated(&self) -> usize {
        self.repeated.len()
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
        let watched = Watched::of(ports, &self.canary);
        self.ebpf.watch_only(&watched.ports())
    }

    /// Connects of threads of these names, and no others, are only counted at these ports: 65,536
    /// bits each. Nobody is, until this is called.
    pub fn let_off(&mut self, names: &[(&str, &[u64; 1024])]) -> Result<(), EbpfError> {
        let port = self.canary.port();
        // The detector's own connection is to be seen, whatever its name.
        let without = |(name, bits): &(&str, &[u64; 1024])| {
            let mut bits = **bits;
            if let Some(word) = bits.get_mut(usize::from(port >> 6)) {
                *word &= !(1 << (port & 63));
            }
            ((*name).to_owned(), Box::new(bits))
        };
        let names: Vec<(String, Box<[u64; 1024]>)> = names.iter().map(without).collect();
        let names = names.iter().map(|(name, bits)| (name.as_str(), &**bits));
        self.ebpf.let_off(&names.collect::<Vec<_>>())
    }

    /// How often each name was let off since the probes were loaded.
    pub fn let_offs(&self) -> Vec<(String, u64)> {
        self.ebpf.let_offs()
    }

    /// Waits until it is worth to look into the ring buffer.
    pub async fn readable(&mut self) -> io::Result<()> {
        let look = self.empty_looks < LINGER;
        tokio::select! {
            ready = self.ebpf.readable() => {
                // The record that woke may wait for an earlier one, which is being written and
                // wakes nobody: it is looked for.
                self.empty_looks = 0;
                ready
            }
            () = tokio::time::sleep(LOOK), if look => Ok(()),
        }
    }

    /// Unix time by the clock of the events: it never steps, as the wall clock may.
    pub fn now_ns(&self) -> u64 {
        self.boot_time_ns.saturating_add(since_boot_ns())
    }

    /// When the oldest attempt that waits for its source port, or the oldest handshake that waits for
    /// its accept, has waited long enough.
    pub fn deadline_ns(&self) -> Option<u64> {
        let accepts = self.accepts.as_ref().and_then(Accepts::deadline_ns);
        self.join.deadline_ns().into_iter().chain(accepts).min()
    }

    /// Takes one batch and appends the events that are complete at `now_ns` (Unix time); false
    /// when the ring buffer is empty.
    pub fn drain(&mut self, now_ns: u64, events: &mut Vec<Event>) -> Result<bool, EbpfError> {
        let first = events.len();
        let repeated = self.repeated.len();
        events.append(&mut self.repeated);
        let taken = self.ebpf.drain(self.batch, u64::MAX, &mut self.decoded);
        self.push(events);
        // A reader that is behind lives in the past, where what it waits for is still to be read.
        let mut due_ns = match taken < self.batch {
            true => now_ns.max(self.read_ns),
            false => self.read_ns,
        };
        self.expire(due_ns, events);
        if self.is_crowded() {
            // What waits keeps the room that the probes need.
            due_ns = due_ns.max(self.read_ns.saturating_add(HOLD_NS));
            self.release(due_ns, events);
        }
        if let Some(new) = events.get_mut(first + repeated..) {
            self.attribute(new);
        }
        let by_call = self.accepts.is_some();
        let mut index = 0;
        events.retain(|event| {
            index += 1;
            index <= first || !self.canary.takes(event, by_call)
        });
        if taken > 0 || events.len() > first {
            // Whatever is due at a time that is still to come is no older than now.
            let latest_ns = since_boot_ns().saturating_add(HOLD_NS);
            let due_ns = due_ns.saturating_sub(self.boot_time_ns).min(latest_ns);
            self.due_ns = self.due_ns.max(due_ns);
            self.ebpf.telling(self.due_ns)?;
        }
        self.rest(taken)?;
        Ok(taken == self.batch)
    }

    /// What waits is to be told at once, lest it takes the room of the ring buffer.
    fn is_crowded(&self) -> bool {
        *self.ebpf.pinned() != Pinned::No && self.ebpf.is_crowded()
    }

    /// All events and losses that were handed out are told: a daemon after this one need not.
    pub fn told(&mut self) -> Result<(), EbpfError> {
        let since_ns = match self.is_crowded() {
            true => u64::MAX,
            false => self.now_ns().saturating_sub(HOLD_NS),
        };
        let accepts = self.accepts.as_ref().and_then(Accepts::needed);
        let needed = self.join.needed(since_ns).into_iter().chain(accepts).min();
        self.ebpf.told(needed.unwrap_or(self.ebpf.position()))
    }

    /// Whether a daemon before watched all of these ports: what it left can be told before an
    /// inventory, which has nothing new of them.
    pub fn succeeds(&self, ports: &Ports<'_>) -> bool {
        let rows = [ports.connect, ports.accept, ports.listen];
        let words = rows.into_iter().flatten();
        self.known.as_deref().is_some_and(|known| {
            let mut pairs = words.zip(known);
            pairs.all(|(word, known)| word & !known == 0)
        })
    }

    /// Appends what is open on these ports, and before it what the probes saw meanwhile, without
    /// telling a socket twice. For a start, and for ports that are new.
    pub fn inventory(
        &mut self,
        ports: &Ports<'_>,
        events: &mut Vec<Event>,
    ) -> Result<Option<Loss>, EbpfError> {
        let time_ns = self.now_ns();
        let found = inventory::take(ports, time_ns);
        // Whatever was opened after the probes were attached is in the ring buffer by now.
        let first = events.len();
        while self.drain(time_ns, events)? {}
        let place = |event: &Event| {
            let socket = &event.socket;
            (event.kind, socket.netns, socket.client, socket.server)
        };
        let waiting = self.accepts.iter().flat_map(Accepts::waiting);
        let seen: HashSet<_> = events
            .iter()
            .skip(first)
            .chain(waiting)
            .map(place)
            .collect();
        let known = self.known.take();
        let is_known = |event: &Event| {
            let watched = known.as_deref();
            watched.is_some_and(|words| is_watched(words, event))
        };
        for mut event in found.events {
            if !seen.contains(&place(&event)) {
                self.owners.attribute(&mut event, |_, _| None);
                if !is_known(&event) {
                    events.push(event);
                }
            }
        }
        Ok((found.omitted > 0).then(|| Loss {
            time_ns,
            subject: "inventory".to_owned(),
            cause: "too_many_found".to_owned(),
            count: found.omitted,
        }))
    }

    /// Proves every minute that each subject is seen; what is wrong, once it is known. To be called
    /// often. A flood of others, of which the ring buffer is never empty, hinders no proof.
    pub fn prove(&mut self, now_ns: u64) -> Option<Result<(), Fault>> {
        let was_under_way = self.canary.is_under_way();
        let position = self.ebpf.position();
        // A reader that stands still, before a record that is none, will not come to the end.
        let reads_on = std::mem::replace(&mut self.canary_seen, position) != position;
        if was_under_way && reads_on && position < self.canary_end {
            return None;
        }
        let verdict = self.canary.step(now_ns);
        if !was_under_way {
            self.canary_end = self.ebpf.end();
        }
        verdict
    }

    /// Looks every five seconds whether the probes are still what was attached; what changed since
    /// the look before.
    pub fn audit(&mut self, now_ns: u64) -> Option<Fault> {
        if now_ns < self.audit_due_ns {
            return None;
        }
        self.audit_due_ns = now_ns.saturating_add(AUDIT_NS);
        let changes = self.ebpf.changes();
        let new = changes != self.changes && !changes.is_empty();
        self.changes = changes;
        new.then(|| Fault::Changed(self.changes.clone()))
    }

    /// What the last audit found changed.
    pub fn changes(&self) -> &[String] {
        &self.changes
    }

    /// Bytes of the ring buffer in use, and in all.
    pub fn ring_buffer(&self) -> (u64, u64) {
        self.ebpf.ring_buffer()
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
        let unjoined = self.ebpf.unjoined() + std::mem::take(&mut self.join.unjoined);
        if unjoined > 0 {
            losses.push(Loss {
                time_ns,
                subject: "outcome".to_owned(),
                cause: "attempt_unknown".to_owned(),
                count: unjoined,
            });
        }
        losses
    }

    /// What became of each subject's records.
    pub fn summary(&self) -> [Summary; 4] {
        self.ebpf.summary()
    }
}

/// Whether the event's port is set in the three bitmaps of the probes.
fn is_watched(words: &[u64], event: &Event) -> bool {
    let row = match event.kind {
        Kind::ConnectAttempt | Kind::ConnectOutcome => 0,
        Kind::Accept => 1,
        Kind::Listen => 2,
    };
    let port = usize::from(event.socket.server.port);
    let word = words.get((row << 10) + (port >> 6)).copied();
    word.is_some_and(|word| (word >> (port & 63)) & 1 == 1)
}

/// The ports of the rules, and that of the canary.
struct Watched([Box<[u64; 1024]>; 3]);

impl Watched {
    fn of(ports: &Ports<'_>, canary: &Canary) -> Self {
        Self([ports.connect, ports.accept, ports.listen].map(|bits| {
            let mut bits = Box::new(*bits);
            let port = canary.port();
            if let Some(word) = bits.get_mut(usize::from(port >> 6)) {
                *word |= 1 << (port & 63);
            }
            bits
        }))
    }

    fn ports(&self) -> Ports<'_> {
        let [connect, accept, listen] = &self.0;
        Ports {
            connect,
            accept,
            listen,
        }
    }
}
