//! What is configured of the sinks and of the spool.

mod files;
mod http;
mod kafka;
mod values;

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Format;
use crate::alert::Priority;

pub use http::{
    Body, ElasticsearchSettings, HttpSettings, OtlpEncoding, OtlpSettings, RequestSettings,
};
pub use kafka::{KafkaCompression, KafkaSettings, Mechanism, NO_KAFKA};
pub(super) use values::MASK;
pub use values::{Period, Secret, Size, any_case, without_secrets};

use http::{batch, timeout};

/// One sink: which alerts it gets, how they look, and where they go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SinkSettings {
    /// Names it in the log, the metrics and the spool; unique among the sinks.
    pub name: String,
    /// By default Falco's JSON, of `elasticsearch` ECS; `otlp` has its own.
    #[serde(default)]
    pub format: Option<Format>,
    /// Only alerts that are at least as urgent.
    #[serde(default = "every_priority", deserialize_with = "any_case")]
    pub priority: Priority,
    /// Only alerts of these rules, `*` stands for any text; of all if empty.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Only alerts of rules with one of these tags; of all if empty.
    #[serde(default)]
    pub tags: Vec<String>,
    // Where they go: exactly one is given.
    #[serde(default)]
    pub stdout: Option<StdoutSettings>,
    #[serde(default)]
    pub file: Option<FileSettings>,
    #[serde(default)]
    pub syslog: Option<SyslogSettings>,
    #[serde(default)]
    pub http: Option<HttpSettings>,
    #[serde(default)]
    pub elasticsearch: Option<ElasticsearchSettings>,
    #[serde(default)]
    pub otlp: Option<OtlpSettings>,
    #[serde(default)]
    pub nats: Option<NatsSettings>,
    #[serde(default)]
    pub kafka: Option<KafkaSettings>,
}

fn every_priority() -> Priority {
    Priority::Debug
}

/// Where a sink's alerts go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    Stdout(&'a StdoutSettings),
    File(&'a FileSettings),
    Syslog(&'a SyslogSettings),
    Http(&'a HttpSettings),
    Elasticsearch(&'a ElasticsearchSettings),
    Otlp(&'a OtlpSettings),
    Nats(&'a NatsSettings),
    Kafka(&'a KafkaSettings),
}

impl Target<'_> {
    /// How long an answer may take, of those who give one.
    pub(super) fn timeout(self) -> Option<Period> {
        match self {
            Self::Stdout(_) | Self::File(_) => None,
            Self::Syslog(syslog) => Some(syslog.timeout),
            Self::Http(http) => Some(http.request.timeout),
            Self::Elasticsearch(elasticsearch) => Some(elasticsearch.request.timeout),
            Self::Otlp(otlp) => Some(otlp.request.timeout),
            Self::Nats(nats) => Some(nats.timeout),
            Self::Kafka(kafka) => Some(kafka.timeout),
        }
    }

    /// The name of its key.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Stdout(_) => "stdout",
            Self::File(_) => "file",
            Self::Syslog(_) => "syslog",
            Self::Http(_) => "http",
            Self::Elasticsearch(_) => "elasticsearch",
            Self::Otlp(_) => "otlp",
            Self::Nats(_) => "nats",
            Self::Kafka(_) => "kafka",
        }
    }
}

impl SinkSettings {
    /// How its alerts are written.
    pub fn format(&self) -> Format {
        let own = match self.target() {
            Ok(Target::Elasticsearch(_)) => Format::Ecs,
            Ok(Target::Otlp(_)) => Format::Otlp,
            Ok(_) | Err(_) => Format::Json,
        };
        self.format.unwrap_or(own)
    }

    /// It goes over a network, or to another daemon.
    pub fn is_remote(&self) -> bool {
        !matches!(self.target(), Ok(Target::Stdout(_) | Target::File(_)))
    }

    /// Without a target.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            format: None,
            priority: every_priority(),
            rules: Vec::new(),
            tags: Vec::new(),
            stdout: None,
            file: None,
            syslog: None,
            http: None,
            elasticsearch: None,
            otlp: None,
            nats: None,
            kafka: None,
        }
    }

    /// The one that is given; the mistake, if there is none or more.
    pub fn target(&self) -> Result<Target<'_>, String> {
        let all = [
            self.stdout.as_ref().map(Target::Stdout),
            self.file.as_ref().map(Target::File),
            self.syslog.as_ref().map(Target::Syslog),
            self.http.as_ref().map(Target::Http),
            self.elasticsearch.as_ref().map(Target::Elasticsearch),
            self.otlp.as_ref().map(Target::Otlp),
            self.nats.as_ref().map(Target::Nats),
            self.kafka.as_ref().map(Target::Kafka),
        ];
        let mut given = all.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(target), None) => Ok(target),
            _ => Err(
                "a sink must have exactly one of stdout, file, syslog, http, elasticsearch, otlp, \
                 nats and kafka"
                    .to_owned(),
            ),
        }
    }
}

