//! Connections that are answered: a bounded number for a bounded time, so that nobody who is slow, and
//! no crowd of them, keeps the others from an answer.

use std::{collections::VecDeque, io, time::Duration};

use tokio::{task::JoinHandle, time::timeout};

/// At once; for one more, the oldest is closed: an answer takes a moment, so that is of somebody slow.
pub(super) const MAX: usize = 64;
/// How long a connection may last.
pub(super) const LIFETIME: Duration = Duration::from_secs(10);
/// Before the next try to accept, when there are no more file descriptors.
const AGAIN: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct Connections {
    /// The oldest first.
    open: VecDeque<JoinHandle<()>>,
}

impl Connections {
    /// Within a runtime.
    pub(super) fn add(&mut self, answer: impl Future<Output = ()> + Send + 'static) {
        self.open.retain(|one| !one.is_finished());
        if self.open.len() >= MAX
            && let Some(oldest) = self.open.pop_front()
        {
            oldest.abort();
        }
        let bounded = timeout(LIFETIME, answer);
        self.open.push_back(tokio::spawn(async move {
            if bounded.await.is_err() {
                tracing::debug!("somebody who asked for the status was too slow");
            }
        }));
    }
}

/// A connection could not be accepted.
pub(super) async fn refused(error: &io::Error) {
    tracing::debug!(%error, "a connection is not accepted");
    tokio::time::sleep(AGAIN).await;
}
