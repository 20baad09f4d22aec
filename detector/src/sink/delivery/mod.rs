//! Hands what the spool keeps to one peer, until the peer has it: in order, at least once, for as long
//! as it takes.

mod backoff;
mod dead_letters;
mod stats;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::watch, time::sleep};

use self::backoff::Backoff;
use super::{
    format::Encoder,
    kept::Kept,
    peer::{Fate, Letter, Peer},
    spool::Reader,
};

pub(super) use dead_letters::DeadLetters;
pub use stats::{Snapshot, Stats};

/// Bytes of one batch: with what its requests add, below the limits of receivers.
const BATCH_BYTES: usize = 1 << 20;
/// A peer that wants to be asked again at once is not asked in a circle.
const SHORTEST: Duration = Duration::from_millis(1);

pub(super) struct Delivery {
    pub(super) name: String,
    pub(super) reader: Reader,
    pub(super) encoder: Encoder,
    pub(super) peer: Peer,
    pub(super) dead: DeadLetters,
    pub(super) stats: Arc<Stats>,
}

impl Delivery {
    /// Until `stop` is set and the peer has everything, or does not answer any more.
    pub(super) async fn run(
        mut self,
        mut grown: watch::Receiver<u64>,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            // What is committed from here on is seen by the wait below.
            grown.mark_unchanged();
            let batch = self.reader.batch(self.peer.batch(), BATCH_BYTES);
            if !batch.is_empty() {
                if !self.deliver(batch, &mut stop).await {
                    return;
                }
                self.reader.ack();
                continue;
            }
            if *stop.borrow() {
                self.peer.close().await;
                return;
            }
            tokio::select! {
                changed = grown.changed() => if changed.is_err() {
                    return;
                },
                _ = stop.changed() => {}
            }
        }
    }

    /// False if the daemon ends before the peer has all of them.
    async fn deliver(&mut self, batch: Vec<Kept>, stop: &mut watch::Receiver<bool>) -> bool {
        let mut letters: Vec<Letter> = batch.into_iter().map(|kept| self.letter(kept)).collect();
        let mut backoff = Backoff::default();
        loop {
            let (count, begun) = (letters.len(), Instant::now());
            let reply = self.peer.send(&letters).await;
            self.stats.asked(begun.elapsed());
            let mut why = None;
            let mut left = Vec::new();
            for (letter, fate) in letters.into_iter().zip(reply.fates) {
                match fate {
                    Fate::Delivered => self.stats.delivered(1),
                    Fate::Refused(reason) => {
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
                return true;
            };
            self.stats.retried(letters.len() as u64);
            if self.stats.fails(&why) {
                tracing::error!(
                    sink = self.name,
                    "the sink does not take alerts, they are kept and tried again: {why}"
                );
            }
            if *stop.borrow() {
                return false;
            }
            if letters.len() < count {
                backoff = Backoff::default();
            }
            let wait = reply.after.unwrap_or_else(|| backoff.next());
            tokio::select! {
                () = sleep(wait.max(SHORTEST)) => {}
                // One more try, and then the spool keeps them for the next run.
                _ = stop.changed() => {}
            }
        }
    }

    fn letter(&mut self, kept: Kept) -> Letter {
        let mut body = Vec::new();
        if self.peer.takes_bodies() {
            self.encoder.encode(&kept.alert(&kept.fields()), &mut body);
        }
        Letter { kept, body }
    }
}
