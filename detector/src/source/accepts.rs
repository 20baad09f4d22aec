//! Joins what the probes tell of an accepted connection twice, where accepts have a program of their
//! own: the end of its handshake, which names no process, and its accept. The first waits for the
//! second at most 100 ms; then it is told without, and `owner` names who listens. Pure: the caller
//! passes the time.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use super::{decode::Decoded, join::HOLD_NS};
use crate::event::{Attribution, Endpoint, Event, Process};

/// Connections that nobody accepted and that are remembered, as in the probes: those whose handshake
/// waits, of which the oldest is told then, and those that are told.
const MAX_UNACCEPTED: usize = 16_384;
/// Accepts whose handshake is still to come; beyond, the oldest is forgotten.
const MAX_EARLY: usize = 1024;
/// What is read in /proc is no more exact (`USER_HZ`).
const TICK_NS: u64 = 10_000_000;

#[derive(Debug, Default)]
pub struct Accepts {
    /// Ends of handshakes, by cookie, with the positions of their records.
    waiting: HashMap<u64, (Event, u64)>,
    /// Their times and cookies.
    order: BTreeSet<(u64, u64)>,
    /// Handshakes that were told without their accept, by cookie.
    told: HashMap<u64, Told>,
    /// In the order in which they were told, with some that were accepted since.
    told_order: VecDeque<u64>,
    /// Accepts that came first, by cookie: the positions of their records.
    early: HashMap<u64, u64>,
    /// Their times and cookies, with some whose handshake came since.
    early_order: VecDeque<(u64, u64)>,
    /// Handshakes were told that are not known here.
    forgot: bool,
}

/// Of which connection, and whom it named.
#[derive(Debug)]
struct Told {
    client: Option<Endpoint>,
    named: Arc<Process>,
}

impl Accepts {
    /// Others told handshakes before: an accept may be of one of these.
    pub fn succeed(&mut self) {
        self.forgot = true;
    }

    /// Takes one record, by its position in the ring buffer; `owner` says who would be named if there
    /// were only the handshake.
    pub fn push(
        &mut self,
        position: u64,
        record: Decoded,
        owner: impl FnOnce(&Event) -> Option<Arc<Process>>,
        out: &mut Vec<Event>,
    ) {
        let is_announced = record.is_announced();
        let event = record.event;
        if event.attribution == Attribution::Unknown {
            self.established(position, event, out);
        } else if self.is_news(position, &event, is_announced, owner, out) {
            out.push(event);
        }
    }

    fn established(&mut self, position: u64, event: Event, out: &mut Vec<Event>) {
        let cookie = event.socket.cookie;
        if self.early.remove(&cookie).is_some() {
            return;
        }
        self.order.insert((event.time_ns, cookie));
        self.waiting.insert(cookie, (event, position));
        if self.waiting.len() > MAX_UNACCEPTED {
            self.release_first(out);
        }
    }

    /// Whether nothing was told yet of this accept by this process.
    fn is_news(
        &mut self,
        position: u64,
        event: &Event,
        is_announced: bool,
        owner: impl FnOnce(&Event) -> Option<Arc<Process>>,
        out: &mut Vec<Event>,
    ) -> bool {
        let cookie = event.socket.cookie;
        if let Some((handshake, _)) = self.waiting.remove(&cookie) {
            self.order.remove(&(handshake.time_ns, cookie));
            if handshake.socket != event.socket {
                // Of a socket that was at the same address before.
                out.push(handshake);
            }
            return true;
        }
        if !is_announced {
            return true;
        }
        if let Some(Told { client, named }) = self.told.remove(&cookie) {
            return client != event.socket.client || !is_same(&named, &event.process);
        }
        if self.forgot && owner(event).is_some_and(|owner| is_same(&owner, &event.process)) {
            return false;
        }
        self.early.insert(cookie, position);
        self.early_order.push_back((event.time_ns, cookie));
        if self.early_order.len() > MAX_EARLY {
            self.forget_early();
        }
        true
    }

    /// An accept that was told without a caller, as it was told.
    pub fn named(&mut self, event: &Event) {
        let cookie = event.socket.cookie;
        let told = Told {
            client: event.socket.client,
            named: Arc::clone(&event.process),
        };
        self.told.insert(cookie, told);
        self.told_order.push_back(cookie);
        if self.told_order.len() > MAX_UNACCEPTED
            && let Some(oldest) = self.told_order.pop_front()
            && self.told.remove(&oldest).is_some()
        {
            self.forgot = true;
        }
    }

    /// Hands out the handshakes that have waited long enough by `now_ns`.
    pub fn release(&mut self, now_ns: u64, out: &mut Vec<Event>) {
        while self.deadline_ns().is_some_and(|due_ns| due_ns <= now_ns) {
            self.release_first(out);
        }
    }

