//! Reads what a run was started with once more.

use std::path::PathBuf;

use super::{
    Common,
    config::{self, Settings},
    rules, sinks,
};
use crate::{
    config::Config,
    host::Host,
    pipeline::{
        reload::{Fresh, Read, Refused},
        watched_files::WatchedFiles,
    },
    sink::Format,
};

pub(super) struct Again {
    file: Option<PathBuf>,
    settings: Settings,
    /// As typed.
    format: Option<Format>,
    pub(super) host: Host,
    /// In force since the start.
    first: Config,
}

impl Again {
    pub(super) fn new(file: Option<PathBuf>, common: &Common, host: Host, first: &Config) -> Self {
        Self {
            file,
            settings: common.settings.clone(),
            format: common.format,
            host,
            first: first.clone(),
        }
    }

    pub(super) fn read(&self) -> Read {
        let config = match config::load(self.file.clone(), &self.settings, self.format) {
            Ok((config, warnings)) => {
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                config
            }
            Err(error) => {
                return Read {
                    files: None,
                    fresh: Err(Refused::one(format!("{error:#}"))),
                };
            }
        };
        Read {
            // Before they are read: a change meanwhile is one.
            files: Some(watched(&config)),
            fresh: self.fresh(&config),
        }
    }

    fn fresh(&self, config: &Config) -> Result<Fresh, Refused> {
        let ruleset = rules::load_again(config)?;
        let sinks = sinks::plan(config, &self.host).map_err(Refused::of)?;
        for key in needing_restart(&self.first, config) {
            tracing::warn!("`{key}` is as it was at the start, until the next one");
        }
        Ok(Fresh {
            ruleset,
            sinks,
            limit: sinks::limit(config),
            heartbeat: config.heartbeat(),
        })
    }
}

/// The files and folders whose change is one of the configuration.
pub(super) fn watched(config: &Config) -> WatchedFiles {
    if !config.watch_config_files {
        return WatchedFiles::default();
    }
    let sinks = config.sinks();
    let named = sinks.iter().flat_map(|sink| sink.files());
    let files = config.rules_files.iter().chain(&config.files);
    WatchedFiles::new(files.cloned().chain(named.map(ToOwned::to_owned)))
}

/// Keys whose values are not what they were, and are read at the start only.
fn needing_restart(first: &Config, config: &Config) -> Vec<&'static str> {
    let changed = [
        ("hostname", first.hostname != config.hostname),
        ("host_root", first.host_root != config.host_root),
        ("log_level", first.log_level != config.log_level),
        ("webserver", first.webserver != config.webserver),
    ];
    let changed = changed.into_iter().filter(|(_, changed)| *changed);
    changed.map(|(key, _)| key).collect()
}
