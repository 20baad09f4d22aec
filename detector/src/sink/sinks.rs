//! All sinks of one run.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{self, RecvTimeoutError},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet};

use super::{
    News, Sink, SinkError, Style,
    delivery::{DeadLetters, Delivery, Stats},
    file::{Rotated, Stdout},
    filter::Filter,
    format::Encoder,
    peer::{Peer, PeerError},
    queue::Queue,
    settings::{SinkSettings, SpoolSettings, Target},
    spool::{Spool, SpoolError},
};
use crate::{alert::Alert, host::Host, metrics};

/// How long the end of a run waits for sinks that still take alerts.
const GRACE: Duration = Duration::from_secs(5);

/// A mistake of the settings, or of what they name.
#[derive(Debug, thiserror::Error)]
pub enum SinksError {
    #[error("{0}")]
    Target(String),
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("the sink `{sink}` cannot write {}", path.display())]
    File {
        sink: String,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot start a thread for the sinks")]
    Thread(#[source] io::Error),
}

pub struct Sinks {
    local: Vec<Local>,
    spool: Option<Spool>,
    /// Sinks that the spool serves, and how many alerts were too long for it since `news`.
    remote: Vec<((String, Arc<Filter>), u64)>,
    delivery: Option<Deliveries>,
    /// The line that is being made.
    line: Vec<u8>,
    /// What was flushed is written, when that returns.
    wait: bool,
    reopen: Vec<Arc<AtomicBool>>,
    /// Sinks of which it is told that they do not take alerts.
    failing: BTreeSet<String>,
    /// By name.
    known: BTreeMap<String, Known>,
}

/// What is known of a sink here.
struct Known {
    kind: &'static str,
    /// What `news` told dropped, by cause.
    dropped: BTreeMap<&'static str, u64>,
}

/// A sink of this machine.
struct Local {
    name: String,
    filter: Filter,
    encoder: Encoder,
    queue: Queue,
}

/// The sinks that the spool serves, on a thread of their own.
struct Deliveries {
    stop: watch::Sender<bool>,
    /// Closed when every one of them has ended.
    ended: mpsc::Receiver<()>,
    _thread: JoinHandle<()>,
    stats: Vec<(String, Arc<Stats>)>,
}

impl Sinks {
    /// `style` is of every sink, but for its format. `wait`: `flush` waits until local sinks have written.
    pub fn new(
        sinks: &[SinkSettings],
        spool: &SpoolSettings,
        style: Style,
        host: &Host,
        wait: bool,
    ) -> Result<Self, SinksError> {
        let mut all = Self {
            local: Vec::new(),
            spool: None,
            remote: Vec::new(),
            delivery: None,
            line: Vec::new(),
            wait,
            reopen: Vec::new(),
            failing: BTreeSet::new(),
            known: BTreeMap::new(),
        };
        let mut remote = Vec::new();
        for settings in sinks {
            let kind = settings.target().map_err(SinksError::Target)?.kind();
            let encoder = Encoder::new(
                Style {
                    format: settings.format(),
                    ..style
                },
                host,
            );
            match Peer::new(settings, host)? {
                Some(peer) => {
                    let causes = ["spool_full", "too_old", "too_long", "spool_damaged"];
                    all.know(settings, kind, &causes);
                    remote.push((settings, encoder, peer));
                }
                None => {
                    all.know(settings, kind, &["queue_full"]);
                    all.add_local(settings, encoder)?;
                }
            }
        }
        if !remote.is_empty() {
            let wanted: Vec<(String, Arc<Filter>)> = remote
                .iter()
                .map(|(settings, ..)| (settings.name.clone(), Arc::new(Filter::new(settings))))
                .collect();
            let (open, readers) = Spool::open(spool, &wanted)?;
            all.remote = wanted.into_iter().map(|one| (one, 0)).collect();
            let deliveries =
                remote
                    .into_iter()
                    .zip(readers)
                    .map(|((settings, encoder, peer), reader)| Delivery {
                        name: settings.name.clone(),
                        reader,
                        encoder,
                        peer,
                        dead: DeadLetters::new(&settings.name, spool.path.as_deref(), host),
                        stats: Arc::default(),
                    });
            all.delivery = Some(Deliveries::start(deliveries.collect(), open.grown())?);
            all.spool = Some(open);
        }
        Ok(all)
    }

    fn add_local(&mut self, settings: &SinkSettings, encoder: Encoder) -> Result<(), SinksError> {
        let name = &settings.name;
        let queue = match settings.target().map_err(SinksError::Target)? {
            Target::File(file) => {
                let reopen = Arc::new(AtomicBool::new(false));
                self.reopen.push(Arc::clone(&reopen));
                let out = Rotated::new(file, reopen).map_err(|source| SinksError::File {
                    sink: name.clone(),
                    path: file.path.clone(),
                    source,
                })?;
                Queue::start(name, file.when_full, out)
            }
            Target::Stdout(stdout) => Queue::start(name, stdout.when_full, Stdout),
            _ => return Ok(()),
        };
        self.local.push(Local {
            name: name.clone(),
            filter: Filter::new(settings),
            encoder,
            queue: queue.map_err(SinksError::Thread)?,
        });
        Ok(())
    }

    /// Alerts may be dropped for these causes.
    fn know(&mut self, settings: &SinkSettings, kind: &'static str, causes: &[&'static str]) {
        let dropped = causes.iter().map(|cause| (*cause, 0)).collect();
        let known = Known { kind, dropped };
        self.known.insert(settings.name.clone(), known);
    }

    fn of(&self, name: &str) -> metrics::Sink {
        let mut sink = metrics::Sink {
            name: name.to_owned(),
            ..metrics::Sink::default()
        };
        if let Some(known) = self.known.get(name) {
            known.kind.clone_into(&mut sink.kind);
            let dropped = known.dropped.iter().map(|(cause, count)| metrics::Dropped {
                cause: (*cause).to_owned(),
                count: *count,
            });
            sink.dropped = dropped.collect();
        }
        sink
    }

    /// Of the sinks that the spool serves.
    pub fn stats(&self) -> &[(String, Arc<Stats>)] {
        self.delivery
            .as_ref()
            .map_or(&[], |delivery| &delivery.stats)
    }
}

