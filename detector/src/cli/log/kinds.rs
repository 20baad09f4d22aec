//! How many lines of each kind were told in its period, and how many were not. Knows no clock.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tracing::Level;

/// As many as the kernel prints of its own (`printk_ratelimit`: ten in five seconds). With all kinds
/// at once that is below what journald takes of a service (10,000 in 30 s), whatever their kind.
pub(super) const LINES: u32 = 20;
pub(super) const PERIOD: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Kinds(BTreeMap<u64, Kind>);

/// One in its period, which begins with a line of it.
struct Kind {
    since: Instant,
    told: u32,
    left_out: Option<LeftOut>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) level: Level,
    /// When the period began.
    pub(super) since: Instant,
    pub(super) count: u64,
    /// What the first of them said.
    pub(super) like: String,
}

impl Kinds {
    /// Whether one more line is to be told.
    pub(super) fn pass(&mut self, kind: u64, now: Instant) -> bool {
        let new = || Kind {
            since: now,
            told: 0,
            left_out: None,
        };
        let kind = self.0.entry(kind).or_insert_with(new);
        // A period of which something was left out ends when that is told.
        if kind.left_out.is_none() && now >= kind.since + PERIOD {
            *kind = new();
        }
        let passes = kind.left_out.is_none() && kind.told < LINES;
        kind.told += u32::from(passes);
        passes
    }

    /// One that did not pass.
    pub(super) fn leave_out(&mut self, kind: u64, level: Level, like: impl FnOnce() -> String) {
        if let Some(Kind {
            since, left_out, ..
        }) = self.0.get_mut(&kind)
        {
            let left_out = left_out.get_or_insert_with(|| LeftOut {
                level,
                since: *since,
                count: 0,
                like: like(),
            });
            left_out.count += 1;
        }
    }

    /// When the next period ends of which something was left out.
    pub(super) fn next(&self) -> Option<Instant> {
        let left_out = self.0.values().filter(|kind| kind.left_out.is_some());
        left_out.map(|kind| kind.since + PERIOD).min()
    }

    /// What was left out of periods that are over.
    pub(super) fn over(&mut self, now: Instant) -> Vec<LeftOut> {
        let over = self.0.extract_if(.., |_, kind| now >= kind.since + PERIOD);
        in_order(over.map(|(_, kind)| kind))
    }

    /// What was left out, whether the periods are over or not.
    pub(super) fn take(&mut self) -> Vec<LeftOut> {
        in_order(std::mem::take(&mut self.0).into_values())
    }
}

fn in_order(kinds: impl Iterator<Item = Kind>) -> Vec<LeftOut> {
    let mut left_out: Vec<LeftOut> = kinds.filter_map(|kind| kind.left_out).collect();
    left_out.sort_by_key(|left_out| left_out.since);
    left_out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_told_when_it_is_over_and_the_next_begins_with_a_line() {
        let (mut kinds, start) = (Kinds::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let flood = |kinds: &mut Kinds, now, kind| {
            let mut told = 0;
            for number in 0..100 {
                if kinds.pass(kind, now) {
                    told += 1;
                } else {
                    kinds.leave_out(kind, Level::WARN, || format!("line {number}"));
                }
            }
            told
        };
        assert_eq!(flood(&mut kinds, at(3), 1), LINES);
        assert_eq!(flood(&mut kinds, at(4), 1), 0);
        assert_eq!(flood(&mut kinds, at(5), 2), LINES, "another kind");
        assert_eq!(kinds.next(), Some(at(13)));
        assert_eq!(kinds.over(at(12)), []);
        // Late: what comes until it is told is of the same period.
        assert_eq!(flood(&mut kinds, at(14), 1), 0);
        let left_out = |seconds, count| LeftOut {
            level: Level::WARN,
            since: at(seconds),
            count,
            like: "line 20".to_owned(),
        };
        assert_eq!(kinds.over(at(14)), [left_out(3, 280)]);
        assert_eq!(kinds.next(), Some(at(15)));
        assert_eq!(flood(&mut kinds, at(14), 1), LINES);
        assert_eq!(kinds.take(), [left_out(5, 80), left_out(14, 80)]);
        assert_eq!(kinds.next(), None);
    }

    #[test]
    fn few_lines_a_period_all_pass_and_take_no_more_room() {
        let (mut kinds, start) = (Kinds::default(), Instant::now());
        for second in 0..1000 {
            let now = start + Duration::from_secs(second);
            assert!(kinds.pass(1, now) && kinds.pass(1, now));
        }
        assert_eq!(kinds.0.len(), 1);
        assert_eq!(kinds.take(), []);
    }
}
