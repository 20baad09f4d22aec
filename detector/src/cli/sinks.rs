//! The sinks that a configuration names, and what of the alerts they get.

use std::sync::{Arc, atomic::AtomicBool};

use anyhow::{Error, Result};

use super::Invalid;
use crate::{
    config::{Config, codes},
    host::Host,
    pipeline::noise::Limit,
    sink::{
        Mistake, Plan, PlanError, Sinks,
        places::{unheard, unwritable},
    },
};

pub(super) fn plan(config: &Config, host: &Host) -> Result<Plan, PlanError> {
    Plan::new(&config.sinks(), &config.spool, config.style, host)
}

/// Every mistake and warning that a run tells or waits for, found without connecting or making anything.
pub(super) fn mistakes(config: &Config, host: &Host) -> Vec<(&'static str, Mistake)> {
    let planned = plan(config, host)
        .err()
        .map_or_else(Vec::new, |error| error.0);
    let sinks = config.sinks();
    let errors = planned
        .into_iter()
        .chain(sinks.iter().filter_map(unwritable));
    let errors = errors.map(|one| (codes::SINK, one));
    let warnings = sinks.iter().filter_map(unheard);
    errors
        .chain(warnings.map(|one| (codes::NOT_THERE, one)))
        .collect()
}

/// `wait`: the probes forget what is told, so it is to be written before. `ending` is set at the end.
pub(super) fn open(
    config: &Config,
    host: &Host,
    wait: bool,
    ending: &Arc<AtomicBool>,
) -> Result<Sinks> {
    let plan = plan(config, host).map_err(|error| Error::new(Invalid(error.to_string())))?;
    if config.spool.path.is_none() {
        warn_of_memory(config);
    }
    Ok(Sinks::new(plan, host, wait, Arc::clone(ending))?)
}

fn warn_of_memory(config: &Config) {
    let sinks = config.sinks();
    let remote = sinks.iter().filter(|sink| sink.is_remote());
    let names: Vec<&str> = remote.map(|sink| sink.name.as_str()).collect();
    if !names.is_empty() {
        let (names, room) = (names.join(", "), config.spool.memory_bytes);
        tracing::warn!(
            "alerts wait for {names} in memory alone, at most {room}, and are lost when the detector \
             ends: set `spool.path` to a folder of its own"
        );
    }
}

pub(super) fn limit(config: &Config) -> Option<Limit> {
    config.alert_limit.map(|limit| Limit {
        alerts: limit.alerts,
        period: limit.period.0,
    })
}
