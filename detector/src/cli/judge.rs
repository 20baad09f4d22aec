//! Judges recorded events.

use std::{
    fs::File,
    io::{BufWriter, IsTerminal as _, Read},
    path::{Path, PathBuf},
};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use super::{log::Limit, rules};
use crate::{
    config::Config,
    event::Asked,
    pipeline::{Pipeline, replay},
    sink::Stream,
    trace,
};

pub(super) fn run(files: &[PathBuf], config: &Config, log: &Limit) -> Result<()> {
    for path in files {
        let bar = progress(path);
        let mut reader = trace::Reader::open(path, |file| -> Box<dyn Read> {
            match &bar {
                Some(bar) => Box::new(bar.wrap_read(file)),
                None => Box::new(file),
            }
        })?;
        let ruleset = rules::load(config)?;
        warn_of_lacking(path, &ruleset.asked().without(&reader.asked))?;
        let out = BufWriter::new(std::io::stdout());
        let host = reader.host.clone();
        let stream = Stream::new(config.style, &host, out);
        let pipeline = Pipeline::new(ruleset, host, stream);
        let limited = log.begin();
        let outcome = replay::replay(&mut reader, pipeline);
        drop(limited);
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        let (events, alerts) = outcome?;
        tracing::info!(events, alerts, "replayed {}", path.display());
    }
    Ok(())
}

/// A trace has what the rules of the recording asked for, no more.
fn warn_of_lacking(path: &Path, lacking: &Asked) -> Result<()> {
    if !lacking.is_empty() {
        let (path, lacking) = (path.display(), serde_json::to_string(lacking)?);
        tracing::warn!(
            "{path} was recorded without what these rules ask for, which has no value now: {lacking}"
        );
    }
    Ok(())
}

/// Of the file's bytes, on stderr; none where that is no terminal, or alerts go to it too.
fn progress(path: &Path) -> Option<ProgressBar> {
    if !std::io::stderr().is_terminal() || std::io::stdout().is_terminal() {
        return None;
    }
    let size = File::open(path)
        .and_then(|file| file.metadata())
        .ok()?
        .len();
    let style = "{msg} [{bar:40}] {bytes}/{total_bytes} {eta}";
    Some(
        ProgressBar::new(size)
            .with_style(ProgressStyle::with_template(style).ok()?)
            .with_message(path.display().to_string()),
    )
}
