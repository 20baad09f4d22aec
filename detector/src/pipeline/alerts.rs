//! Numbers the alerts and writes them: those of rules, and the detector's own.

use super::{PipelineError, reload::Refused};
use crate::{
    alert::{Alert, Field, INTERNAL, Name, Priority, Value},
    event::{Event, FORGOTTEN, Loss, MISSED, RECURSION, SUPPRESSED},
    host::Host,
    rules::Rule,
    sink::Sink,
    source::{
        Fault,
        beat::{Blind, End},
    },
};

pub struct Alerts<S: Sink> {
    host: Host,
    /// Of the alert that is being made.
    message: String,
    numbered: Numbered<S>,
}

struct Numbered<S: Sink> {
    sink: S,
    count: u64,
}

impl<S: Sink> Alerts<S> {
    pub fn new(host: Host, sink: S) -> Self {
        Self {
            message: String::new(),
            numbered: Numbered { sink, count: 0 },
            host,
        }
    }

    /// The rule matches the event.
    pub fn matched(&mut self, rule: &Rule, event: &Event) -> Result<(), PipelineError> {
        self.message.clear();
        let fields = rule.render(event, &self.host, &mut self.message);
        self.numbered.write(Alert {
            sequence: 0,
            instance: self.host.instance,
            time_ns: event.time_ns,
            rule: &rule.name,
            priority: rule.priority,
            source: &rule.source,
            hostname: &self.host.hostname,
            message: &self.message,
            fields: &fields,
            tags: &rule.tags,
            event: Some(event),
        })
    }

    /// Nothing is lost in silence.
    pub fn lost(&mut self, loss: &Loss) -> Result<(), PipelineError> {
        let Loss {
            time_ns,
            subject,
            cause,
            count,
        } = loss;
        tracing::warn!(subject, cause, count, "events were lost");
        let (priority, message) = match cause.as_str() {
            // What the kernel skips is mostly of sockets that nobody watches.
            RECURSION | MISSED => (
                Priority::Warning,
                format!(
                    "{count} changes of sockets were skipped ({cause}), watched ones may be among them"
                ),
            ),
            SUPPRESSED => (
                Priority::Critical,
                format!(
                    "{count} {subject} events of processes that flood the detector were {cause}, so \
                     that those of others are seen"
                ),
            ),
            FORGOTTEN => (
                Priority::Critical,
                format!("{count} events were told without their process ({cause})"),
            ),
            _ => (
                Priority::Critical,
                format!("{count} {subject} events were lost ({cause})"),
            ),
        };
        let fields = [
            ("cause", Value::Text(cause.into())),
            ("count", Value::Unsigned(*count)),
            ("subject", Value::Text(subject.into())),
        ];
        self.own(*time_ns, "Events lost", priority, &message, fields)
    }

    /// The rules that were to be put in force are wrong, those in force stay.
    pub fn not_reloaded(&mut self, time_ns: u64, refused: &Refused) -> Result<(), PipelineError> {
        let Refused { first, mistakes } = refused;
        tracing::error!(mistakes, "the rules are not reloaded: {first}");
        let more = match mistakes.saturating_sub(1) {
            0 => String::new(),
            1 => " (and one more mistake)".to_owned(),
            more => format!(" (and {more} more mistakes)"),
        };
        let message =
            format!("the rules are not reloaded, those in force before stay: {first}{more}");
        let fields = [
            ("mistake", Value::Text(first.into())),
            ("mistakes", Value::Unsigned(*mistakes)),
        ];
        let rule = "Hot reload failure";
        self.own(time_ns, rule, Priority::Critical, &message, fields)
    }

    /// The probes do not see, or see not all.
    pub fn fault(&mut self, time_ns: u64, fault: &Fault) -> Result<(), PipelineError> {
        tracing::error!("{fault}");
        let subjects = match fault {
            Fault::Unseen(subjects) => subjects.join(","),
            Fault::NoCanary(_) | Fault::Changed(_) => String::new(),
        };
        let fields = [("subjects", Value::Text(subjects.into()))];
        let rule = match fault {
            Fault::Changed(_) => "Probes changed",
            Fault::Unseen(_) | Fault::NoCanary(_) => "Probes not proven",
        };
        self.own(
            time_ns,
            rule,
            Priority::Critical,
            &fault.to_string(),
            fields,
        )
    }

    /// Nobody watched before this run.
    pub fn blind(&mut self, blind: &Blind) -> Result<(), PipelineError> {
        tracing::warn!("{blind}");
        let end = match blind.end {
            End::Stopped => "stopped",
            End::Killed => "killed",
            End::Rebooted => "rebooted",
        };
        let fields = [
            ("end", Value::Text(end.into())),
            ("from", Value::Unsigned(blind.from_ns)),
            ("length", Value::Unsigned(blind.length_ns())),
            ("to", Value::Unsigned(blind.to_ns)),
        ];
        let (rule, text) = ("Detector was not running", blind.to_string());
        self.own(blind.to_ns, rule, Priority::Warning, &text, fields)
    }

    /// The daemon before was killed while it told of these events.
    pub fn repeats(&mut self, time_ns: u64, count: usize) -> Result<(), PipelineError> {
        tracing::warn!(count, "events that were perhaps told before are told again");
        let message = format!(
            "the detector was killed while it told of {count} events: they are told again, and may \
             be told twice"
        );
        let fields = [("count", Value::Unsigned(count as u64))];
        let rule = "Events told again";
        self.own(time_ns, rule, Priority::Notice, &message, fields)
    }

    /// An alert of the detector itself.
    fn own<const N: usize>(
        &mut self,
        time_ns: u64,
        rule: &str,
        priority: Priority,
        message: &str,
        fields: [(&str, Value<'_>); N],
    ) -> Result<(), PipelineError> {
        let fields = fields.map(|(name, value)| (Name::new(name), value));
        self.numbered.write(Alert {
            sequence: 0,
            instance: self.host.instance,
            time_ns,
            rule,
            priority,
            source: INTERNAL,
            hostname: &self.host.hostname,
            message,
            fields: &fields.each_ref().map(|(name, value)| Field {
                name,
                value: Some(value.clone()),
            }),
            tags: &[],
            event: None,
        })
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    pub fn flush(&mut self) -> Result<(), PipelineError> {
        Ok(self.numbered.sink.flush()?)
    }

    pub fn count(&self) -> u64 {
        self.numbered.count
    }
}

impl<S: Sink> Numbered<S> {
    fn write(&mut self, mut alert: Alert<'_>) -> Result<(), PipelineError> {
        self.count += 1;
        alert.sequence = self.count;
        Ok(self.sink.write(&alert)?)
    }
}
