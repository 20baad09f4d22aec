//! A topic of Kafka. It can be configured in every build; one without the feature `kafka` refuses it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Period, Secret, Size, TlsSettings,
    http::{batch, timeout},
};

/// Told by a build that has no such sink, and what to do.
pub const NO_KAFKA: (&str, &str) = (
    "Kafka is not built in",
    "build with `cargo xtask build`, or with `--features kafka`",
);

/// A topic of Kafka: an alert counts as delivered when every replica in sync has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaSettings {
    /// `tcp://host:9092` or `tls://host:9093`; several are separated by commas.
    pub bootstrap_servers: String,
    pub topic: String,
    /// How `user` and `password` are shown to the broker.
    #[serde(default)]
    pub mechanism: Mechanism,
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub password: Option<Secret>,
    #[serde(default)]
    pub compression: KafkaCompression,
    #[serde(default = "batch")]
    pub batch: usize,
    /// Of a request, before compression; a broker takes 1 MiB by default (`message.max.bytes`).
    #[serde(default = "max_request_size")]
    pub max_request_size: Size,
    #[serde(default)]
    pub tls: TlsSettings,
    #[serde(default = "timeout")]
    pub timeout: Period,
}

fn max_request_size() -> Size {
    Size(900 << 10)
}

/// Of SASL, by their names there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Mechanism {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[default]
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KafkaCompression {
    #[default]
    None,
    Gzip,
    Snappy,
    Zstd,
}
