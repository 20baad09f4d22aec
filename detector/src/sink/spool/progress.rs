//! How far one sink is.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{frame::LEVELS, mark::Mark};
use crate::{alert::Priority, sink::filter::Filter};

/// Of one priority.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Level {
    /// Up to here the sink has every alert, or need not have it.
    acked: u64,
    /// Behind it, positions that were given up and are counted, in their order.
    given_up: Vec<(u64, u64)>,
    /// First positions of the oldest and of the youngest segment that are being read.
    #[serde(skip)]
    reading: Option<(u64, u64)>,
}

/// What of it outlives the daemon. The given up positions that do not fit are forgotten: they are
/// counted again, as missing, when the sink comes to them in another run.
const MARKED: usize = 2;

#[derive(Debug)]
pub(super) struct Progress {
    name: String,
    filter: Arc<Filter>,
    levels: [Level; LEVELS],
    /// It has a mark of an earlier run.
    known: bool,
    /// `None` in memory.
    mark: Option<Mark>,
}

impl Progress {
    /// From the first position on.
    pub(super) fn new(name: &str, filter: Arc<Filter>) -> Self {
        Self {
            name: name.to_owned(),
            filter,
            levels: Default::default(),
            known: false,
            mark: None,
        }
    }

    /// How far the sink was when the mark was made.
    pub(super) fn marked(mut self, mark: Mark, levels: Option<Marked>) -> Self {
        self.known = levels.is_some();
        self.levels = levels.map(|Marked(levels)| levels).unwrap_or_default();
        self.mark = Some(mark);
        self
    }

    /// Its mark is of no use any more.
    pub(super) fn unmark(&mut self) {
        self.mark = None;
    }

    /// A sink that has no mark begins with what is there, at `firsts` or, of a priority that has nothing,
    /// behind `ends`.
    pub(super) fn start(&mut self, firsts: &[Option<u64>; LEVELS], ends: &[u64; LEVELS]) {
        if self.known {
            return;
        }
        for ((level, first), end) in self.levels.iter_mut().zip(firsts).zip(ends) {
            level.acked = first.map_or(*end, |first| first - 1);
        }
        self.write();
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn filter(&self) -> &Arc<Filter> {
        &self.filter
    }

    pub(super) fn set_filter(&mut self, filter: Arc<Filter>) {
        self.filter = filter;
    }

    fn level(&self, level: Priority) -> Option<&Level> {
        self.levels.get(level as usize)
    }

    /// The sink has it, or it is given up.
    pub(super) fn is_past(&self, level: Priority, position: u64) -> bool {
        self.level(level).is_some_and(|level| {
            let in_it = |(first, last): &(u64, u64)| (*first..=*last).contains(&position);
            position <= level.acked || level.given_up.iter().any(in_it)
        })
    }

    pub(super) fn acked(&self, level: Priority) -> u64 {
        self.level(level).map_or(0, |level| level.acked)
    }

    /// How many positions up to these ends the sink does not have, wanted or not.
    pub(super) fn behind(&self, ends: &[u64; LEVELS]) -> u64 {
        let levels = Priority::ALL.into_iter().zip(ends);
        levels
            .map(|(level, end)| self.missing(level, self.acked(level), end.saturating_add(1)))
            .sum()
    }

    /// How many positions between two, without them, are not given up.
    pub(super) fn missing(&self, level: Priority, after: u64, before: u64) -> u64 {
        let between = before.saturating_sub(after + 1);
        let given_up = self.level(level).map_or(0, |level| {
            let inside = |(first, last): &(u64, u64)| {
                let (from, to) = (
                    (*first).max(after + 1),
                    (*last).min(before.saturating_sub(1)),
                );
                (to + 1).saturating_sub(from)
            };
            level.given_up.iter().map(inside).sum()
        });
        between.saturating_sub(given_up)
    }

    /// The segment that begins there is being read, or waits for an acknowledgement.
    pub(super) fn reads(&self, level: Priority, first: u64) -> bool {
        let reading = self.level(level).and_then(|level| level.reading);
        reading.is_some_and(|(low, high)| (low..=high).contains(&first))
    }

    pub(super) fn begin(&mut self, level: Priority, first: u64) {
        if let Some(level) = self.levels.get_mut(level as usize) {
            let low = level.reading.map_or(first, |(low, _)| low);
            level.reading = Some((low, first));
        }
    }

    /// Positions that were given up.
    pub(super) fn pass(&mut self, level: Priority, first: u64, last: u64) {
        let Some(level) = self.levels.get_mut(level as usize) else {
            return;
        };
        if last <= level.acked {
            return;
        }
        match level.given_up.iter_mut().find(|(_, end)| *end + 1 == first) {
            Some((_, end)) => *end = last,
            None => {
                level.given_up.push((first, last));
                level.given_up.sort_unstable();
            }
        }
        self.write();
    }

    /// Up to these positions.
    pub(super) fn ack(&mut self, through: &[u64; LEVELS]) {
        for (level, through) in self.levels.iter_mut().zip(through) {
            level.acked = level.acked.max(*through);
            let acked = level.acked;
            level.given_up.retain(|(_, last)| *last > acked);
            level.reading = level.reading.map(|(_, high)| (high, high));
        }
        self.write();
    }

    /// Of a mark that cannot be written the one before counts: alerts may then be told twice.
    fn write(&mut self) {
        let marked = self.to_mark();
        if let Some(mark) = &mut self.mark
            && let Err(error) = mark.set(&marked)
        {
            tracing::debug!(sink = self.name, %error, "how far the sink is cannot be kept");
        }
    }

    fn to_mark(&self) -> Marked {
        let mut levels = self.levels.clone();
        for level in &mut levels {
            level.given_up.truncate(MARKED);
        }
        Marked(levels)
    }

    /// Whether somebody removed or replaced its mark, and it is made anew.
    pub(super) fn mend(&mut self) -> std::io::Result<bool> {
        let marked = self.to_mark();
        let mark = self.mark.as_mut();
        mark.map_or(Ok(false), |mark| mark.mend(&marked))
    }

    pub(super) fn mark(&self) -> Option<&Mark> {
        self.mark.as_ref()
    }
}

/// As it is on disk.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Marked([Level; LEVELS]);

#[cfg(test)]
mod tests {
    use super::*;

