//! The only place that knows every stage: an item comes in, lines of alerts go out.

pub mod alerts;
pub mod live;
pub mod noise;
pub mod reload;
pub mod replay;
mod status;
pub mod watched_files;

use std::time::{Duration, Instant};

use crate::{
    event::{Counter, Item},
    host::Host,
    rules::{Memory, Ruleset, let_off::LetOff, ports::WatchedPorts},
    sink::{Sink, SinkError},
    source::{Fault, beat::Blind, ebpf::EbpfError},
    trace::{TraceError, Writer},
};
use alerts::Alerts;
use noise::{Limit, Noise};
use reload::Refused;
use status::Work;

#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    #[error("cannot wait for the probes or for signals")]
    Wait(#[source] std::io::Error),
    #[error(transparent)]
    Source(#[from] EbpfError),
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error(transparent)]
    Trace(#[from] TraceError),
}

pub struct Pipeline<S: Sink> {
    ruleset: Ruleset,
    memory: Memory,
    recorder: Option<Writer>,
    counter: Counter,
    noise: Noise,
    work: Work,
    alerts: Alerts<S>,
}

impl<S: Sink> Pipeline<S> {
    pub fn new(ruleset: Ruleset, host: Host, sink: S) -> Self {
        let mut alerts = Alerts::new(host.clone(), sink);
        alerts.expect(&ruleset);
        Self {
            ruleset: ruleset.on_host(host),
            memory: Memory::default(),
            recorder: None,
            counter: Counter::default(),
            noise: Noise::default(),
            work: Work::default(),
            alerts,
        }
    }

    /// Also writes every item to a trace.
    pub fn record(self, recorder: Writer) -> Self {
        Self {
            recorder: Some(recorder),
            ..self
        }
    }

    /// Of alerts that are alike only so many are told.
    pub fn limit(self, limit: Option<Limit>) -> Self {
        Self {
            noise: Noise::new(limit),
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
                self.suppressed(event.time_ns, false)?;
                let (alerts, noise) = (&mut self.alerts, &mut self.noise);
                let mut tell = |rule| match noise.tells(rule, event) {
                    true => alerts.matched(rule, event),
                    false => Ok(()),
                };
                let begun = self.work.begin(event);
                let mut matched = self.ruleset.evaluate_with(&mut self.memory, event);
                let Some(begun) = begun else {
                    return matched.try_for_each(tell);
                };
                // The time of the alerts is not that of the rules.
                let (mut took, mut begun) = (Duration::ZERO, begun);
                loop {
                    let rule = matched.next();
                    took += begun.elapsed();
                    let Some(rule) = rule else {
                        break;
                    };
                    tell(rule)?;
                    begun = Instant::now();
                }
                self.work.judged(took);
                Ok(())
            }
            Item::Drop(loss) => self.alerts.lost(loss),
        }
    }

    /// Tells how many alike alerts were not told; `last` at the end of a run.
    pub fn suppressed(&mut self, time_ns: u64, last: bool) -> Result<(), PipelineError> {
        let alerts = &mut self.alerts;
        let mut over = self.noise.over(time_ns, last).into_iter();
        over.try_for_each(|suppressed| alerts.suppressed(time_ns, &suppressed))
    }

    /// The ports that the rules in force ask for.
    pub fn watched_ports(&self) -> &WatchedPorts {
        self.ruleset.watched_ports()
    }

    /// Whose connects the probes need not tell of; a trace is to have all of them.
    pub fn let_off(&self) -> &[LetOff] {
        match self.recorder {
            Some(_) => &[],
            None => self.ruleset.let_off(),
        }
    }

    /// From the next item on, these rules decide.
    pub fn reload(&mut self, ruleset: Ruleset) {
        self.work.reloads.applied += 1;
        self.alerts.expect(&ruleset);
        self.ruleset = ruleset.on_host(self.alerts.host().clone());
    }

    /// From the next item on, of alerts that are alike only so many are told.
    pub fn turn_limit(&mut self, limit: Option<Limit>) {
        self.noise.turn(limit);
    }

    pub fn sink(&mut self) -> &mut S {
        self.alerts.sink_mut()
    }

    /// What was in force stays, and that is told.
    pub fn not_reloaded(&mut self, time_ns: u64, refused: &Refused) -> Result<(), PipelineError> {
        self.work.reloads.refused += 1;
        self.alerts.not_reloaded(time_ns, refused)
    }

    /// The probes are not as they should be.
    pub fn fault(&mut self, time_ns: u64, fault: &Fault) -> Result<(), PipelineError> {
        self.alerts.fault(time_ns, fault)
    }

    /// Nobody watched before this run.
    pub fn blind(&mut self, blind: &Blind) -> Result<(), PipelineError> {
        self.alerts.blind(blind)
    }

    /// This many events to come were perhaps told before.
    pub fn repeats(&mut self, time_ns: u64, count: usize) -> Result<(), PipelineError> {
        self.alerts.repeats(time_ns, count)
    }

    /// What happened to alerts on their way is told; `last` at the end of the run.
    pub fn news(&mut self, time_ns: u64, last: bool) -> Result<(), PipelineError> {
        self.alerts.news(time_ns, last)
    }

    /// The detector is there; `last` when it goes.
    pub fn heartbeat(&mut self, time_ns: u64, last: bool) -> Result<(), PipelineError> {
        self.alerts.heartbeat(time_ns, self.counter.count(), last)
    }

    /// Files that somebody renamed are opened anew.
    pub fn reopen(&mut self) {
        self.alerts.reopen();
    }

    pub fn flush(&mut self) -> Result<(), PipelineError> {
        if let Some(recorder) = &mut self.recorder {
            recorder.flush()?;
        }
        self.alerts.flush()
    }

    /// Completes the trace; returns the numbers of events and alerts.
    pub fn finish(mut self) -> Result<(u64, u64), PipelineError> {
        self.suppressed(self.counter.time_ns(), true)?;
        self.flush()?;
        if let Some(recorder) = self.recorder {
            recorder.finish()?;
        }
        Ok((self.counter.count(), self.alerts.finish()?))
    }
}
