//! Numbers the alerts and writes them: those of rules, and the detector's own.

use std::net::SocketAddr;

use super::{PipelineError, noise::Suppressed, reload::Refused, status::Told};
use crate::{
    alert::{Alert, Field, HEARTBEAT, INTERNAL, LEFT_OUT, Name, Priority, Value},
    event::{Event, FORGOTTEN, Loss, MISSED, RECURSION, SUPPRESSED},
    host::Host,
    rules::{Rule, Ruleset},
    sink::{News, READER_GONE, Sink},
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
    /// By priority, in their order.
    counts: [u64; Priority::ALL.len()],
    /// What was lost, dropped or suppressed, as alerts told it.
    missing: Missing,
    told: Told,
}

/// A count of a trace may be any.
fn add(to: &mut u64, count: u64) {
    *to = to.saturating_add(count);
}

/// Since the start.
#[derive(Debug, Default)]
struct Missing {
    lost: u64,
    dropped: u64,
    suppressed: u64,
}

impl<S: Sink> Alerts<S> {
    pub fn new(host: Host, sink: S) -> Self {
        Self {
            message: String::new(),
            numbered: Numbered {
                sink,
                counts: Default::default(),
                missing: Missing::default(),
                told: Told::default(),
            },
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
        add(&mut self.numbered.missing.lost, *count);
        self.numbered.told.loss(loss);
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

    /// What was to be put in force is wrong, what is in force stays.
    pub fn not_reloaded(&mut self, time_ns: u64, refused: &Refused) -> Result<(), PipelineError> {
        let Refused { first, mistakes } = refused;
        tracing::error!(mistakes, "nothing is reloaded: {first}");
        let more = match mistakes.saturating_sub(1) {
            0 => String::new(),
            1 => " (and one more mistake)".to_owned(),
            more => format!(" (and {more} more mistakes)"),
        };
        let message = format!("nothing is reloaded, what was in force before stays: {first}{more}");
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

    /// Something happened to alerts on their way.
    pub fn news(&mut self, time_ns: u64, last: bool) -> Result<(), PipelineError> {
        for news in self.numbered.sink.news(last) {
            let (rule, priority, sink, cause, count, message) = match &news {
                News::Dropped { sink, cause, count } => {
                    add(&mut self.numbered.missing.dropped, *count);
                    dropped(sink, "will not reach", cause, *count)
                }
                News::Refused { sink, count, tell } => {
                    add(&mut self.numbered.missing.dropped, *count);
                    if *tell == 0 {
                        continue;
                    }
                    dropped(sink, "were refused by", "refused", *tell)
                }
                News::Unread { sink, count, own } => {
                    add(&mut self.numbered.missing.dropped, *count);
                    if *own {
                        continue;
                    }
                    dropped(sink, "are read by nobody of", READER_GONE, *count)
                }
                News::Fails { sink, why } => {
                    let message = format!("the sink {sink} does not take alerts: {why}");
                    ("Sink failure", Priority::Error, &**sink, &**why, 0, message)
                }
                News::Works { sink } => {
                    let message = format!("the sink {sink} takes alerts again");
                    ("Sink recovery", Priority::Notice, &**sink, "", 0, message)
                }
                News::DiskFails(why) => {
                    let message =
                        format!("the spool cannot be written, alerts are kept in memory: {why}");
                    ("Spool failure", Priority::Critical, "", &**why, 0, message)
                }
                News::DiskWorks => {
                    let message = "the spool can be written again".to_owned();
                    ("Spool recovery", Priority::Notice, "", "", 0, message)
                }
                News::Mended { folder, count } => {
                    let message = format!(
                        "{count} files of the spool {folder} were removed or replaced, and are made \
                         anew"
                    );
                    ("Spool changed", Priority::Critical, "", "", *count, message)
                }
            };
            tracing::warn!("{message}");
            let fields = [
                ("cause", Value::Text(cause.into())),
                ("count", Value::Unsigned(count)),
                ("sink", Value::Text(sink.into())),
            ];
            self.own(time_ns, rule, priority, &message, fields)?;
        }
        Ok(())
    }

    /// Alike alerts that were not told.
    pub fn suppressed(
        &mut self,
        time_ns: u64,
        suppressed: &Suppressed,
    ) -> Result<(), PipelineError> {
        let Suppressed {
            rule,
            priority,
            tags,
            process,
            pid,
            destination: (ip, port),
            count,
        } = suppressed;
        add(&mut self.numbered.missing.suppressed, *count);
        let message = format!(
            "{count} more alerts of {rule} tell of the same process ({process}, {pid}) and \
             destination ({})",
            SocketAddr::new(*ip, *port)
        );
        let fields = [
            ("count", Value::Unsigned(*count)),
            ("destination.ip", Value::Ip(*ip)),
            ("destination.port", Value::Unsigned((*port).into())),
            ("proc.exepath", Value::Text(process.into())),
            ("proc.pid", Value::Unsigned((*pid).into())),
            ("rule", Value::Text(rule.into())),
        ];
        self.tagged(time_ns, LEFT_OUT, *priority, tags, &message, fields)
    }

    /// How much was told, and that the detector is there; `last` when it goes.
    pub fn heartbeat(
        &mut self,
        time_ns: u64,
        events: u64,
        last: bool,
    ) -> Result<(), PipelineError> {
        let Numbered {
            counts, missing, ..
        } = &self.numbered;
        let (made, lost, dropped) = (self.count(), missing.lost, missing.dropped);
        let by_priority = Priority::ALL
            .into_iter()
            .zip(counts)
            .map(|(level, count)| Value::Text(format!("{level}={count}").to_lowercase().into()));
        let fields = [
            ("alerts", Value::List(by_priority.collect())),
            ("dropped", Value::Unsigned(dropped)),
            ("events", Value::Unsigned(events)),
            (
                "instance",
                Value::Text(self.host.instance.to_string().into()),
            ),
            ("last", Value::Bool(last)),
            ("lost", Value::Unsigned(lost)),
            ("sequence", Value::Unsigned(made)),
            ("suppressed", Value::Unsigned(missing.suppressed)),
        ];
        let state = if last {
            "the detector stops"
        } else {
            "the detector is there"
        };
        let message = format!(
            "{state}: {events} events, {made} alerts before this one, {lost} events lost, {dropped} \
             alerts dropped"
        );
        self.own(
            time_ns,
            HEARTBEAT,
            Priority::Informational,
            &message,
            fields,
        )
    }

    pub fn reopen(&mut self) {
        self.numbered.sink.reopen();
    }

    /// The run is over; returns the number of alerts.
    pub fn finish(self) -> Result<u64, PipelineError> {
        let count = self.count();
        self.numbered.sink.finish()?;
        Ok(count)
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
        self.tagged(time_ns, rule, priority, &[], message, fields)
    }

    fn tagged<const N: usize>(
        &mut self,
        time_ns: u64,
        rule: &str,
        priority: Priority,
        tags: &[String],
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
            tags,
            event: None,
        })
    }

    /// These rules are to be judged by.
    pub fn expect(&mut self, ruleset: &Ruleset) {
        self.numbered.told.expect(ruleset);
    }

    pub(super) fn told(&self) -> &Told {
        &self.numbered.told
    }

    pub fn sink(&self) -> &S {
        &self.numbered.sink
    }

    pub(super) fn sink_mut(&mut self) -> &mut S {
        &mut self.numbered.sink
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    pub fn flush(&mut self) -> Result<(), PipelineError> {
        Ok(self.numbered.sink.flush()?)
    }

    pub fn count(&self) -> u64 {
        self.numbered.counts.iter().sum()
    }
}

/// Of an alert about alerts that a sink does not get: rule, priority, sink, cause, count and message.
type Dropped<'a> = (&'static str, Priority, &'a str, &'a str, u64, String);

fn dropped<'a>(sink: &'a str, what: &str, cause: &'a str, count: u64) -> Dropped<'a> {
    let message = format!("{count} alerts {what} the sink {sink} ({cause})");
    let rule = "Alerts dropped";
    (rule, Priority::Critical, sink, cause, count, message)
}

impl<S: Sink> Numbered<S> {
    fn write(&mut self, mut alert: Alert<'_>) -> Result<(), PipelineError> {
        if let Some(count) = self.counts.get_mut(alert.priority as usize) {
            *count += 1;
        }
        alert.sequence = self.counts.iter().sum();
        self.told.alert(&alert);
        Ok(self.sink.write(&alert)?)
    }
}
