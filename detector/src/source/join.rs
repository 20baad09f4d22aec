//! Joins a connect's attempt with its outcome: the attempt is held for its source port, at most
//! 100 ms, so that a blackholed connect is not silent. An outcome that comes first waits as long for
//! its attempt. Pure: the caller passes the time.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use super::decode::Decoded;
use crate::event::{Event, Kind};

/// How long an attempt waits for its source port, and an outcome for its attempt.
pub const HOLD_NS: u64 = 100_000_000;
/// Connects under way that are remembered; beyond, the oldest is let go. As in the probes.
const MAX_PENDING: usize = 16_384;
/// Outcomes that wait for their attempt; beyond, the oldest counts as unjoined.
const MAX_EARLY: usize = 1024;
/// How long an outcome is waited for: more than twice what `tcp_syn_retries` allows by default.
const FORGET_NS: u64 = 300_000_000_000;

#[derive(Debug, Default)]
pub struct Join {
    /// By cookie: the attempt, and whether it was released.
    pending: HashMap<u64, (Event, bool)>,
    /// Attempts not released yet, by time and cookie: the address of the sock.
    held: BTreeMap<(u64, u64), u64>,
    /// Attempts in the order of arrival, for the bound: the positions of their records.
    order: BTreeMap<(u64, u64), u64>,
    /// Outcomes that came before their attempt, by cookie.
    early: HashMap<u64, Early>,
    /// Their times and cookies, and those of some that were joined since.
    early_order: VecDeque<(u64, u64)>,
    /// Outcomes whose attempt is not known.
    pub unjoined: u64,
}

#[derive(Debug)]
struct Early {
    outcome: Event,
    /// Of its record in the ring buffer.
    position: u64,
    /// It was told perhaps, with an attempt that is not known any more.
    is_old: bool,
}

impl Join {
    /// Takes one record, by its position in the ring buffer, and hands out the events that are
    /// complete, in order.
    pub fn push(&mut self, position: u64, record: Decoded, out: &mut Vec<Event>) {
        let Decoded {
            event,
            sock,
            refused,
            wanted: _,
        } = record;
        match event.kind {
            Kind::ConnectAttempt => match self.early.remove(&event.socket.cookie) {
                Some(early) => join_early(event, early.outcome, refused, out),
                None => self.begin(event, sock, position, out),
            },
            Kind::ConnectOutcome => self.end(event, position, out),
            Kind::Accept | Kind::Listen => out.push(event),
        }
    }

    fn begin(&mut self, attempt: Event, sock: u64, position: u64, out: &mut Vec<Event>) {
        let cookie = attempt.socket.cookie;
        let key = (attempt.time_ns, cookie);
        let known = attempt.socket.client.is_some_and(|client| client.port != 0);
        if known {
            out.push(attempt.clone());
        } else {
            self.held.insert(key, sock);
        }
        self.order.insert(key, position);
        self.pending.insert(cookie, (attempt, known));
        if self.pending.len() > MAX_PENDING
            && let Some(((time_ns, cookie), _)) = self.order.pop_first()
        {
            self.held.remove(&(time_ns, cookie));
            if let Some((oldest, released)) = self.pending.remove(&cookie)
                && !released
            {
                out.push(oldest);
            }
        }
    }

    fn end(&mut self, outcome: Event, position: u64, out: &mut Vec<Event>) {
        let cookie = outcome.socket.cookie;
        let Some((mut attempt, released)) = self.pending.remove(&cookie) else {
            self.early_order.push_back((outcome.time_ns, cookie));
            let early = Early {
                outcome,
                position,
                is_old: false,
            };
            self.early.insert(cookie, early);
            if self.early_order.len() > MAX_EARLY {
                self.give_up_early();
            }
            return;
        };
        self.held.remove(&(attempt.time_ns, cookie));
        self.order.remove(&(attempt.time_ns, cookie));
        attempt.socket.client = outcome.socket.client;
        let outcome = with_process(outcome, &attempt);
        if !released {
            out.push(attempt);
        }
        out.push(outcome);
    }

    /// The oldest outcome that waits for its attempt waits no longer.
    fn give_up_early(&mut self) {
        if let Some((_, cookie)) = self.early_order.pop_front()
            && let Some(early) = self.early.remove(&cookie)
            && !early.is_old
        {
            self.unjoined += 1;
        }
    }

    /// Releases the attempts that have waited long enough by `now_ns`; `port` asks the kernel for
    /// the source port of a sock with a cookie, 0 if it is not known.
    pub fn expire(&mut self, now_ns: u64, port: impl Fn(u64, u64) -> u16, out: &mut Vec<Event>) {
        self.release(now_ns, port, out);
        while let Some((time_ns, _)) = self.early_order.front()
            && time_ns.saturating_add(HOLD_NS) <= now_ns
        {
            self.give_up_early();
        }
        self.forget(now_ns);
    }

