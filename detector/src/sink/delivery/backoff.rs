//! How long to wait before a peer is asked again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// Doubles from 100 ms to 30 s. A part of it is chance, so that the detectors of a cluster do not come
/// back to a server all at once.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    tries: u32,
}

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.tries.min(16)).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        whole.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound() {
        let mut backoff = Backoff::default();
        for tries in 0..40 {
            let most = FIRST.saturating_mul(1 << tries.min(16)).min(LONGEST);
            let wait = backoff.next();
            assert!(wait >= most / 2 && wait <= most, "{tries}: {wait:?}");
        }
    }
}
