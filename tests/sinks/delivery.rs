//! Sinks as a run has them, and what they did with the alerts of a test.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use detector::{
    host::Host,
    sink::{
        Sink as _, Sinks, SinksError, Snapshot, Stats, Style,
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
    ) -> Result<Self, SinksError> {
        let spool = SpoolSettings {
            path: Some(spool.to_owned()),
            ..SpoolSettings::default()
        };
        Ok(Self {
            sinks: Sinks::new(settings, &spool, Style::default(), host, false)?,
            begun: Instant::now(),
            written: 0,
        })
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
    pub(crate) fn all_stats(&self) -> &[(String, Arc<Stats>)] {
        self.sinks.stats()
    }

    /// Of the only sink that goes over a network.
    pub(crate) fn stats(&self) -> Snapshot {
        let (_, stats) = &self.sinks.stats()[0];
        stats.snapshot()
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
        let (name, _) = &self.sinks.stats()[0];
        let (name, took, written) = (name.clone(), self.begun.elapsed(), self.written);
        let stats = self.stats();
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