    /// As `expire`, for the attempts that wait for their source port alone.
    pub fn release(&mut self, now_ns: u64, port: impl Fn(u64, u64) -> u16, out: &mut Vec<Event>) {
        while let Some(entry) = self.held.first_entry()
            && entry.key().0.saturating_add(HOLD_NS) <= now_ns
        {
            let ((_, cookie), sock) = entry.remove_entry();
            if let Some((attempt, released)) = self.pending.get_mut(&cookie) {
                *released = true;
                if let Some(client) = &mut attempt.socket.client {
                    client.port = port(sock, cookie);
                }
                out.push(attempt.clone());
            }
        }
    }

    /// The position of the first record that is needed still: of an attempt that is held, or since
    /// `since_ns` and has no outcome, or of an outcome without an attempt.
    pub fn needed(&self, since_ns: u64) -> Option<u64> {
        let held = self.held.first_key_value();
        let since_ns = held.map_or(since_ns, |((time_ns, _), _)| since_ns.min(*time_ns));
        let attempts = self
            .order
            .range((since_ns, 0)..)
            .map(|(_, position)| position);
        let outcomes = self.early.values().map(|early| &early.position);
        attempts.chain(outcomes).min().copied()
    }

    /// What was pushed is from before: an outcome without its attempt is none that is lost.
    pub fn is_old(&mut self) {
        self.unjoined = 0;
        self.early
            .values_mut()
            .for_each(|early| early.is_old = true);
    }

    /// Lets go of the attempts whose outcome was lost.
    fn forget(&mut self, now_ns: u64) {
        while let Some(entry) = self.order.first_entry()
            && entry.key().0.saturating_add(FORGET_NS) <= now_ns
        {
            let ((_, cookie), _) = entry.remove_entry();
            self.pending.remove(&cookie);
        }
    }

    /// When the oldest attempt that is held will have waited long enough.
    pub fn deadline_ns(&self) -> Option<u64> {
        let ((time_ns, _), _) = self.held.first_key_value()?;
        Some(time_ns.saturating_add(HOLD_NS))
    }
}

/// The attempt of a connect that failed within its system call: its end was told before, without
/// the error that only the call's result has, and with the ends that the kernel then took back.
fn join_early(mut attempt: Event, mut outcome: Event, refused: i32, out: &mut Vec<Event>) {
    attempt.socket = outcome.socket.clone();
    attempt.time_ns = attempt.time_ns.min(outcome.time_ns);
    if refused != 0 {
        outcome.errno = Some(refused);
    }
    let outcome = with_process(outcome, &attempt);
    out.extend([attempt, outcome]);
}

