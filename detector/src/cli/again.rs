//! Reads what a run was started with once more.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use super::{
    Common,
    config::{self, Settings},
    rules, sinks,
};
use crate::{
    config::{Config, Loaded},
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
    /// The files of what was last to be put in force that said something.
    spoken: Mutex<Vec<PathBuf>>,
}

impl Again {
    pub(super) fn new(file: Option<PathBuf>, common: &Common, host: Host, first: &Config) -> Self {
        Self {
            file,
            settings: common.settings.clone(),
            format: common.format,
            host,
            first: first.clone(),
            spoken: Mutex::new(first.spoken.clone()),
        }
    }

    pub(super) fn read(&self) -> Read {
        let mut spoken = self.spoken.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, before) = (self.file.clone(), spoken.clone());
        let again = config::load_again(file, &self.settings, self.format, before);
        let (config, mut loaded) = match again {
            Ok(loaded) => loaded,
            Err(refused) => {
                return Read {
                    files: None,
                    fresh: Err(refused),
                };
            }
        };
        // Before they are read: a change meanwhile is one.
        let files = Some(watched(&config));
        let fresh = self.fresh(&config, &mut loaded);
        for warning in config::warnings(loaded) {
            tracing::warn!("{warning}");
        }
        if fresh.is_ok() {
            spoken.clone_from(&config.spoken);
        }
        Read { files, fresh }
    }

    /// `loaded` is what the configuration was read from.
    fn fresh(&self, config: &Config, loaded: &mut Loaded) -> Result<Fresh, Refused> {
        let told = |error| {
            config::tell_of_sinks(loaded, error);
            config::refused(loaded)
        };
        let sinks = sinks::plan(config, &self.host).map_err(told);
        let (ruleset, sinks) = match (rules::load_again(config), sinks) {
            (Ok(ruleset), Ok(sinks)) => (ruleset, sinks),
            (Err(one), Err(other)) => return Err(one.and(&other)),
            (Err(refused), Ok(_)) | (Ok(_), Err(refused)) => return Err(refused),
        };
        sinks::warn_of_silent(config, &ruleset);
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
    use std::{fs, path::Path};

    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    /// A run that was started with no configuration, and reads these.
    fn again(folder: &Path, rules: &str) -> Again {
        let named = folder.join("rules.yaml");
        fs::write(&named, rules).unwrap();
        let typed = ["kubelet-detector", "run", "-r", named.to_str().unwrap()];
        let Command::Run(live) = Cli::try_parse_from(typed).unwrap().command else {
            panic!("this is no run");
        };
        let (file, host) = (folder.join("config.yaml"), Host::default());
        Again::new(Some(file), &live.common, host, &Config::default())
    }

    /// How many mistakes there are now, and the first.
    fn refused(config: &str, rules: &str) -> (u64, String) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.yaml"), config).unwrap();
        let Err(Refused { first, mistakes }) = again(folder.path(), rules).read().fresh else {
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
        assert!(
            first.contains("config.yaml:2:3: CONFIG_SINK") && first.contains("/no/token"),
            "{first}"
        );
        assert_eq!(refused(sinks, "[").0, 3, "those of the rules, too");
    }

    /// As an editor or `cp` leaves it for a moment: sinks that go would take their alerts with them.
    #[test]
    fn a_file_that_is_emptied_is_a_mistake() {
        let folder = tempfile::tempdir().unwrap();
        let again = again(folder.path(), "[]");
        let file = folder.path().join("config.yaml");
        let read = |text: &str| {
            fs::write(&file, text).unwrap();
            again.read().fresh.err().map(|refused| refused.first)
        };
        assert_eq!(read("# nothing yet\n"), None, "it said nothing before");
        assert_eq!(read("sinks: [{name: a, stdout: {}}]\n"), None);
        for empty in ["", "\n", "# all is out\n"] {
            let why = read(empty).unwrap();
            assert!(why.contains("CONFIG_FILE_READ: the file is empty"), "{why}");
            assert!(why.contains("write `{}`"), "{why}");
        }
        assert_eq!(read("{}\n"), None);
        assert_eq!(read("sinks: []\n"), None);
        assert!(read("").is_some());
    }
}
