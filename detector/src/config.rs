//! What can be set by `--set key=value`, under Falco's names where the thing is the same.

use std::{net::IpAddr, path::PathBuf};

use serde::de::DeserializeOwned;

use crate::{
    alert::Priority,
    rules::{
        output::append::{Append, AppendError, Outputs},
        select::{Matching, Selection},
    },
    sink::{Format, Style},
};

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
    pub webserver: Webserver,
}

/// Health and metrics over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webserver {
    pub enabled: bool,
    pub listen_address: IpAddr,
    pub listen_port: u16,
    /// Beside `/healthz`.
    pub k8s_healthz_endpoint: String,
    /// Whether `/metrics` is served.
    pub prometheus_metrics_enabled: bool,
}

impl Default for Webserver {
    fn default() -> Self {
        Self {
            enabled: false,
            listen_address: IpAddr::from([127, 0, 0, 1]),
            listen_port: 8765,
            k8s_healthz_endpoint: "/healthz".to_owned(),
            prometheus_metrics_enabled: true,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rules_files: Vec::new(),
            style: Style::default(),
            outputs: Outputs::default(),
            hostname: None,
            host_root: PathBuf::from("/"),
            resolve_names: false,
            selection: Selection::default(),
            webserver: Webserver::default(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("`--set {setting}` has no value: write --set key=value")]
    Shape { setting: String },
    #[error("`{key}` cannot be set: known are {}", KEYS.join(", "))]
    UnknownKey { key: String },
    #[error("`{value}` is no value for `{key}`: write {expected}")]
    Value {
        key: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("the value of `{key}` is not what is expected: {error}: write JSON, {expected}")]
    Json {
        key: &'static str,
        error: String,
        expected: &'static str,
    },
    #[error("`append_output` cannot be applied")]
    Append(#[from] AppendError),
}

fn flag(key: &'static str, value: &str) -> Result<bool, ConfigError> {
    value
        .parse()
        .map_err(|_error| refused(key, value, "true or false"))
}

/// Of a setting that has parts.
fn json<T: DeserializeOwned>(
    key: &'static str,
    value: &str,
    expected: &'static str,
) -> Result<T, ConfigError> {
    serde_json::from_str(value).map_err(|error| ConfigError::Json {
        key,
        error: error.to_string(),
        expected,
    })
}

fn refused(key: &'static str, value: &str, expected: &'static str) -> ConfigError {
    ConfigError::Value {
        key,
        value: value.to_owned(),
        expected,
    }
}

const KEYS: [&str; 17] = [
    "rules_files",
    "rules",
    "rule_matching",
    "priority",
    "append_output",
    "json_output",
    "json_include_message_property",
    "json_include_output_property",
    "json_include_output_fields_property",
    "json_include_tags_property",
    "time_format_iso_8601",
    "hostname",
    "host_root",
    "resolve_names",
    "webserver.enabled",
    "webserver.listen_address",
    "webserver.listen_port",
];

impl Config {
    /// Applies one `key=value`; `rules_files` adds a file or folder each time.
    pub fn set(&mut self, setting: &str) -> Result<(), ConfigError> {
        let (typed, value) = setting.split_once('=').ok_or_else(|| ConfigError::Shape {
            setting: setting.to_owned(),
        })?;
        let key = KEYS.into_iter().find(|known| *known == typed);
        let key = key.unwrap_or_default();
        match key {
            "rules_files" => self.rules_files.push(PathBuf::from(value)),
            "rules" => {
                let expected =
                    r#"such as [{"disable": {"rule": "*"}}, {"enable": {"tag": "kubelet"}}]"#;
                self.selection.switches = json(key, value, expected)?;
            }
            "append_output" => {
                let expected = r#"such as [{"match": {"tags": ["network"]}, "extra_output": "pid=%proc.pid"}]"#;
                let append: Vec<Append> = json(key, value, expected)?;
                for one in &append {
                    for warning in one.check()? {
                        tracing::warn!("{warning}");
                    }
                }
                self.outputs.append = append;
            }
            "rule_matching" => {
                self.selection.matching = match value.to_ascii_lowercase().as_str() {
                    "first" => Matching::First,
                    "all" => Matching::All,
                    _ => return Err(refused(key, value, "first or all")),
                };
            }
            "priority" => {
                let expected = "one of emergency, alert, critical, error, warning, notice, \
                                informational, debug";
                self.selection.least =
                    Priority::parse(value).ok_or_else(|| refused(key, value, expected))?;
            }
            "json_output" => {
                self.style.format = match flag(key, value)? {
                    true => Format::Json,
                    false => Format::Text,
                }
            }
            "json_include_message_property" => {
                self.style.include.message = flag(key, value)?;
            }
            "json_include_output_property" => {
                self.style.include.output = flag(key, value)?;
            }
            "json_include_output_fields_property" => {
                self.style.include.output_fields = flag(key, value)?;
            }
            "json_include_tags_property" => {
                self.style.include.tags = flag(key, value)?;
            }
            "time_format_iso_8601" => {
                let iso8601 = flag(key, value)?;
                self.style.iso8601 = iso8601;
                self.outputs.iso8601 = iso8601;
            }
            "hostname" => self.hostname = Some(value.to_owned()),
            "resolve_names" => self.resolve_names = flag(key, value)?,
            "host_root" => self.host_root = PathBuf::from(value),
            "webserver.enabled" => self.webserver.enabled = flag(key, value)?,
            "webserver.listen_address" => {
                let address = value.parse();
                self.webserver.listen_address =
                    address.map_err(|_error| refused(key, value, "an IP address"))?;
            }
            "webserver.listen_port" => {
                let port = value.parse();
                self.webserver.listen_port =
                    port.map_err(|_error| refused(key, value, "a port"))?;
            }
            _ => {
                return Err(ConfigError::UnknownKey {
                    key: typed.to_owned(),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked() {
        let mut config = Config::default();
        for (setting, ok) in [
            ("json_output=true", true),
            ("json_output=yes", false),
            ("hostname=node-1", true),
            ("rules_files=/a", true),
            ("rules_files=/b", true),
            ("host_root=/host", true),
            ("resolve_names=true", true),
            ("resolve_names=1", false),
            ("webserver.enabled=true", true),
            ("webserver.listen_address=::", true),
            ("webserver.listen_address=localhost", false),
            ("webserver.listen_port=65536", false),
            ("rule_matching=ALL", true),
            ("rule_matching=some", false),
            ("priority=notice", true),
            ("priority=5", false),
            (
                r#"rules=[{"disable":{"rule":"*"}},{"enable":{"tag":"t"}}]"#,
                true,
            ),
            (r#"rules=[{"disable":"x"}]"#, false),
            ("no_such_key=1", false),
            ("hostname", false),
        ] {
            assert_eq!(config.set(setting).is_ok(), ok, "{setting}");
        }
        assert_eq!(config.selection.matching, Matching::All);
        assert_eq!(config.selection.least, Priority::Notice);
        assert_eq!(config.selection.switches.len(), 2);
        assert!(config.resolve_names);
        assert_eq!(config.style.format, Format::Json);
        assert_eq!(config.hostname.as_deref(), Some("node-1"));
        assert_eq!(config.rules_files, ["/a", "/b"].map(PathBuf::from));
    }
}
