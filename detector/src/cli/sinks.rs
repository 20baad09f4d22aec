//! The sinks that a configuration names, and what of the alerts they get.

use std::sync::{Arc, atomic::AtomicBool};

use anyhow::{Error, Result};

use super::Invalid;
use crate::{
    config::{Config, codes},
    files::can_be_own,
    host::Host,
    pipeline::noise::Limit,
    rules::Ruleset,
    sink::{
        Mistake, Plan, PlanError, Sinks,
        filter::asks_in_vain,
        places::{unheard, unwritable},
        settings::SinkSettings,
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

/// Why the spool's folder cannot be used, if a sink waits there; nothing is made.
pub(super) fn unusable_spool(config: &Config) -> Option<String> {
    let path = config.spool.path.as_ref()?;
    if !config.sinks().iter().any(SinkSettings::is_remote) {
        return None;
    }
    let error = can_be_own(path).err()?;
    Some(format!(
        "the spool cannot be kept in {}: {error}",
        path.display()
    ))
}

/// A line for each sink that no rule has alerts for.
pub(super) fn warn_of_silent(config: &Config, ruleset: &Ruleset) {
    let rules: Vec<(&str, &[String])> = ruleset
        .rules()
        .iter()
        .map(|rule| (rule.name.as_str(), rule.tags.as_slice()))
        .collect();
    for sink in config.sinks() {
        for key in asks_in_vain(&sink, &rules) {
            tracing::warn!(
                "the sink `{}` gets no alert but heartbeats: its `{key}` are of no rule that is loaded",
                sink.name
            );
        }
    }
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
