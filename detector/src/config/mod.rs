//! The configuration: one YAML file with drop-ins, over it the environment, over it settings of the
//! command line.
//!
//! `sources` puts the texts on one another (`yaml` to `node`, `merge`); `read` makes
//! `settings` of the tree and `check` tells every mistake of it, through `texts`, `one_file` of files
//! that two sinks would write; `falco` knows what falco.yaml has and this has not; `show` prints what is in force.

mod check;
pub mod codes;
mod falco;
mod merge;
mod node;
mod one_file;
mod read;
mod settings;
mod show;
mod sources;
mod texts;
mod yaml;

use std::{path::PathBuf, time::Duration};

use crate::{
    rules::{Diagnostic, diagnostic::Severity, output::append::Outputs, select::Selection},
    sink::{
        Format, Include, Style,
        settings::{SinkSettings, SpoolSettings},
    },
};

pub use merge::Strategy;
pub use settings::{
    AlertLimit, ConfigFile, FileOutput, Heartbeat, HttpOutput, LogLevel, Merged, Output, Settings,
    Webserver,
};
pub use sources::{DEFAULT_FILE, DEFAULT_FOLDER, Origins};

const MINUTE: Duration = Duration::from_secs(60);

/// Effective settings of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Rules files and folders, in order; empty for the shipped rules.
    pub rules_files: Vec<PathBuf>,
    pub style: Style,
    /// What is added to the outputs of rules.
    pub outputs: Outputs,
    /// Named in alerts; by default the kernel's node name.
    pub hostname: Option<String>,
    /// Where the host's root is mounted, for its users and groups.
    pub host_root: PathBuf,
    /// `fd.sip.name` and the like are given, from the host's own file of names.
    pub resolve_names: bool,
    /// Which of the rules are in force.
    pub selection: Selection,
    /// What the file says of it.
    pub log_level: LogLevel,
    /// Whether files that change are read anew.
    pub watch_config_files: bool,
    pub spool: SpoolSettings,
    pub webserver: Webserver,
    pub alert_limit: Option<AlertLimit>,
    /// The files and folders that the configuration was read from.
    pub files: Vec<PathBuf>,
    /// Those of the files that say something: `Origins::spoken` of the next reading.
    pub spoken: Vec<PathBuf>,
    settings: Settings,
}

impl Default for Config {
    fn default() -> Self {
        Self::new(Settings::default(), Vec::new(), Vec::new())
    }
}

impl Config {
    fn new(mut settings: Settings, files: Vec<PathBuf>, spoken: Vec<PathBuf>) -> Self {
        settings
            .stdout_output
            .get_or_insert(Output { enabled: true });
        let all = settings.clone();
        let iso8601 = settings.time_format_iso_8601;
        Self {
            rules_files: settings.rules_files,
            style: Style {
                format: match settings.json_output {
                    true => Format::Json,
                    false => Format::Text,
                },
                iso8601,
                include: Include {
                    message: settings.json_include_message_property,
                    output: settings.json_include_output_property,
                    output_fields: settings.json_include_output_fields_property,
                    tags: settings.json_include_tags_property,
                },
            },
            outputs: Outputs {
                append: settings.append_output,
                iso8601,
            },
            hostname: settings.hostname,
            host_root: settings.host_root,
            resolve_names: settings.resolve_names,
            selection: Selection {
                switches: settings.rules,
                least: settings.priority,
                matching: settings.rule_matching,
            },
            log_level: settings.log_level,
            watch_config_files: settings.watch_config_files,
            spool: settings.spool,
            webserver: settings.webserver,
            alert_limit: settings.alert_limit,
            files,
            spoken,
            settings: all,
        }
    }

    /// How often a heartbeat is told.
    pub fn heartbeat(&self) -> Option<Duration> {
        let interval = match self.settings.heartbeat.interval {
            Some(interval) => interval.0,
            None if self.sinks().iter().any(SinkSettings::is_remote) => MINUTE,
            None => Duration::ZERO,
        };
        (!interval.is_zero()).then_some(interval)
    }

    /// Every output that is on: Falco's under the names `stdout`, `file`, `syslog` and `http`, in
    /// the format of `style`; then those of `sinks`. There is at least one.
    pub fn sinks(&self) -> Vec<SinkSettings> {
        let mut sinks = falco::sinks(&self.settings, self.style.format);
        sinks.extend(self.settings.sinks.iter().cloned());
        sinks
    }
}

/// A configuration that was read, or why it cannot be.
pub struct Loaded {
    /// None if there is an error.
    pub config: Option<Config>,
    /// By place; errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
    tree: node::Node,
    texts: texts::Texts,
}

/// Reads what the origins name. Nothing of it is put in force.
pub fn load(origins: &Origins) -> Loaded {
    let mut gathered = sources::gather(origins);
    let settings = gathered.settings();
    let mut diagnostics = gathered.diagnostics;
    diagnostics.sort_by_key(|one| (one.order, one.span.start));
    Loaded {
        config: settings.map(|settings| Config::new(settings, gathered.files, gathered.spoken)),
        diagnostics,
        tree: gathered.tree,
        texts: gathered.texts,
    }
}

impl Loaded {
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        let error = |one: &&Diagnostic| one.severity == Severity::Error;
        self.diagnostics.iter().filter(error)
    }

    /// Tells what became clear of the sink of this name, one of `Config::sinks`, after it was read.
    /// An error leaves no configuration.
    pub fn tell(&mut self, code: &'static str, sink: &str, message: String) {
        let place = self.of_sink(sink).place.clone();
        self.tell_at(code, &place, message);
    }

    /// The same of the value at `a.b`.
    pub fn tell_of(&mut self, code: &'static str, path: &[&str], message: String) {
        let place = self.tree.find(path).unwrap_or(&self.tree).place.clone();
        self.tell_at(code, &place, message);
    }

    fn tell_at(&mut self, code: &'static str, place: &node::Place, message: String) {
        let severity = codes::severity(code);
        let one = self.texts.diagnostic(severity, code, place, message, None);
        self.diagnostics.push(one);
        self.diagnostics
            .sort_by_key(|one| (one.order, one.span.start));
        if severity == Severity::Error {
            self.config = None;
        }
    }

    /// What is written of it: an output of Falco's, or an item of `sinks`.
    fn of_sink(&self, name: &str) -> &node::Node {
        let listed = self.tree.find(&["sinks"]).map(|list| &list.value);
        let items = match listed {
            Some(node::Value::List(items)) => items.as_slice(),
            _ => &[],
        };
        let named = |item: &&node::Node| match item.find(&["name"]).map(|name| &name.value) {
            Some(node::Value::Scalar(scalar)) => scalar.text == name,
            _ => false,
        };
        let output = format!("{name}_output");
        let found = items.iter().find(named);
        let found = found.or_else(|| self.tree.find(&[&output]));
        found.unwrap_or(&self.tree)
    }

    /// With the excerpt, underlined, secrets masked.
    pub fn full(&self, one: &Diagnostic) -> String {
        self.texts.full(one)
    }

    /// What is in force, as YAML, each value with where it was written; None if there is an error.
    pub fn show(&self) -> Option<Result<String, String>> {
        let config = self.config.as_ref()?;
        Some(show::show(&config.settings, &self.tree, &self.texts))
    }
}

/// The JSON schema of a configuration file.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(Settings)
}
