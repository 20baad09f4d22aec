//! Sinks that go over a network: one spool, and a delivery each.

use std::{collections::BTreeMap, mem, sync::Arc, time::Duration};

use super::{
    News, SinksError,
    delivery::{DeadLetters, Deliveries, Means, Stats},
    filter::Filter,
    settings::SpoolSettings,
    spool::{Reader, Spool},
};
use crate::{alert::Alert, host::Host};

/// Sinks that go over a network.
pub(super) struct Remote {
    spool: Spool,
    deliveries: Deliveries,
    /// By the name of the sink: what it gets, and how many alerts were too long for it since `news`.
    filters: BTreeMap<String, (Arc<Filter>, u64)>,
}

/// Name, filter and means of a sink.
type Wanted = (String, Arc<Filter>, Means);

impl Remote {
    pub(super) fn start(
        host: &Host,
        wanted: Vec<Wanted>,
        settings: &SpoolSettings,
    ) -> Result<Self, SinksError> {
        let deliveries = Deliveries::start().map_err(SinksError::Thread)?;
        let sinks: Vec<(String, Arc<Filter>)> = wanted
            .iter()
            .map(|(name, filter, _)| (name.clone(), Arc::clone(filter)))
            .collect();
        let (spool, readers) = Spool::open(settings, &sinks)?;
        let mut remote = Self {
            spool,
            deliveries,
            filters: BTreeMap::new(),
        };
        for ((name, filter, means), reader) in wanted.into_iter().zip(readers) {
            remote.begin(host, name, filter, means, reader);
        }
        Ok(remote)
    }

    fn begin(
        &mut self,
        host: &Host,
        name: String,
        filter: Arc<Filter>,
        means: Means,
        reader: Reader,
    ) {
        let dead = DeadLetters::new(&name, self.spool.folder().as_deref(), host);
        let spool = &self.spool;
        self.deliveries.begin(&name, reader, means, dead, spool);
        self.filters.insert(name, (filter, 0));
    }

    pub(super) fn turn(&mut self, host: &Host, wanted: Vec<Wanted>, settings: &SpoolSettings) {
        self.spool.commit();
        self.spool.bound(settings);
        let names: Vec<&str> = wanted.iter().map(|(name, ..)| &**name).collect();
        for left in self.deliveries.keep(&names) {
            self.spool.forget(left);
        }
        self.filters.retain(|name, _| names.contains(&&**name));
        for (name, filter, means) in wanted {
            let Some(reader) = self.deliveries.reader(&name) else {
                let reader = self.spool.add(&name, &filter);
                self.begin(host, name, filter, means, reader);
                continue;
            };
            self.spool.refilter(reader, &filter);
            self.deliveries.turn(&name, means);
            if let Some((before, _)) = self.filters.get_mut(&name) {
                *before = filter;
            }
        }
    }

    pub(super) fn write(&mut self, alert: &Alert<'_>) {
        if !self.filters.is_empty() && !self.spool.append(alert) {
            for (filter, too_long) in self.filters.values_mut() {
                *too_long += u64::from(filter.passes(alert.priority, alert.rule, alert.tags));
            }
        }
    }

    pub(super) fn news(&mut self, last: bool) -> Vec<News> {
        let mut news = self.spool.news();
        news.extend(self.deliveries.news(last));
        for (name, (_, too_long)) in &mut self.filters {
            let count = mem::take(too_long);
            if count > 0 {
                news.push(News::Dropped {
                    sink: name.clone(),
                    cause: "too_long",
                    count,
                });
            }
        }
        news
    }

    pub(super) fn commit(&mut self) {
        self.spool.commit();
    }

    pub(super) fn spool(&self) -> &Spool {
        &self.spool
    }

    pub(super) fn stats(&self) -> impl Iterator<Item = (&str, &Stats)> {
        self.deliveries.stats()
    }

    pub(super) fn finish(self, most: Duration) {
        self.deliveries.finish(most, &self.spool);
        self.spool.finish();
    }
}
