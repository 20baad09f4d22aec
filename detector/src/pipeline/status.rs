//! What the pipeline counts of itself, for the status; and the parts of it that the source has.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::Pipeline;
use crate::{
    alert::{Alert, Priority},
    event::{Event, FORGOTTEN, Kind, Loss, MISSED, RECURSION, SUPPRESSED},
    metrics::{
        Alerts, Events, LetOff, Losses, Probes, Process, Reloads, Ring, Status, Subject, Times,
    },
    rules::Ruleset,
    sink::Sink,
    source::{Fault, live::Live},
};

/// The time of one event in this many is taken.
const SAMPLED: u64 = 64;
/// Rules that are told by name, over all reloads.
const MAX_RULES: usize = 4096;
/// The name of the others.
const OTHERS: &str = "(other rules)";

const KINDS: [(Kind, &str); 4] = [
    (Kind::ConnectAttempt, "connect_attempt"),
    (Kind::ConnectOutcome, "connect_outcome"),
    (Kind::Accept, "accept"),
    (Kind::Listen, "listen"),
];

/// Told as 0 too: of a counter that is not there, the first loss would be no growth.
const LOSSES: [(&str, &str); 13] = [
    ("connect", "ring_buffer_full"),
    ("outcome", "ring_buffer_full"),
    ("accept", "ring_buffer_full"),
    ("listen", "ring_buffer_full"),
    ("connect", SUPPRESSED),
    ("outcome", SUPPRESSED),
    ("probe", RECURSION),
    ("connect", MISSED),
    ("accept", MISSED),
    ("record", "malformed"),
    ("outcome", "attempt_unknown"),
    ("process", FORGOTTEN),
    ("inventory", "too_many_found"),
];

/// What came in, and what rules did.
#[derive(Debug, Default)]
pub(super) struct Work {
    kinds: [u64; KINDS.len()],
    evaluation: Times,
    pub(super) reloads: Reloads,
}

impl Work {
    /// A numbered event is to be judged; when that began, if its time is taken.
    pub(super) fn begin(&mut self, event: &Event) -> Option<Instant> {
        if let Some(count) = self.kinds.get_mut(event.kind as usize) {
            *count += 1;
        }
        event.number.is_multiple_of(SAMPLED).then(Instant::now)
    }

    /// It was judged, which took so long.
    pub(super) fn judged(&mut self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.evaluation.count += 1;
        self.evaluation.total_ns = self.evaluation.total_ns.saturating_add(took);
    }
}

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    rules: BTreeMap<String, Of>,
    losses: BTreeMap<(String, String), u64>,
}

/// The alerts of one rule.
#[derive(Debug, Default)]
struct Of {
    source: String,
    /// A reload may change it.
    counts: BTreeMap<Priority, u64>,
}

impl Told {
    /// The rules of a ruleset are told of before they match.
    pub(super) fn expect(&mut self, ruleset: &Ruleset) {
        for rule in ruleset.rules().iter().filter(|rule| rule.enabled) {
            self.add(&rule.name, rule.priority, &rule.source, 0);
        }
    }

    pub(super) fn alert(&mut self, alert: &Alert<'_>) {
        self.add(alert.rule, alert.priority, alert.source, 1);
    }

    pub(super) fn loss(&mut self, loss: &Loss) {
        let of = (loss.subject.clone(), loss.cause.clone());
        let count = self.losses.entry(of).or_default();
        *count = count.saturating_add(loss.count);
    }

    fn add(&mut self, rule: &str, priority: Priority, source: &str, count: u64) {
        if let Some(of) = self.rules.get_mut(rule) {
            *of.counts.entry(priority).or_default() += count;
            return;
        }
        let name = match self.rules.len() < MAX_RULES {
            true => rule,
            false => OTHERS,
        };
        let of = self.rules.entry(name.to_owned()).or_default();
        if of.source.is_empty() && name == rule {
            source.clone_into(&mut of.source);
        }
        *of.counts.entry(priority).or_default() += count;
    }

    pub(super) fn alerts(&self) -> Vec<Alerts> {
        let each = |(rule, of): (&String, &Of)| {
            let of_rule = |(priority, count): (&Priority, &u64)| Alerts {
                rule: rule.clone(),
                priority: *priority,
                source: of.source.clone(),
                count: *count,
            };
            of.counts.iter().map(of_rule).collect::<Vec<_>>()
        };
        self.rules.iter().flat_map(each).collect()
    }

    fn losses(&self) -> Vec<Losses> {
        let mut all = self.losses.clone();
        for (subject, cause) in LOSSES {
            all.entry((subject.to_owned(), cause.to_owned()))
                .or_default();
        }
        let each = all.into_iter().map(|((subject, cause), count)| Losses {
            subject,
            cause,
            count,
        });
        each.collect()
    }
}

