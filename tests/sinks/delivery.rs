//! Sinks as a run has them, and what they did with the alerts of a test.

use std::{
    error::Error,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use detector::{
    host::Host,
    sink::{
        News, Plan, Sink as _, Sinks, Snapshot, Style,
        kept::Kept,
        settings::{SinkSettings, SpoolSettings},
    },
};
use serde::Deserialize;

use crate::peers::{document, wait_until};

/// Between two flushes, as in a run under load.
const FLUSH: usize = 100;

#[derive(Deserialize)]
struct Configured {
    sinks: Vec<SinkSettings>,
}

/// The sink of this name in `docs/sinks.md`, with other words for some of it.
pub(crate) fn documented(name: &str, words: &[(&str, &str)]) -> SinkSettings {
    let text = document("sinks.md");
    let mut blocks = text.split("```yaml\n").skip(1);
    let named = format!("name: {name}\n");
    let block = blocks.find(|block| block.contains(&named)).unwrap();
    let mut block = block.split("```").next().unwrap().to_owned();
    for (word, other) in words {
        assert!(block.contains(word), "{name} has no {word}");
        block = block.replace(word, other);
    }
    settings(&block)
        .into_iter()
        .find(|sink| sink.name == name)
        .unwrap()
}

/// What is configured by `sinks:`.
pub(crate) fn settings(yaml: &str) -> Vec<SinkSettings> {
    let configured: Configured = serde_saphyr::from_str(yaml).unwrap();
    configured.sinks
}

pub(crate) struct Delivery {
    sinks: Sinks,
    spool: SpoolSettings,
    host: Host,
    begun: Instant,
    written: usize,
}

impl Delivery {
    /// `spool`: a folder of its own.
    pub(crate) fn start(settings: &[SinkSettings], spool: &Path, host: &Host) -> Self {
        Self::try_start(settings, spool, host).unwrap()
    }

    pub(crate) fn try_start(
        settings: &[SinkSettings],
        spool: &Path,
        host: &Host,
    ) -> Result<Self, Box<dyn Error>> {
        let spool = SpoolSettings {
            path: Some(spool.to_owned()),
            ..SpoolSettings::default()
        };
        let plan = Plan::new(settings, &spool, Style::default(), host)?;
        Ok(Self {
            sinks: Sinks::new(plan, host, false, Arc::default())?,
            spool,
            host: host.clone(),
            begun: Instant::now(),
            written: 0,
        })
    }

    /// A reload.
    pub(crate) fn turn(&mut self, settings: &[SinkSettings]) -> Result<(), Box<dyn Error>> {
        let plan = Plan::new(settings, &self.spool, Style::default(), &self.host)?;
        Ok(self.sinks.turn(plan)?)
    }

    pub(crate) fn news(&mut self) -> Vec<News> {
        self.sinks.news(false)
    }

    pub(crate) fn write(&mut self, alerts: &[Kept]) {
        for some in alerts.chunks(FLUSH) {
            for kept in some {
                self.sinks.write(&kept.alert(&kept.fields())).unwrap();
            }
            self.sinks.flush().unwrap();
        }
        self.written += alerts.len();
    }

    /// Files that somebody renamed are opened anew.
    pub(crate) fn reopen(&mut self) {
        self.sinks.reopen();
    }

    /// Of each sink that goes over a network.
    pub(crate) fn all_stats(&self) -> impl Iterator<Item = (&str, Snapshot)> {
        let stats = self.sinks.stats();
        stats.map(|(name, stats)| (name, stats.snapshot()))
    }

    /// Of the only sink that goes over a network.
    pub(crate) fn stats(&self) -> Snapshot {
        self.all_stats().next().unwrap().1
    }

    /// How many alerts wait for the sink of this name.
    pub(crate) fn behind(&self, name: &str) -> u64 {
        let status = self.sinks.status();
        let sink = status.each.iter().find(|sink| sink.name == name);
        sink.unwrap().behind
    }

    /// Waits until the peer has taken, or refused, as many.
    pub(crate) fn wait(&self, count: usize) {
        wait_until(&format!("{count} deliveries"), || {
            let stats = self.stats();
            let done = stats.delivered + stats.refused;
            (done >= count as u64).then_some(())
        });
    }

    /// Waits until the peer has all of them, and says how that went.
    pub(crate) fn finish(self) -> Snapshot {
        self.wait(self.written);
        let (took, written) = (self.begun.elapsed(), self.written);
        let (name, stats) = self.all_stats().next().unwrap();
        let name = name.to_owned();
        self.sinks.finish().unwrap();
        tell(&name, written, &stats, took);
        stats
    }

    /// Ends without waiting for a peer, as a run does.
    pub(crate) fn end(self) {
        self.sinks.finish().unwrap();
    }
}

fn tell(name: &str, written: usize, stats: &Snapshot, took: Duration) {
    println!(
        "sink {name}: {written} alerts made, {} delivered, {} refused, {} handed over again, in {took:.2?}",
        stats.delivered, stats.refused, stats.retried
    );
}
