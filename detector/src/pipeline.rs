//! The only place that knows every stage: an item comes in, lines of alerts go out.

use std::io::Write;

use serde_json::Map;
use uuid::Uuid;

use crate::{
    alert::{Alert, Priority},
    event::{Item, Loss},
    host::Host,
    rules::{Ruleset, output},
    sink::{self, Format},
    trace::{TraceError, Writer},
};

#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error("cannot write an alert")]
    Output(#[source] std::io::Error),
    #[error(transparent)]
    Trace(#[from] TraceError),
}

pub struct Pipeline<W: Write> {
    pub ruleset: Ruleset,
    pub host: Host,
    pub format: Format,
    pub out: W,
    pub recorder: Option<Writer>,
    pub events: u64,
    pub alerts: u64,
}

impl<W: Write> Pipeline<W> {
    pub fn process(&mut self, mut item: Item) -> Result<(), PipelineError> {
        if let Item::Event(event) = &mut item {
            self.events += 1;
            event.number = self.events;
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.write(&item)?;
        }
        match item {
            Item::Event(event) => {
                let matched: Vec<Alert> = self
                    .ruleset
                    .evaluate(&event)
                    .map(|rule| {
                        let rendered = rule.render(&event, &self.host);
                        Alert {
                            sequence: 0,
                            uuid: Uuid::nil(),
                            time_ns: event.time_ns,
                            rule: rule.name.clone(),
                            priority: rule.priority,
                            source: rule.source.clone(),
                            hostname: self.host.hostname.clone(),
                            output: rendered.message,
                            output_fields: rendered.fields,
                            tags: rule.tags.clone(),
                        }
                    })
                    .collect();
                matched.into_iter().try_for_each(|alert| self.emit(alert))
            }
            Item::Drop(loss) => self.lost(loss),
        }
    }

    /// The detector's own alert: nothing is lost in silence.
    fn lost(&mut self, loss: Loss) -> Result<(), PipelineError> {
        let Loss {
            time_ns,
            subject,
            cause,
            count,
        } = loss;
        tracing::warn!(subject, cause, count, "events were lost");
        let mut fields = Map::new();
        fields.insert("cause".to_owned(), cause.as_str().into());
        fields.insert("count".to_owned(), count.into());
        fields.insert("subject".to_owned(), subject.as_str().into());
        self.emit(Alert {
            sequence: 0,
            uuid: Uuid::nil(),
            time_ns,
            rule: "Events lost".to_owned(),
            priority: Priority::Critical,
            source: "internal".to_owned(),
            hostname: self.host.hostname.clone(),
            output: format!("{count} {subject} events were lost ({cause})"),
            output_fields: fields,
            tags: Vec::new(),
        })
    }

    fn emit(&mut self, mut alert: Alert) -> Result<(), PipelineError> {
        self.alerts += 1;
        alert.sequence = self.alerts;
        alert.uuid = Uuid::new_v5(&self.host.instance, self.alerts.to_string().as_bytes());
        let time = output::local_time(alert.time_ns, &self.host);
        alert.output = format!("{time}: {} {}", alert.priority, alert.output);
        writeln!(self.out, "{}", sink::line(&alert, self.format)).map_err(PipelineError::Output)
    }

    pub fn flush(&mut self) -> Result<(), PipelineError> {
        if let Some(recorder) = &mut self.recorder {
            recorder.flush()?;
        }
        self.out.flush().map_err(PipelineError::Output)
    }
}