/// What becomes of an alert when the queue of a local sink is full.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// It waits, and so do the events behind it, in the probes' ring buffer: nothing is lost here.
    #[default]
    Block,
    /// It is dropped and counted.
    Drop,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StdoutSettings {
    #[serde(default)]
    pub when_full: WhenFull,
}

/// A file with the mode 0600; SIGUSR1 opens it anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSettings {
    pub path: PathBuf,
    /// A file that would become larger is renamed to `path.1`, and that to `path.2`; never if 0.
    #[serde(default = "file_bytes")]
    pub max_bytes: Size,
    /// The same for one that is older.
    #[serde(default)]
    pub max_age: Option<Period>,
    /// How many renamed ones stay.
    #[serde(default = "file_keep")]
    pub keep: u32,
    #[serde(default)]
    pub when_full: WhenFull,
}

fn file_bytes() -> Size {
    Size(100 << 20)
}

fn file_keep() -> u32 {
    5
}

/// RFC 5424.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyslogSettings {
    /// `unix:/dev/log`, `udp://host:514`, `tcp://host:601` or `tls://host:6514`.
    pub address: String,
    /// A name of RFC 5424's table, `user` or `local0` for example.
    #[serde(default = "syslog_facility")]
    pub facility: String,
    #[serde(default)]
    pub tls: TlsSettings,
    #[serde(default = "timeout")]
    pub timeout: Period,
}

impl SyslogSettings {
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            facility: syslog_facility(),
            tls: TlsSettings::default(),
            timeout: timeout(),
        }
    }
}

fn syslog_facility() -> String {
    "local0".to_owned()
}

/// A subject of JetStream: an alert counts as delivered when the stream has acknowledged it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NatsSettings {
    /// `nats://host:4222` or `tls://host:4222`; several are separated by commas.
    pub url: String,
    pub subject: String,
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub password: Option<Secret>,
    #[serde(default)]
    pub token: Option<Secret>,
    /// A file of credentials (`.creds`).
    #[serde(default)]
    pub credentials: Option<PathBuf>,
    #[serde(default = "batch")]
    pub batch: usize,
    #[serde(default)]
    pub tls: TlsSettings,
    #[serde(default = "timeout")]
    pub timeout: Period,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// Certificates of the authorities that are trusted, PEM; the system's by default.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// The client's certificate and those above it, PEM.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Its key, PEM.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// The name that the peer's certificate has, if it is not the host of the address.
    #[serde(default)]
    pub server_name: Option<String>,
}

/// Where alerts wait for the sinks that go over a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpoolSettings {
    /// A folder of its own; in memory only if not given.
    pub path: Option<PathBuf>,
    /// Of all segments; the oldest of the least urgent alerts go when there are more.
    pub max_bytes: Size,
    /// Alerts that are older go.
    pub max_age: Option<Period>,
    /// In memory: all of them without a folder, and while the disk cannot be written.
    pub memory_bytes: Size,
    pub fsync: Fsync,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        Self {
            path: None,
            max_bytes: Size(256 << 20),
            max_age: None,
            memory_bytes: Size(8 << 20),
            fsync: Fsync::default(),
        }
    }
}

/// When what was written is made to survive a loss of power; a killed daemon loses nothing in any
/// case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fsync {
    /// Before an alert counts as told.
    Always,
    /// Each second.
    #[default]
    Interval,
    /// When the kernel sees fit.
    Never,
}