/// An outcome comes in whatever process the softirq interrupted: its process is the attempt's.
fn with_process(outcome: Event, attempt: &Event) -> Event {
    Event {
        attribution: attempt.attribution,
        thread: attempt.thread.clone(),
        creator: attempt.creator.clone(),
        process: Arc::clone(&attempt.process),
        ..outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Attribution, Elapsed, Endpoint, Family, Socket, Thread};

    fn event(kind: Kind, cookie: u64, time_ns: u64, port: u16) -> Decoded {
        let end = |port| Endpoint {
            ip: [127, 0, 0, 1].into(),
            port,
        };
        let comm = if kind == Kind::ConnectAttempt {
            "curl"
        } else {
            ""
        };
        let event = Event {
            number: 0,
            time_ns,
            cpu: 0,
            kind,
            socket: Socket {
                cookie,
                family: Family::Ipv4,
                mapped: false,
                client: Some(end(port)),
                server: end(10250),
                netns: 1,
            },
            errno: (kind != Kind::ConnectAttempt).then_some(0),
            attribution: Attribution::Caller,
            thread: Thread {
                tid: 1,
                comm: comm.to_owned(),
            },
            found: false,
            elapsed: Elapsed::default(),
            names: None,
            original: None,
            creator: None,
            process: Arc::default(),
        };
        Decoded {
            event,
            sock: 1,
            wanted: None,
            refused: 0,
        }
    }

    #[test]
    fn the_outcome_completes_the_attempt_and_takes_its_process() {
        let (mut join, mut out) = (Join::default(), Vec::new());
        join.push(0, event(Kind::ConnectAttempt, 1, 10, 0), &mut out);
        assert!(out.is_empty() && join.deadline_ns() == Some(10 + HOLD_NS));
        join.push(0, event(Kind::ConnectOutcome, 1, 20, 5002), &mut out);
        let [attempt, outcome] = &out[..] else {
            panic!("{out:?}")
        };
        assert_eq!(attempt.socket.client.unwrap().port, 5002);
        assert_eq!((attempt.errno, outcome.errno), (None, Some(0)));
        assert_eq!(outcome.thread.comm, "curl");
        assert!(join.deadline_ns().is_none());
    }

    #[test]
    fn a_blackholed_attempt_is_released_once_and_its_late_outcome_is_joined() {
        let (mut join, mut out) = (Join::default(), Vec::new());
        join.push(0, event(Kind::ConnectAttempt, 1, 10, 0), &mut out);
        join.expire(10 + HOLD_NS - 1, |_, _| 5001, &mut out);
        assert!(out.is_empty());
        join.expire(10 + HOLD_NS, |_, _| 5001, &mut out);
        join.expire(10 + 2 * HOLD_NS, |_, _| 0, &mut out);
        join.expire(9 + FORGET_NS, |_, _| 0, &mut out);
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].socket.client.unwrap().port, 5001);
        join.push(0, event(Kind::ConnectOutcome, 1, 20, 5002), &mut out);
        assert_eq!(out.len(), 2);
        join.push(0, event(Kind::ConnectOutcome, 9, 20, 5002), &mut out);
        join.expire(19 + HOLD_NS, |_, _| 0, &mut out);
        assert_eq!((out.len(), join.unjoined), (2, 0), "its attempt may follow");
        join.expire(20 + HOLD_NS, |_, _| 0, &mut out);
        assert_eq!((out.len(), join.unjoined), (2, 1));
    }

    #[test]
    fn an_outcome_that_comes_first_is_joined_and_has_the_errno_of_the_call() {
        let (mut join, mut out) = (Join::default(), Vec::new());
        join.push(0, event(Kind::ConnectOutcome, 1, 20, 5002), &mut out);
        assert!(out.is_empty());
        let attempt = event(Kind::ConnectAttempt, 1, 21, 0);
        let refused = Decoded {
            refused: 99,
            ..attempt
        };
        join.push(0, refused, &mut out);
        let [attempt, outcome] = &out[..] else {
            panic!("{out:?}")
        };
        assert_eq!((attempt.errno, outcome.errno), (None, Some(99)));
        assert_eq!(attempt.socket.client.unwrap().port, 5002);
        assert_eq!(outcome.thread.comm, "curl");
        assert!(attempt.time_ns <= outcome.time_ns);
        join.expire(u64::MAX, |_, _| 0, &mut out);
        assert_eq!((out.len(), join.unjoined), (2, 0));
    }

    #[test]
    fn outcomes_that_wait_are_bounded_and_each_is_counted() {
        let (mut join, mut out) = (Join::default(), Vec::new());
        for cookie in 0..=MAX_EARLY as u64 {
            join.push(0, event(Kind::ConnectOutcome, cookie, 20, 5002), &mut out);
        }
        assert_eq!((join.early.len(), join.unjoined), (MAX_EARLY, 1));
        join.expire(u64::MAX, |_, _| 0, &mut out);
        assert!(out.is_empty() && join.early_order.is_empty());
        assert_eq!(join.unjoined, 1 + MAX_EARLY as u64);
    }

    #[test]
    fn a_record_is_needed_until_its_counterpart_came() {
        let (mut join, mut out) = (Join::default(), Vec::new());
        join.push(100, event(Kind::ConnectAttempt, 1, 10, 5001), &mut out);
        join.push(200, event(Kind::ConnectAttempt, 2, 20, 0), &mut out);
        join.push(300, event(Kind::ConnectOutcome, 3, 30, 5003), &mut out);
        assert_eq!((join.needed(0), join.needed(11)), (Some(100), Some(200)));
        assert_eq!(join.needed(21), Some(200), "it is not told yet");
        join.release(20 + HOLD_NS, |_, _| 5002, &mut out);
        assert_eq!(join.needed(21), Some(300));
        join.push(400, event(Kind::ConnectAttempt, 3, 29, 0), &mut out);
        assert_eq!(join.needed(21), None);
        join.push(500, event(Kind::ConnectOutcome, 1, 40, 5001), &mut out);
        assert_eq!(join.needed(0), Some(200));
    }

    #[test]
    fn an_old_outcome_is_not_lost_and_is_joined_if_its_attempt_follows() {
        let (mut join, mut out) = (Join::default(), Vec::new());
        join.push(0, event(Kind::ConnectOutcome, 1, 20, 5001), &mut out);
        join.push(0, event(Kind::ConnectOutcome, 2, 20, 5002), &mut out);
        join.is_old();
        join.push(0, event(Kind::ConnectAttempt, 2, 21, 0), &mut out);
        assert_eq!(out.len(), 2);
        join.expire(u64::MAX, |_, _| 0, &mut out);
        assert_eq!((out.len(), join.unjoined), (2, 0));
    }

    #[test]
    fn an_attempt_whose_outcome_is_lost_is_forgotten() {
        let (mut join, mut out) = (Join::default(), Vec::new());
        join.push(0, event(Kind::ConnectAttempt, 1, 10, 0), &mut out);
        join.expire(10 + FORGET_NS, |_, _| 0, &mut out);
        assert_eq!((out.len(), join.pending.len(), join.order.len()), (1, 0, 0));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_nothing_silently() {
        let (mut join, mut out) = (Join::default(), Vec::new());
        for cookie in 0..=MAX_PENDING as u64 {
            join.push(0, event(Kind::ConnectAttempt, cookie, cookie, 0), &mut out);
        }
        assert_eq!(out.len(), 1);
        assert_eq!(join.pending.len(), MAX_PENDING);
    }
}
