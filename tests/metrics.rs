//! What the detector tells of itself: the status, as Prometheus reads it, over HTTP, and for people.
#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skips"
)]

#[path = "metrics/command.rs"]
mod command;
#[path = "metrics/counted.rs"]
mod counted;
#[path = "metrics/filled.rs"]
mod filled;
#[path = "metrics/request.rs"]
mod request;
#[path = "metrics/scraped.rs"]
mod scraped;
#[path = "metrics/server.rs"]
mod server;
#[path = "metrics/text.rs"]
mod text;
