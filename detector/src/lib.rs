//! kubelet-detector, in pipeline order:
//! `source` -> `event` -> `enrich` -> `rules` -> `alert` -> `sink`; `trace` records and replays.

pub mod alert;
pub mod causes;
pub mod cli;
pub mod config;
pub mod enrich;
pub mod event;
pub mod files;
pub mod host;
pub mod metrics;
pub mod pipeline;
pub mod rules;
pub mod sink;
pub mod source;
pub mod time;
pub mod trace;
pub mod web;
