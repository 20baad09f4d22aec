//! The keys of a configuration: under Falco's names where the thing is the same.

use std::{fmt, net::IpAddr, path::PathBuf};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::merge::Strategy;
use crate::{
    alert::Priority,
    rules::{
        output::append::Append,
        select::{Matching, Switch},
    },
    sink::settings::{Period, SinkSettings, SpoolSettings, any_case},
};

/// The configuration of kubelet-detector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// More files, or folders of them, in order: each over what was read before. Not in the files
    /// that are named here.
    pub config_files: Vec<ConfigFile>,
    /// A file that changed is read anew: this one, those of `config_files`, rules, certificates.
    pub watch_config_files: bool,
    /// Rules files, and folders of them, in order; the shipped rules if empty.
    pub rules_files: Vec<PathBuf>,
    /// Switches rules by name or tag; the last that names a rule decides.
    pub rules: Vec<Switch>,
    /// Whether of several rules that match an event the first gives an alert, or each.
    #[serde(deserialize_with = "matching")]
    pub rule_matching: Matching,
    /// Less urgent rules are left out.
    #[serde(deserialize_with = "any_case")]
    pub priority: Priority,
    /// What is added to the outputs of rules.
    pub append_output: Vec<Append>,
    /// `fd.sip.name` and the like are given, from the host's own file of names.
    pub resolve_names: bool,
    /// Times are UTC with their date.
    pub time_format_iso_8601: bool,
    /// The outputs `stdout_output`, `file_output`, `syslog_output` and `http_output` are JSON.
    pub json_output: bool,
    pub json_include_output_property: bool,
    pub json_include_message_property: bool,
    pub json_include_output_fields_property: bool,
    pub json_include_tags_property: bool,
    /// Named in alerts; the kernel's name of the node by default.
    pub hostname: Option<String>,
    /// Where the host's root is mounted.
    pub host_root: PathBuf,
    /// Alerts on stdout; by default if there is no other output.
    pub stdout_output: Option<Output>,
    /// Alerts to a file that is not rotated; `sinks` has more.
    pub file_output: FileOutput,
    /// Alerts to the node's syslog; `sinks` has more.
    pub syslog_output: Output,
    /// Each alert as a request of its own; `sinks` has more.
    pub http_output: HttpOutput,
    /// Any number of outputs, each with its own filter and format.
    pub sinks: Vec<SinkSettings>,
    /// Where alerts wait for the sinks that go over a network.
    pub spool: SpoolSettings,
    /// Health and metrics over HTTP.
    pub webserver: Webserver,
    /// An alert that tells how many were sent, so that silence is seen.
    pub heartbeat: Heartbeat,
    /// How many alerts that are alike are told; all by default.
    pub alert_limit: Option<AlertLimit>,
    /// What the log on stderr tells; the option `--log-level` decides over it.
    pub log_level: LogLevel,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            config_files: Vec::new(),
            watch_config_files: true,
            rules_files: Vec::new(),
            rules: Vec::new(),
            rule_matching: Matching::First,
            priority: Priority::Debug,
            append_output: Vec::new(),
            resolve_names: false,
            time_format_iso_8601: false,
            json_output: false,
            json_include_output_property: true,
            json_include_message_property: false,
            json_include_output_fields_property: true,
            json_include_tags_property: true,
            hostname: None,
            host_root: PathBuf::from("/"),
            stdout_output: None,
            file_output: FileOutput::default(),
            syslog_output: Output::default(),
            http_output: HttpOutput::default(),
            sinks: Vec::new(),
            spool: SpoolSettings::default(),
            webserver: Webserver::default(),
            heartbeat: Heartbeat::default(),
            alert_limit: None,
            log_level: LogLevel::default(),
        }
    }
}

fn matching<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Matching, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.to_ascii_lowercase().as_str() {
        "first" => Ok(Matching::First),
        "all" => Ok(Matching::All),
        _ => Err(Error::unknown_variant(&text, &["first", "all"])),
    }
}

/// A file or folder, and how it is merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum ConfigFile {
    Path(PathBuf),
    Merged(Merged),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Merged {
    pub path: PathBuf,
    #[serde(default)]
    pub strategy: Strategy,
}

/// By hand: serde's `untagged` would forget where a mistake is.
impl<'de> Deserialize<'de> for ConfigFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;
        impl<'de> Visitor<'de> for Written {
            type Value = ConfigFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a path, or `path` and `strategy` (append, override or add-only)")
            }

            fn visit_str<E>(self, path: &str) -> Result<ConfigFile, E> {
                Ok(ConfigFile::Path(path.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ConfigFile, A::Error> {
                let merged = Merged::deserialize(MapAccessDeserializer::new(map));
                merged.map(ConfigFile::Merged)
            }
        }
        deserializer.deserialize_any(Written)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    pub enabled: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FileOutput {
    pub enabled: bool,
    /// It is kept open in any case; SIGUSR1 opens it anew.
    pub keep_alive: bool,
    pub filename: PathBuf,
}

/// An empty text is as good as none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpOutput {
    pub enabled: bool,
    pub url: String,
    pub user_agent: String,
    /// Refused: the peer's certificate is verified in any case.
    pub insecure: bool,
    /// The certificate of the authority that is trusted, PEM.
    pub ca_cert: PathBuf,
    /// Those of several, in one file.
    pub ca_bundle: PathBuf,
    /// Where the system has its authorities, which are trusted if no file is named.
    pub ca_path: PathBuf,
    /// The client has a certificate, too.
    pub mtls: bool,
    pub client_cert: PathBuf,
    pub client_key: PathBuf,
    pub compress_uploads: bool,
    /// Connections are kept open in any case.
    pub keep_alive: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Webserver {
    pub enabled: bool,
    /// `0.0.0.0` or `::` for every address of the node.
    #[schemars(with = "String")]
    pub listen_address: IpAddr,
    pub listen_port: u16,
    /// Beside `/healthz`.
    pub k8s_healthz_endpoint: String,
    /// Whether `/metrics` is served.
    pub prometheus_metrics_enabled: bool,
    /// Refused if true: TLS is not served.
    pub ssl_enabled: bool,
}

impl Default for Webserver {
    fn default() -> Self {
        Self {
            enabled: false,
            listen_address: IpAddr::from([127, 0, 0, 1]),
            listen_port: 8765,
            k8s_healthz_endpoint: "/healthz".to_owned(),
            prometheus_metrics_enabled: true,
            ssl_enabled: false,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Heartbeat {
    /// None if `0s`; by default a minute if there is a sink that goes over a network, else none.
    pub interval: Option<Period>,
}

/// Of alerts that are alike (of one rule, one process and one destination) so many a period are told;
/// the rest are counted, and the count is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertLimit {
    /// At least one is told.
    pub alerts: u32,
    pub period: Period,
}

/// Falco's levels are taken for the next of these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    #[serde(alias = "emergency", alias = "alert", alias = "critical")]
    Error,
    #[serde(alias = "warning")]
    Warn,
    #[default]
    #[serde(alias = "notice", alias = "informational")]
    Info,
    Debug,
    Trace,
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}
