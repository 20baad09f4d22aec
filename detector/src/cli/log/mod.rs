//! The program's own log, on stderr.

mod kinds;
mod limit;
mod lines;

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    sync::Mutex,
};

use clap::ValueEnum;
use tracing_subscriber::{
    EnvFilter, fmt::writer::BoxMakeWriter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

pub(super) use limit::Limit;
use lines::Lines;
pub(super) use lines::last_word;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

impl LogFormat {
    /// As it is asked for by a command line that may be wrong otherwise.
    pub(super) fn asked(arguments: impl Iterator<Item = OsString>) -> Self {
        let (mut format, mut before) = (Self::Text, OsString::new());
        for argument in arguments {
            if argument == "--log-format=json" || before == "--log-format" && argument == "json" {
                format = Self::Json;
            }
            before = argument;
        }
        format
    }
}

/// Colours only on a terminal. What watches is not held up by whoever reads the log.
pub(super) fn start(format: LogFormat, level: tracing::Level, watches: bool) -> Limit {
    let finer = std::env::var(EnvFilter::DEFAULT_ENV).unwrap_or_default();
    let filter = filter(level, &finer);
    let limit = Limit::default();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        // A log that cannot be written must not end what it is of.
        .log_internal_errors(false)
        .with_writer(match watches {
            true => BoxMakeWriter::new(Mutex::new(Lines::new(io::stderr(), format))),
            false => BoxMakeWriter::new(io::stderr),
        });
    match format {
        LogFormat::Text => {
            let log = log.with_ansi(io::stderr().is_terminal());
            log.finish().with(limit.clone()).init();
        }
        LogFormat::Json => log.json().finish().with(limit.clone()).init(),
    }
    limit
}

/// The loader's own details are seldom what is looked for. What clients of NATS and Kafka see go wrong is told
/// by the sink; they themselves would log what a server says as it is, with our password perhaps.
fn filter(level: tracing::Level, finer: &str) -> EnvFilter {
    EnvFilter::builder().parse_lossy(format!(
        "{level},aya=info,aya_obj=info,async_nats=off,rskafka=off,{finer}"
    ))
}

#[cfg(test)]
mod tests {
    use tracing::{Level, subscriber::with_default};

    use super::*;

    #[test]
    fn clients_log_nothing_unless_they_are_asked() {
        let said = |finer: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            let log = tracing_subscriber::fmt()
                .with_env_filter(filter(Level::INFO, finer))
                .with_writer(file.reopen().unwrap());
            with_default(log.finish(), || {
                tracing::error!(target: "async_nats::connector", "of NATS");
                tracing::error!(target: "rskafka::connection", "of Kafka");
                tracing::info!("ours");
            });
            std::fs::read_to_string(&file).unwrap()
        };
        let told = |log: &str| ["of NATS", "of Kafka", "ours"].map(|text| log.contains(text));
        assert_eq!(told(&said("")), [false, false, true]);
        assert_eq!(told(&said("async_nats=debug")), [true, false, true]);
    }
}