    const LEVEL: Priority = Priority::Warning;

    fn through(position: u64) -> [u64; LEVELS] {
        let mut through = [0; LEVELS];
        through[LEVEL as usize] = position;
        through
    }

    #[test]
    fn what_is_given_up_is_not_missing() {
        let settings = serde_json::from_str(r#"{"name":"a"}"#).unwrap();
        let mut progress = Progress::new("a", Arc::new(Filter::new(&settings)));
        progress.ack(&through(4));
        progress.pass(LEVEL, 11, 20);
        progress.pass(LEVEL, 21, 30);
        progress.pass(LEVEL, 41, 50);
        assert!(progress.is_past(LEVEL, 4) && progress.is_past(LEVEL, 30));
        assert!(!progress.is_past(LEVEL, 5) && !progress.is_past(LEVEL, 31));
        assert_eq!(progress.missing(LEVEL, 4, 5), 0);
        assert_eq!(progress.missing(LEVEL, 4, 11), 6);
        assert_eq!(progress.missing(LEVEL, 10, 31), 0);
        assert_eq!(progress.missing(LEVEL, 4, 60), 6 + 10 + 9);
        progress.ack(&through(30));
        assert_eq!(progress.missing(LEVEL, 30, 51), 10);
        assert_eq!(progress.missing(Priority::Debug, 0, 51), 50);
    }

    #[test]
    fn a_segment_is_read_until_it_is_acknowledged() {
        let settings = serde_json::from_str(r#"{"name":"a"}"#).unwrap();
        let mut progress = Progress::new("a", Arc::new(Filter::new(&settings)));
        progress.begin(LEVEL, 1);
        progress.begin(LEVEL, 10);
        assert!(progress.reads(LEVEL, 1) && progress.reads(LEVEL, 10));
        assert!(!progress.reads(LEVEL, 20) && !progress.reads(Priority::Debug, 1));
        progress.ack(&through(12));
        assert!(!progress.reads(LEVEL, 1) && progress.reads(LEVEL, 10));
    }
}
