//! Alerts that peers refuse for good: they are counted at once, and told of each sink once a minute, for
//! a peer may refuse every one.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{alert::INTERNAL, sink::News};

const PERIOD: Duration = Duration::from_secs(60);

/// By sink.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<BTreeMap<String, Refused>>);

#[derive(Debug, Default)]
struct Refused {
    /// Since the last news.
    count: u64,
    /// Of rules, since they were told.
    of_rules: u64,
    told: Option<Instant>,
}

impl Refusals {
    /// `source` is the alert's.
    pub(super) fn add(&self, sink: &str, source: &str) {
        let mut each = self.lock();
        let refused = each.entry(sink.to_owned()).or_default();
        refused.count += 1;
        refused.of_rules += u64::from(source != INTERNAL);
    }

    /// `last`: what is not told now never is.
    pub(super) fn news(&self, now: Instant, last: bool) -> Vec<News> {
        let mut news = Vec::new();
        for (sink, refused) in self.lock().iter_mut() {
            let since = refused.told.map(|told| now.saturating_duration_since(told));
            let due = last || since.is_none_or(|since| since >= PERIOD);
            let mut tell = 0;
            if due && refused.of_rules > 0 {
                tell = std::mem::take(&mut refused.of_rules);
                refused.told = Some(now);
            }
            let count = std::mem::take(&mut refused.count);
            if count > 0 || tell > 0 {
                let sink = sink.clone();
                news.push(News::Refused { sink, count, tell });
            }
        }
        news
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Refused>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_at_once_and_told_once_a_minute() {
        let refusals = Refusals::default();
        let begin = Instant::now();
        let at = |seconds, last| refusals.news(begin + Duration::from_secs(seconds), last);
        let told = |sink: &str, count, tell| News::Refused {
            sink: sink.to_owned(),
            count,
            tell,
        };
        assert_eq!(at(0, true), []);
        // The detector's own do not put off those of rules.
        refusals.add("a", INTERNAL);
        assert_eq!(at(1, false), [told("a", 1, 0)]);
        refusals.add("a", "syscall");
        refusals.add("b", INTERNAL);
        assert_eq!(at(2, false), [told("a", 1, 1), told("b", 1, 0)]);
        refusals.add("a", INTERNAL);
        refusals.add("a", "syscall");
        assert_eq!(at(61, false), [told("a", 2, 0)]);
        refusals.add("a", "syscall");
        assert_eq!(at(62, false), [told("a", 1, 2)]);
        refusals.add("a", "syscall");
        assert_eq!(at(63, true), [told("a", 1, 1)]);
        assert_eq!(at(200, true), []);
    }
}
