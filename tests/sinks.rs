//! Each sink against the server that it is for: every alert arrives, once and as it was made.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

#[path = "sinks/alerts.rs"]
mod alerts;
#[path = "sinks/certificates.rs"]
mod certificates;
#[path = "sinks/delivery.rs"]
mod delivery;
#[path = "sinks/elasticsearch.rs"]
mod elasticsearch;
#[path = "sinks/files.rs"]
mod files;
#[path = "sinks/http.rs"]
mod http;
#[cfg(feature = "kafka")]
#[path = "sinks/kafka/mod.rs"]
mod kafka;
#[path = "loaded.rs"]
mod loaded;
#[path = "sinks/mistakes.rs"]
mod mistakes;
#[path = "sinks/nats.rs"]
mod nats;
#[path = "sinks/nats_credentials.rs"]
mod nats_credentials;
#[path = "sinks/otlp.rs"]
mod otlp;
#[path = "sinks/peers.rs"]
mod peers;
#[path = "sinks/proxies.rs"]
mod proxies;
#[path = "sinks/replies.rs"]
mod replies;
#[path = "sinks/rsyslog.rs"]
mod rsyslog;
#[path = "sinks/several.rs"]
mod several;
#[path = "sinks/suppressed.rs"]
mod suppressed;
#[path = "sinks/syslog.rs"]
mod syslog;
#[path = "sinks/turns.rs"]
mod turns;
