//! The sinks that a configuration names, and what of the alerts they get.

use std::sync::{Arc, atomic::AtomicBool};

use anyhow::{Error, Result};

use super::Invalid;
use crate::{
    config::Config,
    host::Host,
    pipeline::noise::Limit,
    sink::{Plan, PlanError, Sinks},
};

pub(super) fn plan(config: &Config, host: &Host) -> Result<Plan, PlanError> {
    Plan::new(&config.sinks(), &config.spool, config.style, host)
}

/// `wait`: the probes forget what is told, so it is to be written before. `ending` is set at the end.
pub(super) fn open(
    config: &Config,
    host: &Host,
    wait: bool,
    ending: &Arc<AtomicBool>,
) -> Result<Sinks> {
    let plan = plan(config, host).map_err(|error| Error::new(Invalid(error.to_string())))?;
    Ok(Sinks::new(plan, host, wait, Arc::clone(ending))?)
}

pub(super) fn limit(config: &Config) -> Option<Limit> {
    config.alert_limit.map(|limit| Limit {
        alerts: limit.alerts,
        period: limit.period.0,
    })
}