    fn release_first(&mut self, out: &mut Vec<Event>) {
        if let Some((_, cookie)) = self.order.pop_first()
            && let Some((event, _)) = self.waiting.remove(&cookie)
        {
            out.push(event);
        }
    }

    /// As `release`, when all records until `now_ns` were pushed.
    pub fn expire(&mut self, now_ns: u64, out: &mut Vec<Event>) {
        self.release(now_ns, out);
        while let Some((time_ns, _)) = self.early_order.front()
            && time_ns.saturating_add(HOLD_NS) <= now_ns
        {
            self.forget_early();
        }
    }

    fn forget_early(&mut self) {
        if let Some((_, cookie)) = self.early_order.pop_front() {
            self.early.remove(&cookie);
        }
    }

    /// The handshakes that wait.
    pub fn waiting(&self) -> impl Iterator<Item = &Event> {
        self.waiting.values().map(|(event, _)| event)
    }

    /// The position of the first record that is needed still.
    pub fn needed(&self) -> Option<u64> {
        let waiting = self.waiting.values().map(|(_, position)| position);
        waiting.chain(self.early.values()).min().copied()
    }

    /// When the oldest handshake will have waited long enough.
    pub fn deadline_ns(&self) -> Option<u64> {
        let (time_ns, _) = self.order.first()?;
        Some(time_ns.saturating_add(HOLD_NS))
    }
}