impl Sink for Sinks {
    fn write(&mut self, alert: &Alert<'_>) -> Result<(), SinkError> {
        for local in &mut self.local {
            if local.filter.passes(alert.priority, alert.rule, alert.tags) {
                self.line.clear();
                local.encoder.line(alert, &mut self.line);
                let pushed = local.queue.push(&self.line);
                pushed.map_err(|source| failed(&local.name, source))?;
            }
        }
        if let Some(spool) = &mut self.spool
            && !spool.append(alert)
        {
            for ((_, filter), too_long) in &mut self.remote {
                *too_long += u64::from(filter.passes(alert.priority, alert.rule, alert.tags));
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if let Some(spool) = &mut self.spool {
            spool.commit();
        }
        for local in &self.local {
            let flushed = local.queue.flush();
            flushed.map_err(|source| failed(&local.name, source))?;
            if self.wait && local.queue.blocks() {
                while !local.queue.wait(GRACE) {}
            }
        }
        Ok(())
    }

    fn news(&mut self) -> Vec<News> {
        let mut news = self.spool.as_ref().map_or_else(Vec::new, Spool::news);
        for local in &self.local {
            let count = local.queue.dropped();
            if count > 0 {
                news.push(News::Dropped {
                    sink: local.name.clone(),
                    cause: "queue_full",
                    count,
                });
            }
        }
        for ((name, _), too_long) in &mut self.remote {
            let count = std::mem::take(too_long);
            if count > 0 {
                news.push(News::Dropped {
                    sink: name.clone(),
                    cause: "too_long",
                    count,
                });
            }
        }
        let remote = self.stats().iter();
        let remote = remote.map(|(name, stats)| (&**name, stats.snapshot().failing));
        let local = self.local.iter();
        let local = local.map(|local| (&*local.name, local.queue.failing()));
        let told: Vec<(String, Option<String>)> = remote
            .chain(local)
            .map(|(name, why)| (name.to_owned(), why))
            .collect();
        for (sink, why) in told {
            match (why, self.failing.contains(&sink)) {
                (Some(why), false) => {
                    self.failing.insert(sink.clone());
                    news.push(News::Fails { sink, why });
                }
                (None, true) => {
                    self.failing.remove(&sink);
                    news.push(News::Works { sink });
                }
                (Some(_), true) | (None, false) => {}
            }
        }
        for one in &news {
            if let News::Dropped { sink, cause, count } = one
                && let Some(known) = self.known.get_mut(sink)
            {
                *known.dropped.entry(cause).or_default() += count;
            }
        }
        news
    }

    fn status(&self) -> metrics::Sinks {
        let local = self.local.iter().map(|local| {
            let (delivered, queued) = local.queue.progress();
            metrics::Sink {
                delivered,
                queued,
                failing: local.queue.failing(),
                ..self.of(&local.name)
            }
        });
        let behind = self.spool.as_ref().map(Spool::behind).unwrap_or_default();
        let remote = self.stats().iter().map(|(name, stats)| {
            let stats = stats.snapshot();
            let total_ns = u64::try_from(stats.request_time.as_nanos()).unwrap_or(u64::MAX);
            metrics::Sink {
                delivered: stats.delivered,
                refused: stats.refused,
                retried: stats.retried,
                behind: behind.get(name).copied().unwrap_or(0),
                requests: metrics::Times {
                    count: stats.requests,
                    total_ns,
                },
                failing: stats.failing,
                ..self.of(name)
            }
        });
        metrics::Sinks {
            each: local.chain(remote).collect(),
            spool: self.spool.as_ref().map(Spool::status),
        }
    }

    fn reopen(&mut self) {
        for reopen in &self.reopen {
            reopen.store(true, Relaxed);
        }
    }

    /// Gives sinks that take alerts the time to take the rest; the spool keeps what they do not.
    fn finish(mut self) -> Result<(), SinkError> {
        let flushed = self.flush();
        for local in &self.local {
            if !local.queue.wait(GRACE) {
                tracing::error!(
                    sink = local.name,
                    "alerts are not written: nobody reads them"
                );
            }
        }
        if let Some(delivery) = self.delivery.take() {
            delivery.finish(self.spool.as_ref());
        }
        flushed
    }
}

fn failed(sink: &str, source: io::Error) -> SinkError {
    SinkError::Write {
        place: sink.to_owned(),
        source,
    }
}

/// A task that ends before it is told to, by a mistake in it, ends alone and is told.
async fn watched(one: Delivery, grown: watch::Receiver<u64>, stopped: watch::Receiver<bool>) {
    let stats = Arc::clone(&one.stats);
    if let Err(error) = tokio::spawn(one.run(grown, stopped)).await {
        stats.fails(&format!(
            "its task has ended ({error}): restart the detector"
        ));
    }
}

impl Deliveries {
    fn start(deliveries: Vec<Delivery>, grown: watch::Receiver<u64>) -> Result<Self, SinksError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(SinksError::Thread)?;
        let stats = deliveries
            .iter()
            .map(|one| (one.name.clone(), Arc::clone(&one.stats)))
            .collect();
        let (stop, stopped) = watch::channel(false);
        let (end, ended) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("sinks".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    let tasks: JoinSet<()> = deliveries
                        .into_iter()
                        .map(|one| watched(one, grown.clone(), stopped.clone()))
                        .collect();
                    tasks.join_all().await;
                });
                drop(end);
            })
            .map_err(SinksError::Thread)?;
        Ok(Self {
            stop,
            ended,
            _thread: thread,
            stats,
        })
    }

    fn finish(self, spool: Option<&Spool>) {
        self.stop.send_replace(true);
        let done = self.ended.recv_timeout(GRACE);
        let behind = spool.map(Spool::behind).unwrap_or_default();
        for (sink, stats) in &self.stats {
            let stats = stats.snapshot();
            tracing::info!(
                sink,
                delivered = stats.delivered,
                refused = stats.refused,
                behind = behind.get(sink).copied().unwrap_or(0),
                "stopped"
            );
        }
        if done == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("a sink takes alerts too slowly: the spool keeps the rest");
        }
    }
}
