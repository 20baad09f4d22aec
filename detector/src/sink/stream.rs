//! Lines of alerts, written where they are made: of a replay, and of a run without other sinks.

use std::io::Write;

use super::{Sink, SinkError, Style, format::Encoder};
use crate::{alert::Alert, host::Host};

pub struct Stream<W: Write> {
    encoder: Encoder,
    /// The line that is being made.
    line: Vec<u8>,
    out: W,
}

impl<W: Write> Stream<W> {
    pub fn new(style: Style, host: &Host, out: W) -> Self {
        Self {
            encoder: Encoder::new(style, host),
            line: Vec::new(),
            out,
        }
    }
}

impl<W: Write> Sink for Stream<W> {
    fn write(&mut self, alert: &Alert<'_>) -> Result<(), SinkError> {
        self.line.clear();
        self.encoder.line(alert, &mut self.line);
        self.out.write_all(&self.line).map_err(failed)
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        self.out.flush().map_err(failed)
    }
}

fn failed(source: std::io::Error) -> SinkError {
    SinkError::Write {
        place: "stdout".to_owned(),
        source,
    }
}
