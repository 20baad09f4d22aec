//! The deliveries of a run, on a thread of their own.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Handle},
    sync::watch,
};

use super::{DeadLetters, Delivery, Means, Order, Refusals, Stats};
use crate::sink::{
    News,
    spool::{Reader, Spool},
};

/// Dropped by whoever the thread need not go on for any more.
type Alive = tokio::sync::mpsc::Sender<()>;

/// One for each sink that the spool serves; others begin and end while they go on.
pub(in crate::sink) struct Deliveries {
    runtime: Handle,
    each: Vec<Task>,
    refusals: Arc<Refusals>,
    /// Every delivery has one, and the thread ends with the last; `None` at the end.
    alive: Option<Alive>,
    /// Closed when the thread has ended.
    ended: mpsc::Receiver<()>,
}

struct Task {
    name: String,
    /// The number of its reader.
    reader: usize,
    stats: Arc<Stats>,
    orders: Arc<watch::Sender<Order>>,
}

impl Deliveries {
    pub(in crate::sink) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, mut dead) = tokio::sync::mpsc::channel(1);
        let (end, ended) = mpsc::channel();
        std::thread::Builder::new()
            .name("sinks".to_owned())
            .spawn(move || {
                runtime.block_on(async { while dead.recv().await.is_some() {} });
                drop(end);
            })?;
        Ok(Self {
            runtime: handle,
            each: Vec::new(),
            refusals: Arc::default(),
            alive: Some(alive),
            ended,
        })
    }

    /// The number of the reader that the delivery of this name has.
    pub(in crate::sink) fn reader(&self, name: &str) -> Option<usize> {
        let task = self.each.iter().find(|task| task.name == name);
        task.map(|task| task.reader)
    }

    pub(in crate::sink) fn begin(
        &mut self,
        name: &str,
        reader: Reader,
        means: Means,
        dead: DeadLetters,
        spool: &Spool,
    ) {
        let task = Task {
            name: name.to_owned(),
            reader: reader.id(),
            stats: Arc::default(),
            orders: Arc::new(watch::Sender::new(Order::Deliver)),
        };
        let delivery = Delivery {
            name: name.to_owned(),
            reader,
            means,
            dead,
            stats: Arc::clone(&task.stats),
            refusals: Arc::clone(&self.refusals),
            orders: Arc::clone(&task.orders),
        };
        let (grown, alive) = (spool.grown(), self.alive.clone());
        self.runtime.spawn(watched(delivery, grown, alive));
        self.each.push(task);
    }

    /// The delivery of this name goes on by other means.
    pub(in crate::sink) fn turn(&self, name: &str, means: Means) {
        if let Some(task) = self.each.iter().find(|task| task.name == name) {
            task.orders.send_replace(Order::Turn(Box::new(means)));
        }
    }

    /// Of all others than these the sinks are no more; the numbers of their readers.
    pub(in crate::sink) fn keep(&mut self, names: &[&str]) -> Vec<usize> {
        let mut left = Vec::new();
        self.each.retain(|task| {
            let stays = names.contains(&&*task.name);
            if !stays {
                task.orders.send_replace(Order::Leave);
                left.push(task.reader);
            }
            stays
        });
        left
    }

    pub(in crate::sink) fn stats(&self) -> impl Iterator<Item = (&str, &Stats)> {
        self.each.iter().map(|task| (&*task.name, &*task.stats))
    }

    /// What was refused since it was told; `last`: what is not told now never is.
    pub(in crate::sink) fn news(&self, last: bool) -> Vec<News> {
        self.refusals.news(Instant::now(), last)
    }

    fn stop(&mut self) {
        for task in &self.each {
            task.orders.send_replace(Order::Stop);
        }
        self.alive = None;
    }

    /// Waits so long for peers that still take alerts.
    pub(in crate::sink) fn finish(mut self, most: Duration, spool: &Spool) {
        self.stop();
        let done = self.ended.recv_timeout(most);
        let behind = spool.behind();
        for task in &self.each {
            let (sink, stats) = (&task.name, task.stats.snapshot());
            tracing::info!(
                sink,
                delivered = stats.delivered,
                refused = stats.refused,
                behind = behind.get(sink).copied().unwrap_or(0),
                "stopped"
            );
        }
        if done == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("a sink takes alerts too slowly to wait for it");
        }
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A task that ends before it is told to, by a mistake in it, ends alone and is told.
async fn watched(one: Delivery, grown: watch::Receiver<u64>, alive: Option<Alive>) {
    let stats = Arc::clone(&one.stats);
    if let Err(error) = tokio::spawn(one.run(grown)).await {
        stats.fails(&format!(
            "its task has ended ({error}): restart the detector"
        ));
    }
    drop(alive);
}
