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
    sink::{Format, Mistake, PlanError},
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
        let again = config::load_again(self.file.clone(), &self.settings, self.format);
        let (config, warnings) = match again {
            Ok(loaded) => loaded,
            Err(refused) => {
                return Read {
                    files: None,
                    fresh: Err(refused),
                };
            }
        };
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        Read {
            // Before they are read: a change meanwhile is one.
            files: Some(watched(&config)),
            fresh: self.fresh(&config),
        }
    }

    fn fresh(&self, config: &Config) -> Result<Fresh, Refused> {
        let told = |PlanError(mistakes)| Refused::all(mistakes.iter().map(Mistake::to_string));
        let sinks = sinks::plan(config, &self.host).map_err(told);
        let (ruleset, sinks) = match (rules::load_again(config), sinks) {
            (Ok(ruleset), Ok(sinks)) => (ruleset, sinks),
            (Err(one), Err(other)) => return Err(one.and(&other)),
            (Err(refused), Ok(_)) | (Ok(_), Err(refused)) => return Err(refused),
        };
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

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    /// How many mistakes there are now, and the first.
    fn refused(config: &str, rules: &str) -> (u64, String) {
        let folder = tempfile::tempdir().unwrap();
        let (file, named) = (
            folder.path().join("config.yaml"),
            folder.path().join("rules.yaml"),
        );
        fs::write(&file, config).unwrap();
        fs::write(&named, rules).unwrap();
        let typed = ["kubelet-detector", "run", "-r", named.to_str().unwrap()];
        let Command::Run(live) = Cli::try_parse_from(typed).unwrap().command else {
            panic!("this is no run");
        };
        let again = Again::new(
            Some(file),
            &live.common,
            Host::default(),
            &Config::default(),
        );
        let Err(Refused { first, mistakes }) = again.read().fresh else {
            return (0, String::new());
        };
        (mistakes, first)
    }

    #[test]
    fn every_mistake_is_counted() {
        assert_eq!(refused("hostname: a\n", "[]").0, 0);
        let (mistakes, first) = refused("hostnam: a\npriority: 5\n", "[]");
        assert_eq!(mistakes, 2, "{first}");
        assert!(
            first.contains("config.yaml:1:1: CONFIG_UNKNOWN_KEY"),
            "{first}"
        );
        assert_eq!(first.lines().count(), 1, "{first}");
        let sinks = "sinks:\n\
            - {name: a, http: {url: 'https://a', bearer: {file: /no/token}}}\n\
            - {name: b, http: {url: 'https://b', tls: {ca: /no/ca}}}\n";
        let (mistakes, first) = refused(sinks, "[]");
        assert_eq!(mistakes, 2, "{first}");
        assert!(first.contains("the sink `a`"), "{first}");
        assert_eq!(refused(sinks, "[").0, 3, "those of the rules, too");
    }
}
