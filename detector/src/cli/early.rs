//! Signals that come while a run starts: SIGHUP and SIGUSR1 would end it (as logrotate's does at a
//! restart), and count as asked for as soon as it can do what they ask.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use anyhow::{Context as _, Result};
use signal_hook::{
    consts::{SIGHUP, SIGUSR1},
    flag,
    low_level::raise,
};

/// Each, and whether it came.
pub(super) struct Early([(i32, Arc<AtomicBool>); 2]);

impl Early {
    pub(super) fn catch() -> Result<Self> {
        let caught = [SIGHUP, SIGUSR1].map(|signal| (signal, Arc::default()));
        for (signal, came) in &caught {
            flag::register(*signal, Arc::clone(came)).context("cannot wait for signals")?;
        }
        Ok(Self(caught))
    }

    /// To whoever waits for them by now.
    pub(super) fn pass_on(self) -> Result<()> {
        for (signal, came) in self.0 {
            if came.load(Relaxed) {
                raise(signal).context("cannot pass a signal on")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::signal::unix::{SignalKind, signal};

    use super::*;

    #[test]
    fn what_came_early_is_asked_for() {
        let early = Early::catch().unwrap();
        raise(SIGHUP).unwrap();
        crate::cli::runtime().unwrap().block_on(async {
            let mut hangup = signal(SignalKind::hangup()).unwrap();
            let mut user1 = signal(SignalKind::user_defined1()).unwrap();
            early.pass_on().unwrap();
            let long = Duration::from_secs(60);
            let came = tokio::time::timeout(long, hangup.recv()).await;
            assert!(came.unwrap().is_some());
            // Both were passed on before.
            let other = tokio::time::timeout(Duration::ZERO, user1.recv()).await;
            assert!(other.is_err(), "it did not come");
        });
    }
}
