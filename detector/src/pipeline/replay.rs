//! Judges a recorded trace: its header gives the host, so the alerts are those of the recording.

use super::{Pipeline, PipelineError};
use crate::{sink::Sink, trace::Reader};

/// Returns the numbers of events and alerts. What precedes a damaged line is judged and written
/// before the error is returned.
pub fn replay<S: Sink>(
    reader: &mut Reader,
    mut pipeline: Pipeline<S>,
) -> Result<(u64, u64), PipelineError> {
    let outcome = loop {
        match reader.next_item() {
            Ok(Some(item)) => pipeline.process(item)?,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let counts = pipeline.finish()?;
    outcome?;
    Ok(counts)
}
