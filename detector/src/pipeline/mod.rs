//! The only place that knows every stage: an item comes in, lines of alerts go out.

pub mod live;
pub mod replay;

use std::io::Write;

use serde_json::Map;
use uuid::Uuid;

use crate::{
    alert::{Alert, Priority},
    event::{Counter, Event, Item, Loss, RECURSION},
    host::Host,
    rules::{Memory, Rule, Ruleset, output},
    sink::{self, Format},
    source::ebpf::EbpfError,
    trace::{TraceError, Writer},
};

#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error("cannot write an alert to stdout")]
    Output(#[source] std::io::Error),
    #[error("cannot wait for the probes or for signals")]
    Wait(#[source] std::io::Error),
    #[error(transparent)]
    Source(#[from] EbpfError),
    #[error(transparent)]
    Trace(#[from] TraceError),
}

pub struct Pipeline<W: Write> {
    ruleset: Ruleset,
    memory: Memory,
    recorder: Option<Writer>,
    counter: Counter,
    alerts: Alerts<W>,
}

/// Numbers the alerts and writes them.
struct Alerts<W: Write> {
    host: Host,
    format: Format,
    out: W,
    count: u64,
}

impl<W: Write> Pipeline<W> {
    pub fn new(ruleset: Ruleset, host: Host, format: Format, out: W) -> Self {
        Self {
            ruleset: ruleset.on_host(host.clone()),
            memory: Memory::default(),
            recorder: None,
            counter: Counter::default(),
            alerts: Alerts {
                host,
                format,
                out,
                count: 0,
            },
        }
    }

    /// Also writes every item to a trace.
    pub fn record(self, recorder: Writer) -> Self {
        Self {
            recorder: Some(recorder),
            ..self
        }
    }

    pub fn process(&mut self, mut item: Item) -> Result<(), PipelineError> {
        if let Item::Event(event) = &mut item {
            self.counter.number(event);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.write(&item)?;
        }
        match &item {
            Item::Event(event) => {
                let alerts = &mut self.alerts;
                let mut matched = self.ruleset.evaluate_with(&mut self.memory, event);
                matched.try_for_each(|rule| alerts.matched(rule, event))
            }
            Item::Drop(loss) => self.alerts.lost(loss),
        }
    }

    pub fn flush(&mut self) -> Result<(), PipelineError> {
        if let Some(recorder) = &mut self.recorder {
            recorder.flush()?;
        }
        self.alerts.out.flush().map_err(PipelineError::Output)
    }

    /// Completes the trace; returns the numbers of events and alerts.
    pub fn finish(mut self) -> Result<(u64, u64), PipelineError> {
        self.flush()?;
        if let Some(recorder) = self.recorder {
            recorder.finish()?;
        }
        Ok((self.counter.count(), self.alerts.count))
    }
}

impl<W: Write> Alerts<W> {
    fn matched(&mut self, rule: &Rule, event: &Event) -> Result<(), PipelineError> {
        let rendered = rule.render(event, &self.host);
        self.emit(Alert {
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
        })
    }

    /// The detector's own alert: nothing is lost in silence.
    fn lost(&mut self, loss: &Loss) -> Result<(), PipelineError> {
        let Loss {
            time_ns,
            subject,
            cause,
            count,
        } = loss;
        tracing::warn!(subject, cause, count, "events were lost");
        // What the recursion guard skips is mostly of sockets that nobody watches.
        let (priority, output) = if cause == RECURSION {
            (
                Priority::Warning,
                format!(
                    "{count} changes of sockets were skipped ({cause}), watched ones may be among them"
                ),
            )
        } else {
            (
                Priority::Critical,
                format!("{count} {subject} events were lost ({cause})"),
            )
        };
        let mut fields = Map::new();
        fields.insert("cause".to_owned(), cause.as_str().into());
        fields.insert("count".to_owned(), (*count).into());
        fields.insert("subject".to_owned(), subject.as_str().into());
        self.emit(Alert {
            sequence: 0,
            uuid: Uuid::nil(),
            time_ns: *time_ns,
            rule: "Events lost".to_owned(),
            priority,
            source: "internal".to_owned(),
            hostname: self.host.hostname.clone(),
            output,
            output_fields: fields,
            tags: Vec::new(),
        })
    }

    fn emit(&mut self, mut alert: Alert) -> Result<(), PipelineError> {
        self.count += 1;
        alert.sequence = self.count;
        alert.uuid = Uuid::new_v5(&self.host.instance, self.count.to_string().as_bytes());
        let time = output::local_time(alert.time_ns, &self.host);
        alert.output = format!("{time}: {} {}", alert.priority, alert.output);
        sink::write(&mut self.out, &alert, self.format).map_err(PipelineError::Output)
    }
}