impl<S: Sink> Pipeline<S> {
    /// Without what the source has.
    pub fn status(&self) -> Status {
        let kinds = KINDS.iter().zip(self.work.kinds);
        Status {
            events: kinds
                .map(|((_, kind), count)| Events {
                    kind: (*kind).to_owned(),
                    count,
                })
                .collect(),
            alerts: self.alerts.told().alerts(),
            probes: Probes {
                losses: self.alerts.told().losses(),
                ..Probes::default()
            },
            reloads: self.work.reloads.clone(),
            evaluation: self.work.evaluation.clone(),
            sinks: self.alerts.sink().status(),
            process: Process::now(),
            ..Status::of(self.alerts.host())
        }
    }
}

/// What came of the canary last: none before its first connection.
pub(super) type Verdict = Option<Result<(), Fault>>;

/// Adds what the source has; its times too.
pub(super) fn of_source(source: &Live, verdict: &Verdict, started_ns: u64, status: &mut Status) {
    status.started_ns = started_ns;
    status.updated_ns = source.now_ns();
    let attached = source.attached();
    let summary = source.summary().into_iter();
    let subjects = summary.map(|one| {
        let mut attached = attached.iter();
        let attached = attached.find(|attached| attached.subject == one.subject);
        Subject {
            name: one.subject.to_owned(),
            mechanism: attached.map_or("", |one| one.mechanism.as_str()).to_owned(),
            place: attached.map_or("", |one| one.place).to_owned(),
            proven: is_proven(verdict, one.subject),
            generated: one.generated,
            delivered: one.delivered,
            lost: one.lost,
            suppressed: one.suppressed,
        }
    });
    status.probes.subjects = subjects.collect();
    let unproven = verdict.iter().filter_map(|verdict| verdict.as_ref().err());
    let mut faults: Vec<String> = unproven.map(Fault::to_string).collect();
    let changes = source.changes();
    if !changes.is_empty() {
        faults.push(Fault::Changed(changes.to_vec()).to_string());
    }
    status.probes.faults = faults;
    let let_offs = source.let_offs().into_iter();
    status.probes.let_off = let_offs
        .map(|(name, connects)| LetOff { name, connects })
        .collect();
    let (used, size) = source.ring_buffer();
    status.probes.ring = Ring { used, size };
}

fn is_proven(verdict: &Verdict, subject: &str) -> bool {
    match verdict {
        Some(Ok(())) => true,
        Some(Err(Fault::Unseen(unseen))) => !unseen.contains(&subject),
        Some(Err(Fault::NoCanary(_) | Fault::Changed(_))) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(told: &Told, rule: &str) -> Vec<(Priority, u64)> {
        let alerts = told.alerts().into_iter();
        let of_rule = alerts.filter(|one| one.rule == rule);
        of_rule.map(|one| (one.priority, one.count)).collect()
    }

    #[test]
    fn rules_beyond_the_bound_are_counted_together() {
        let mut told = Told::default();
        told.add("a", Priority::Notice, "syscall", 0);
        told.add("a", Priority::Error, "syscall", 2);
        for number in 1..MAX_RULES {
            told.add(&format!("rule {number}"), Priority::Debug, "syscall", 1);
        }
        told.add("one more", Priority::Debug, "syscall", 1);
        told.add("two more", Priority::Debug, "internal", 1);
        assert_eq!(
            count(&told, "a"),
            [(Priority::Error, 2), (Priority::Notice, 0)]
        );
        assert_eq!(count(&told, "one more"), []);
        assert_eq!(count(&told, OTHERS), [(Priority::Debug, 2)]);
        assert_eq!(told.rules.len(), MAX_RULES + 1);
    }

    #[test]
    fn a_subject_that_the_canary_missed_is_not_proven() {
        for (verdict, connect, accept) in [
            (None, false, false),
            (Some(Ok(())), true, true),
            (Some(Err(Fault::Unseen(vec!["accept"]))), true, false),
            (Some(Err(Fault::NoCanary(String::new()))), false, false),
        ] {
            let proven = ["connect", "accept"].map(|subject| is_proven(&verdict, subject));
            assert_eq!(proven, [connect, accept], "{verdict:?}");
        }
    }

    #[test]
    fn a_loss_is_told_before_it_happens_too() {
        let mut told = Told::default();
        told.loss(&Loss {
            time_ns: 0,
            subject: "accept".to_owned(),
            cause: MISSED.to_owned(),
            count: u64::MAX,
        });
        let losses = told.losses();
        assert_eq!(losses.len(), LOSSES.len());
        let lost: Vec<&Losses> = losses.iter().filter(|one| one.count > 0).collect();
        assert_eq!((lost.len(), lost[0].cause.as_str()), (1, MISSED));
    }
}
