//! Alerts that peers refuse for good, until they are told: of each sink once a minute, for a peer may
//! refuse every one.

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
    count: u64,
    /// Of them, those that are not the detector's own.
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
            if due && refused.count > 0 {
                news.push(News::Refused {
                    sink: sink.clone(),
                    count: refused.count,
                    own: refused.of_rules == 0,
                });
                *refused = Refused {
                    told: Some(now),
                    ..Refused::default()
                };
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
    fn each_sink_is_told_of_once_a_minute() {
        let refusals = Refusals::default();
        let begin = Instant::now();
        let at = |seconds, last| refusals.news(begin + Duration::from_secs(seconds), last);
        let told = |sink: &str, count, own| News::Refused {
            sink: sink.to_owned(),
            count,
            own,
        };
        assert_eq!(at(0, true), []);
        refusals.add("a", "syscall");
        assert_eq!(at(1, false), [told("a", 1, false)]);
        refusals.add("a", INTERNAL);
        refusals.add("b", INTERNAL);
        assert_eq!(at(2, false), [told("b", 1, true)]);
        refusals.add("a", "syscall");
        assert_eq!(at(60, false), []);
        assert_eq!(at(61, false), [told("a", 2, false)]);
        refusals.add("a", INTERNAL);
        assert_eq!(at(62, true), [told("a", 1, true)]);
        assert_eq!(at(200, true), []);
    }
}
