//! The sinks that a configuration names, and what of the alerts they get.

use anyhow::Result;

use super::Invalid;
use crate::{
    config::Config,
    host::Host,
    pipeline::noise::Limit,
    sink::{Sinks, SinksError},
};

/// `wait`: the probes forget what is told, so it is to be written before.
pub(super) fn open(config: &Config, host: &Host, wait: bool) -> Result<Sinks> {
    let sinks = Sinks::new(&config.sinks(), &config.spool, config.style, host, wait);
    sinks.map_err(|error| match error {
        SinksError::Target(_) | SinksError::Peer(_) => Invalid(error.to_string()).into(),
        SinksError::Spool(_) | SinksError::File { .. } | SinksError::Thread(_) => error.into(),
    })
}

pub(super) fn limit(config: &Config) -> Option<Limit> {
    config.alert_limit.map(|limit| Limit {
        alerts: limit.alerts,
        period: limit.period.0,
    })
}
