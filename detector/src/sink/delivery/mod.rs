//! Hands what the spool keeps to one peer, until the peer has it: in order, at least once, for as long
//! as it takes.

mod backoff;
mod dead_letters;
mod deliveries;
mod refusals;
mod stats;

use std::{sync::Arc, time::Instant};

use tokio::{sync::watch, task::spawn_blocking, time::sleep};

use self::{backoff::Backoff, refusals::Refusals};
use super::{
    format::Encoder,
    kept::Kept,
    peer::{Fate, Letter, Peer},
    spool::Reader,
};

pub(super) use dead_letters::DeadLetters;
pub(super) use deliveries::Deliveries;
pub use stats::{Snapshot, Stats};

/// Bytes of one batch: with what its requests add, below the limits of receivers.
const BATCH_BYTES: usize = 1 << 20;

/// How alerts are handed over.
pub(super) struct Means {
    pub(super) encoder: Encoder,
    pub(super) peer: Peer,
}

/// What a delivery is told while it is under way.
enum Order {
    Deliver,
    /// By other means from now on.
    Turn(Box<Means>),
    /// The detector ends: what the peer does not take is kept for the next run.
    Stop,
    /// The sink is no more: what the peer does not take is given up.
    Leave,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Delivers,
    Stops,
    Leaves,
}

struct Delivery {
    name: String,
    reader: Reader,
    means: Means,
    dead: DeadLetters,
    stats: Arc<Stats>,
    refusals: Arc<Refusals>,
    orders: Arc<watch::Sender<Order>>,
}

impl Delivery {
    /// Until it is told to end, and the peer has everything or does not take it.
    async fn run(mut self, mut grown: watch::Receiver<u64>) {
        let mut ordered = self.orders.subscribe();
        loop {
            // What is committed or ordered from here on is seen by the wait below.
            grown.mark_unchanged();
            ordered.mark_unchanged();
            self.turn().await;
            let state = self.state();
            let batch = self.reader.batch(self.means.peer.batch(), BATCH_BYTES);
            if !batch.is_empty() {
                match self.deliver(batch, &mut ordered).await {
                    0 => self.reader.ack(),
                    rest => return self.end(rest).await,
                }
            } else if state == State::Delivers {
                tokio::select! {
                    _ = grown.changed() => {}
                    _ = ordered.changed() => {}
                }
            } else {
                self.means.peer.close().await;
                return self.end(0).await;
            }
        }
    }

    /// Of these, so many the peer does not have when the delivery is to end.
    async fn deliver(&mut self, batch: Vec<Kept>, ordered: &mut watch::Receiver<Order>) -> u64 {
        let mut letters: Vec<Letter> = batch.into_iter().map(|kept| self.letter(kept)).collect();
        let mut backoff = Backoff::default();
        loop {
            let (count, begun) = (letters.len(), Instant::now());
            let reply = self.means.peer.send(&letters).await;
            self.stats.asked(begun.elapsed());
            let mut why = None;
            let mut left = Vec::new();
            for (letter, fate) in letters.into_iter().zip(reply.fates) {
                match fate {
                    Fate::Delivered => self.stats.delivered(1),
                    Fate::Refused(reason) => {
                        self.refusals.add(&self.name, &letter.kept.source);
                        self.stats.refused(1);
                        self.dead.bury(&letter.kept, &reason);
                    }
                    Fate::Again(reason) => {
                        why.get_or_insert(reason);
                        left.push(letter);
                    }
                }
            }
            letters = left;
            let Some(why) = why else {
                if self.stats.works() {
                    tracing::info!(sink = self.name, "the sink takes alerts again");
                }
                return 0;
            };
            self.stats.retried(letters.len() as u64);
            if self.stats.fails(&why) {
                tracing::error!(
                    sink = self.name,
                    "the sink does not take alerts, they are kept and tried again: {why}"
                );
            }
            if self.state() != State::Delivers {
                return letters.len() as u64;
            }
            if letters.len() < count {
                backoff = Backoff::default();
            }
            // A peer that asks for less than its failures make us wait may have a wrong clock.
            let wait = backoff.next().max(reply.after.unwrap_or_default());
            tokio::select! {
                () = sleep(wait) => {}
                // One more try, by whatever means there are now.
                _ = ordered.changed() => {}
            }
            if self.turn().await {
                letters = letters
                    .into_iter()
                    .map(|one| self.letter(one.kept))
                    .collect();
                backoff = Backoff::default();
            }
        }
    }

    /// Whether there are other means now.
    async fn turn(&mut self) -> bool {
        let mut turned = None;
        self.orders.send_if_modified(|order| {
            if matches!(order, Order::Turn(_))
                && let Order::Turn(means) = std::mem::replace(order, Order::Deliver)
            {
                turned = Some(*means);
            }
            false
        });
        let Some(means) = turned else {
            return false;
        };
        self.means.peer.close().await;
        self.means = means;
        true
    }

    fn state(&mut self) -> State {
        let state = match *self.orders.borrow() {
            Order::Deliver | Order::Turn(_) => State::Delivers,
            Order::Stop => State::Stops,
            Order::Leave => State::Leaves,
        };
        if state == State::Leaves {
            self.reader.end();
        }
        state
    }

    /// So many of the batches so far the peer does not have.
    async fn end(mut self, rest: u64) {
        if self.state() != State::Leaves {
            return;
        }
        let (name, mut reader) = (self.name, self.reader);
        // It may be much, and other sinks share this thread.
        if spawn_blocking(move || reader.leave(rest)).await.is_err() {
            tracing::error!(
                sink = name,
                "what the sink does not get any more is not counted"
            );
        }
    }

    fn letter(&mut self, kept: Kept) -> Letter {
        let mut body = Vec::new();
        if self.means.peer.takes_bodies() {
            let encoder = &mut self.means.encoder;
            encoder.encode(&kept.alert(&kept.fields()), &mut body);
        }
        Letter { kept, body }
    }
}
