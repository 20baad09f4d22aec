//! All sinks of one run.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{
    News, READER_GONE, Sink, SinkError,
    delivery::Stats,
    local::{Local, Written},
    plan::{Plan, Planned, Way},
    remote::Remote,
    spool::{Spool, SpoolError},
};
use crate::{alert::Alert, host::Host, metrics};

/// How long the end of a run waits for sinks that still take alerts.
const GRACE: Duration = Duration::from_secs(5);
/// Local sinks that were taken out and write no more: beyond as many, nothing is changed.
const MAX_FORMER: usize = 16;
/// How long other writers of what may be the same file are waited for.
const TURN: Duration = Duration::from_millis(100);

/// What a plan names cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SinksError {
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("the sink `{sink}` cannot write {}", path.display())]
    File {
        sink: String,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{0} local sinks that were taken out have not written what they had: until their files take \
         it, or a new start, no sink is changed"
    )]
    Stuck(usize),
    #[error("cannot start a thread for the sinks")]
    Thread(#[source] io::Error),
}

pub struct Sinks {
    host: Host,
    local: Vec<Written>,
    /// Local ones that get no more alerts, until they have written those that they got.
    former: Vec<Written>,
    remote: Option<Remote>,
    /// The line that is being made.
    line: Vec<u8>,
    /// What was flushed is written, when that returns.
    wait: bool,
    /// The run is to end.
    ending: Arc<AtomicBool>,
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

impl Sinks {
    /// `wait`: `flush` waits until local sinks have written. Once `ending` is set, nothing waits for a
    /// sink that takes nothing.
    pub fn new(
        plan: Plan,
        host: &Host,
        wait: bool,
        ending: Arc<AtomicBool>,
    ) -> Result<Self, SinksError> {
        let mut all = Self {
            host: host.clone(),
            local: Vec::new(),
            former: Vec::new(),
            remote: None,
            line: Vec::new(),
            wait,
            ending,
            failing: BTreeSet::new(),
            known: BTreeMap::new(),
        };
        all.turn(plan)?;
        Ok(all)
    }

    /// From the next alert on it is as planned: sinks that stay go on where they are, others begin, and
    /// the rest hand over what they have and end. An error changes nothing.
    pub fn turn(&mut self, plan: Plan) -> Result<(), SinksError> {
        let stuck = |written: &&Written| !written.queue.wait(Duration::ZERO);
        let stuck = self.former.iter().filter(stuck).count();
        if stuck >= MAX_FORMER {
            return Err(SinksError::Stuck(stuck));
        }
        let known: BTreeMap<String, Known> =
            plan.each.iter().map(|planned| self.know(planned)).collect();
        let (mut local, mut wanted) = (Vec::new(), Vec::new());
        for Planned { name, way, .. } in plan.each {
            match way {
                Way::Remote { filter, means } => wanted.push((name, filter, means)),
                Way::Local(one) => local.push(match self.local.iter().any(|it| it.is_for(&one)) {
                    true => Next::Stays(one),
                    false => Next::Begins(Written::start(one, &self.ending)?),
                }),
            }
        }
        match &mut self.remote {
            Some(remote) => remote.turn(&self.host, wanted, &plan.spool),
            None if wanted.is_empty() => {}
            None => self.remote = Some(Remote::start(&self.host, wanted, &plan.spool)?),
        }
        // Nothing fails from here on.
        self.former.append(&mut self.local);
        for next in local {
            match next {
                Next::Begins(written) => self.local.push(written),
                Next::Stays(one) => {
                    let index = self.former.iter().position(|it| it.is_for(&one));
                    let stays = index.map(|index| self.former.remove(index));
                    self.local.extend(stays.map(|it| it.turn(one)));
                }
            }
        }
        for written in &self.former {
            written.queue.wait(TURN);
        }
        self.failing.retain(|sink| known.contains_key(sink));
        self.known = known;
        Ok(())
    }