/// Whether this is the process that was named: the same program too, for a listener survives exec.
fn is_same(named: &Process, process: &Process) -> bool {
    process.pid != 0
        && named.pid == process.pid
        && named.start_time_ns.abs_diff(process.start_time_ns) < TICK_NS
        && named.exe.path == process.exe.path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Elapsed, Family, Kind, Socket, Thread};

    const SERVER: u32 = 7;

    fn record(cookie: u64, time_ns: u64, pid: u32) -> Decoded {
        let end = |port| Endpoint {
            ip: [127, 0, 0, 1].into(),
            port,
        };
        let process = Process {
            pid,
            start_time_ns: 3,
            ..Process::default()
        };
        let event = Event {
            number: 0,
            time_ns,
            cpu: 0,
            kind: Kind::Accept,
            socket: Socket {
                cookie,
                family: Family::Ipv4,
                mapped: false,
                client: Some(end(5000)),
                server: end(10250),
                netns: 1,
            },
            errno: Some(0),
            attribution: match pid {
                0 => Attribution::Unknown,
                _ => Attribution::Caller,
            },
            thread: Thread::default(),
            found: false,
            elapsed: Elapsed::default(),
            names: None,
            original: None,
            creator: None,
            process: Arc::new(process),
        };
        Decoded {
            event,
            sock: 1,
            wanted: None,
            refused: 0,
        }
    }

    /// A cookie of the state tracepoint, and one of the program of accepts.
    const TOLD: u64 = 5;
    const OWN: u64 = 5 | 4 << detector_ebpf::COOKIE_SLOT_SHIFT;

    #[derive(Default)]
    struct Run {
        accepts: Accepts,
        out: Vec<Event>,
    }

    impl Run {
        fn established(&mut self, cookie: u64, time_ns: u64) {
            let handshake = record(cookie, time_ns, 0);
            self.accepts.push(100, handshake, |_| None, &mut self.out);
        }

        fn accepted(&mut self, cookie: u64, time_ns: u64, pid: u32) {
            let owner = |event: &Event| Some(record(event.socket.cookie, 0, SERVER).event.process);
            let accept = record(cookie, time_ns, pid);
            self.accepts.push(200, accept, owner, &mut self.out);
        }

        /// What is told, as `owner` completes it: the named process of each, and whether it called.
        fn told(&mut self) -> Vec<(u32, bool)> {
            let mut told = Vec::new();
            for mut event in self.out.drain(..) {
                let called = event.attribution == Attribution::Caller;
                if !called {
                    event.process = record(0, 0, SERVER).event.process;
                    self.accepts.named(&event);
                }
                told.push((event.process.pid, called));
            }
            told
        }

        fn expired(&mut self, now_ns: u64) -> Vec<(u32, bool)> {
            self.accepts.expire(now_ns, &mut self.out);
            self.told()
        }
    }

    #[test]
    fn an_accept_in_time_is_the_only_event() {
        let mut run = Run::default();
        run.established(TOLD, 10);
        assert_eq!(run.told(), []);
        assert_eq!(run.accepts.deadline_ns(), Some(10 + HOLD_NS));
        assert_eq!(run.expired(9 + HOLD_NS), []);
        run.accepted(TOLD, 20, 8);
        assert_eq!(run.told(), [(8, true)]);
        assert_eq!(run.accepts.deadline_ns(), None);
        assert_eq!(run.expired(u64::MAX), []);
    }

    #[test]
    fn a_handshake_that_comes_second_is_no_second_event() {
        let mut run = Run::default();
        run.accepted(TOLD, 20, 8);
        assert_eq!(run.told(), [(8, true)]);
        assert_eq!(run.accepts.needed(), Some(200));
        run.established(TOLD, 10);
        assert_eq!(run.accepts.needed(), None);
        assert_eq!(run.expired(u64::MAX), []);
    }

    #[test]
    fn a_connection_that_nobody_accepts_is_told_in_time() {
        let mut run = Run::default();
        run.established(TOLD, 10);
        assert_eq!(run.accepts.needed(), Some(100));
        assert_eq!(run.expired(10 + HOLD_NS), [(SERVER, false)]);
        assert_eq!(run.accepts.needed(), None);
        assert_eq!(run.expired(u64::MAX), []);
    }

    #[test]
    fn a_late_accept_is_told_if_another_process_was_named() {
        for (pid, expected) in [(SERVER, vec![]), (8, vec![(8, true)])] {
            let mut run = Run::default();
            run.established(TOLD, 10);
            assert_eq!(run.expired(10 + HOLD_NS), [(SERVER, false)]);
            run.accepted(TOLD, 20 + HOLD_NS, pid);
            assert_eq!(run.told(), expected);
            assert_eq!(run.expired(u64::MAX), []);
        }
    }

    #[test]
    fn a_process_is_the_one_that_was_named_while_it_runs_the_same_program() {
        let process = record(0, 0, SERVER).event.process;
        let other = |change: fn(&mut Process)| {
            let mut other = (*process).clone();
            change(&mut other);
            is_same(&process, &other)
        };
        assert!(other(|other| other.start_time_ns += TICK_NS - 1));
        assert!(!other(|other| other.start_time_ns += TICK_NS));
        assert!(!other(|other| other.exe.path.push('x')));
        let nobody = Process::default();
        assert!(!is_same(&nobody, &nobody));
    }

    #[test]
    fn an_accept_whose_handshake_was_not_told_is_told_at_once() {
        let mut run = Run::default();
        run.accepts.succeed();
        run.accepted(OWN, 10, SERVER);
        assert_eq!(run.told(), [(SERVER, true)]);
        assert_eq!(run.accepts.needed(), None, "nothing is to follow");
    }

    #[test]
    fn an_accept_of_a_connection_that_others_told_is_told_if_it_is_not_the_owners() {
        let mut run = Run::default();
        run.accepts.succeed();
        run.accepted(TOLD, 10, SERVER);
        assert_eq!(run.told(), []);
        run.accepted(TOLD + 1, 10, 8);
        assert_eq!(run.told(), [(8, true)]);
    }

    #[test]
    fn a_cookie_of_another_connection_joins_nothing() {
        let mut accept = record(TOLD, 20, SERVER);
        accept.event.socket.client = None;
        for now_ns in [10, 10 + HOLD_NS] {
            let mut run = Run::default();
            run.established(TOLD, 10);
            run.accepts.expire(now_ns, &mut run.out);
            let mut told = run.told();
            let accept = accept.clone();
            run.accepts.push(200, accept, |_| None, &mut run.out);
            told.extend(run.told());
            assert_eq!(told, [(SERVER, false), (SERVER, true)]);
        }
    }

    #[test]
    fn the_tables_are_bounded_and_no_connection_is_silent() {
        let mut run = Run::default();
        for cookie in 0..=MAX_UNACCEPTED as u64 {
            run.established(cookie, cookie);
        }
        assert_eq!(run.told(), [(SERVER, false)]);
        assert_eq!(run.accepts.waiting().count(), MAX_UNACCEPTED);
        assert_eq!(run.expired(u64::MAX).len(), MAX_UNACCEPTED);
        assert_eq!(run.accepts.told.len(), MAX_UNACCEPTED);
        assert!(run.accepts.forgot);
        run.accepted(0, 1, SERVER);
        assert_eq!(run.told(), [], "the owner was named");
        for cookie in 0..=MAX_EARLY as u64 {
            run.accepted(MAX_UNACCEPTED as u64 + 1 + cookie, 1, 8);
        }
        assert_eq!(run.told().len(), MAX_EARLY + 1);
        assert_eq!(run.accepts.early.len(), MAX_EARLY);
        assert_eq!(run.expired(u64::MAX), []);
        assert!(run.accepts.early.is_empty());
    }
}
