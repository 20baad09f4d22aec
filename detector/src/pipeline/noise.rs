//! Keeps one process from filling every sink: of alerts that are alike, so many a period are told, and
//! the rest are counted.
//!
//! Alike are alerts of one rule that tell of one process (its id and start time, its executable, its
//! user) and one destination: a process or a destination that differs is never hidden, and neither is
//! the first of its kind. Time is that of the events, so that a replay tells the same.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use crate::{alert::Priority, event::Event, rules::Rule};

/// Kinds that are known at once; of more than these, everything is told.
const MAX_KINDS: usize = 16_384;

/// How many alike alerts are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// In each period; at least one.
    pub alerts: u32,
    pub period: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kind {
    rule: String,
    pid: u32,
    start_time_ns: u64,
    executable: (u32, u64),
    uid: u32,
    destination: (IpAddr, u16),
}

#[derive(Debug)]
struct Told {
    /// When the period began.
    begin_ns: u64,
    alerts: u32,
    suppressed: Suppressed,
}

/// Alike alerts that were not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppressed {
    pub rule: String,
    /// Of the rule.
    pub priority: Priority,
    pub tags: Vec<String>,
    pub process: String,
    pub pid: u32,
    pub destination: (IpAddr, u16),
    pub count: u64,
}

#[derive(Debug, Default)]
pub struct Noise {
    limit: Option<Limit>,
    kinds: HashMap<Kind, Told>,
    /// When it was last looked for periods that are over.
    looked_ns: u64,
}

impl Noise {
    pub fn new(limit: Option<Limit>) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// Another limit from now on; without one, what was suppressed is told at the next look.
    pub fn turn(&mut self, limit: Option<Limit>) {
        self.limit = limit;
    }

    /// Whether the alert is to be told.
    pub fn tells(&mut self, rule: &Rule, event: &Event) -> bool {
        let Some(limit) = self.limit else {
            return true;
        };
        let process = &event.process;
        let kind = Kind {
            rule: rule.name.clone(),
            pid: process.pid,
            start_time_ns: process.start_time_ns,
            executable: (process.exe.device, process.exe.inode),
            uid: process.uid,
            destination: (event.socket.server.ip, event.socket.server.port),
        };
        if let Some(told) = self.kinds.get_mut(&kind) {
            let tells = told.alerts < limit.alerts.max(1);
            match tells {
                true => told.alerts += 1,
                false => told.suppressed.count += 1,
            }
            return tells;
        }
        if self.kinds.len() < MAX_KINDS {
            let suppressed = Suppressed {
                rule: kind.rule.clone(),
                priority: rule.priority,
                tags: rule.tags.clone(),
                process: process.exe.path.clone(),
                pid: kind.pid,
                destination: kind.destination,
                count: 0,
            };
            let told = Told {
                begin_ns: event.time_ns,
                alerts: 1,
                suppressed,
            };
            self.kinds.insert(kind, told);
        }
        true
    }

    /// What was suppressed in periods that are over at this time; of all, at the end of a run. To be
    /// called before the event of that time is judged.
    pub fn over(&mut self, time_ns: u64, last: bool) -> Vec<Suppressed> {
        let period = self.limit.map_or(Duration::ZERO, |limit| limit.period);
        let period_ns = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX);
        if self.kinds.is_empty() {
            return Vec::new();
        }
        // Looking at every kind for every event would cost more than it spares.
        if !last && time_ns.saturating_sub(self.looked_ns) < period_ns / 16 {
            return Vec::new();
        }
        self.looked_ns = time_ns;
        let mut over = Vec::new();
        self.kinds.retain(|_, told| {
            let ended = last || time_ns.saturating_sub(told.begin_ns) >= period_ns;
            if ended && told.suppressed.count > 0 {
                over.push(told.suppressed.clone());
            }
            !ended
        });
        over.sort_by(|one, other| {
            let key = |one: &Suppressed| (one.rule.clone(), one.pid, one.destination);
            key(one).cmp(&key(other))
        });
        over
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        event::{Endpoint, Executable, Kind as EventKind, Process},
        rules::{Ruleset, SourceFile, loader},
    };

    const SECOND: u64 = 1_000_000_000;

    fn event(pid: u32, port: u16, time_ns: u64) -> Event {
        let ip = [10, 0, 0, 1].into();
        let exe = Executable {
            path: "/usr/bin/curl".into(),
            ..Executable::default()
        };
        Event {
            time_ns,
            process: Arc::new(Process {
                pid,
                exe,
                ..Process::default()
            }),
            ..Event::example(EventKind::ConnectAttempt, Endpoint { ip, port })
        }
    }

    fn ruleset() -> Ruleset {
        let text = "- rule: r\n  desc: d\n  condition: evt.type = connect\n  output: o\n  priority: INFO\n";
        let source = SourceFile {
            name: "r".into(),
            text: text.into(),
        };
        loader::load(&[source]).ruleset.unwrap()
    }

    #[test]
    fn only_what_is_alike_is_suppressed() {
        let limit = Limit {
            alerts: 2,
            period: Duration::from_secs(60),
        };
        let (mut noise, ruleset) = (Noise::new(Some(limit)), ruleset());
        let rule = &ruleset.rules()[0];
        let mut told = 0;
        for second in 0..10 {
            told += u32::from(noise.tells(rule, &event(7, 10250, second * SECOND)));
        }
        assert_eq!(told, 2);
        assert!(noise.tells(rule, &event(8, 10250, 0)), "another process");
        assert!(
            noise.tells(rule, &event(7, 10255, 0)),
            "another destination"
        );
        assert_eq!(noise.over(59 * SECOND, false), []);
        let over = noise.over(64 * SECOND, false);
        assert_eq!(
            over.iter()
                .map(|one| (one.pid, one.count))
                .collect::<Vec<_>>(),
            [(7, 8)]
        );
        assert!(
            noise.tells(rule, &event(7, 10250, 65 * SECOND)),
            "the first of a period"
        );
    }

    #[test]
    fn what_waits_is_told_at_the_end_and_nothing_is_limited_by_default() {
        let limit = Limit {
            alerts: 0,
            period: Duration::from_secs(60),
        };
        let (mut noise, ruleset) = (Noise::new(Some(limit)), ruleset());
        let rule = &ruleset.rules()[0];
        assert!(noise.tells(rule, &event(7, 1, 0)), "never the first");
        assert!(!noise.tells(rule, &event(7, 1, 1)));
        assert_eq!(noise.over(2, true).len(), 1);
        let mut noise = Noise::default();
        assert!((0..100).all(|time| noise.tells(rule, &event(7, 1, time))));
        assert_eq!(noise.over(u64::MAX, true), []);
    }
}