    /// Alerts may be dropped for some causes: what was told of them so far.
    fn know(&self, planned: &Planned) -> (String, Known) {
        let causes: &[&'static str] = match planned.way {
            Way::Local(_) => &["queue_full", READER_GONE],
            Way::Remote { .. } => &[
                "spool_full",
                "too_old",
                "too_long",
                "spool_damaged",
                "not_written",
            ],
        };
        let before = self.known.get(&planned.name);
        let told = |cause: &&'static str| {
            let count = before.and_then(|known| known.dropped.get(cause));
            (*cause, count.copied().unwrap_or(0))
        };
        let known = Known {
            kind: planned.kind,
            dropped: causes.iter().map(told).collect(),
        };
        (planned.name.clone(), known)
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

    /// Whether no other sink is left when whoever reads this one has gone: the run is of no use then.
    fn is_alone(&self) -> bool {
        self.remote.is_none() && self.local.len() == 1
    }

    /// Of the sinks that the spool serves.
    pub fn stats(&self) -> impl Iterator<Item = (&str, &Stats)> {
        let remote = self.remote.iter();
        remote.flat_map(Remote::stats)
    }

    /// Why sinks do not take alerts, of each.
    fn health(&self) -> Vec<(String, Option<String>)> {
        let remote = self.stats();
        let remote = remote.map(|(name, stats)| (name.to_owned(), stats.snapshot().failing));
        let local = self.local.iter();
        let local = local.map(|it| (it.local.name.clone(), it.queue.failing()));
        remote.chain(local).collect()
    }
}

/// What becomes of a local sink.
enum Next {
    /// As it is written now.
    Stays(Local),
    Begins(Written),
}

impl Sink for Sinks {
    fn write(&mut self, alert: &Alert<'_>) -> Result<(), SinkError> {
        let alone = self.is_alone();
        for written in &mut self.local {
            let outcome = written.write(alert, &mut self.line);
            if alone {
                outcome?;
            }
        }
        if let Some(remote) = &mut self.remote {
            remote.write(alert);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        if let Some(remote) = &mut self.remote {
            remote.commit();
        }
        for written in &self.local {
            let outcome = written.flush();
            if self.is_alone() {
                outcome?;
            }
            if self.wait && written.queue.blocks() {
                while !written.queue.wait(GRACE) && !self.ending.load(Relaxed) {}
            }
        }
        Ok(())
    }

    fn news(&mut self, last: bool) -> Vec<News> {
        let remote = self.remote.as_mut();
        let mut news = remote.map_or_else(Vec::new, |remote| remote.news(last));
        for written in self.local.iter().chain(&self.former) {
            let count = written.queue.dropped();
            if count > 0 {
                news.push(News::Dropped {
                    sink: written.local.name.clone(),
                    cause: "queue_full",
                    count,
                });
            }
        }
        news.extend(self.local.iter_mut().filter_map(Written::unread));
        self.former
            .retain(|written| !written.queue.wait(Duration::ZERO));
        for (sink, why) in self.health() {
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
            let (sink, cause, count) = match one {
                News::Dropped { sink, cause, count } => (sink, *cause, count),
                News::Unread { sink, count, .. } => (sink, READER_GONE, count),
                _ => continue,
            };
            if let Some(known) = self.known.get_mut(sink) {
                *known.dropped.entry(cause).or_default() += count;
            }
        }
        news
    }

    fn status(&self) -> metrics::Sinks {
        let local = self.local.iter().map(|written| {
            let (delivered, queued) = written.queue.progress();
            metrics::Sink {
                delivered,
                queued,
                failing: written.queue.failing(),
                ..self.of(&written.local.name)
            }
        });
        let spool = self.remote.as_ref().map(Remote::spool);
        let behind = spool.map(Spool::behind).unwrap_or_default();
        let remote = self.stats().map(|(name, stats)| {
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
            spool: spool.map(Spool::status),
        }
    }

    fn reopen(&mut self) {
        self.local.iter().for_each(Written::reopen);
    }

    /// Gives sinks that take alerts the time to take the rest; the spool keeps what they do not.
    fn finish(mut self) -> Result<(), SinkError> {
        let flushed = self.flush();
        for written in self.local.iter().chain(&self.former) {
            if !written.queue.wait(GRACE) {
                let (sink, count) = (&written.local.name, written.queue.unwritten());
                let why = written.queue.failing();
                let why = why.unwrap_or_else(|| "nobody reads them".to_owned());
                tracing::error!(sink, count, "alerts are not written: {why}");
            }
        }
        if let Some(remote) = self.remote {
            remote.finish(GRACE);
        }
        flushed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{INTERNAL, Priority};
    use crate::sink::{
        Style,
        queue::{Queue, Stuck},
        settings::{SinkSettings, SpoolSettings, StdoutSettings, WhenFull},
    };

    fn stuck(name: &str, for_good: bool) -> Queue {
        Queue::start(name, WhenFull::Drop, &Arc::default(), Stuck { for_good }).unwrap()
    }

    fn write(sinks: &mut Sinks, source: &str) -> Result<(), SinkError> {
        let host = Host::default();
        sinks.write(&Alert {
            sequence: 1,
            instance: host.instance,
            time_ns: 1,
            rule: "r",
            priority: Priority::Warning,
            source,
            hostname: "node-1",
            message: "m",
            fields: &[],
            tags: &[],
            event: None,
        })?;
        sinks.flush()
    }

    #[test]
    fn a_reader_that_goes_takes_no_other_sink_along() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts");
        let host = Host::default();
        let stdout = SinkSettings {
            stdout: Some(StdoutSettings::default()),
            ..SinkSettings::new("gone")
        };
        let file = serde_json::json!({"name": "file", "file": {"path": path}});
        let file: SinkSettings = serde_json::from_value(file).unwrap();
        for others in [vec![], vec![file]] {
            let settings: Vec<SinkSettings> = [stdout.clone()].into_iter().chain(others).collect();
            let plan = Plan::new(
                &settings,
                &SpoolSettings::default(),
                Style::default(),
                &host,
            );
            let mut sinks = Sinks::new(plan.unwrap(), &host, false, Arc::default()).unwrap();
            sinks.local[0].queue = stuck("gone", true);
            // That it has gone may be known by the end of the call.
            drop(write(&mut sinks, "syscall"));
            assert!(sinks.local[0].queue.wait(GRACE));
            if settings.len() == 1 {
                write(&mut sinks, "syscall").unwrap_err();
                continue;
            }
            write(&mut sinks, "syscall").unwrap();
            let told = |count, own| News::Unread {
                sink: "gone".to_owned(),
                count,
                own,
            };
            let news = sinks.news(false);
            assert_eq!(news[0], told(2, false));
            assert!(matches!(news[1], News::Fails { .. }), "{news:?}");
            // The alert that tells it goes there too.
            write(&mut sinks, INTERNAL).unwrap();
            assert_eq!(sinks.news(false), [told(1, true)]);
            let dropped = &sinks.status().each[0].dropped;
            assert!(
                dropped
                    .iter()
                    .any(|one| one.cause == READER_GONE && one.count == 3)
            );
            sinks.finish().unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3);
        }
    }

    /// Each has a thread.
    #[test]
    fn sinks_that_were_taken_out_and_do_not_end_are_bounded() {
        let host = Host::default();
        let plan = |named: Option<usize>| {
            let stdout = |number: usize| SinkSettings {
                stdout: Some(StdoutSettings::default()),
                ..SinkSettings::new(&number.to_string())
            };
            let sinks: Vec<SinkSettings> = named.map(stdout).into_iter().collect();
            Plan::new(&sinks, &SpoolSettings::default(), Style::default(), &host).unwrap()
        };
        let mut sinks = Sinks::new(plan(None), &host, false, Arc::default()).unwrap();
        for number in 0..MAX_FORMER {
            sinks.turn(plan(Some(number))).unwrap();
            let queue = stuck("stuck", false);
            queue.push(b"a line\n").unwrap();
            queue.flush().unwrap();
            sinks.local[0].queue = queue;
        }
        sinks.turn(plan(None)).unwrap();
        let error = sinks.turn(plan(Some(0))).unwrap_err();
        assert!(matches!(error, SinksError::Stuck(MAX_FORMER)), "{error}");
        assert!(sinks.local.is_empty(), "nothing is changed");
    }
}
