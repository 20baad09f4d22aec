//! What a peer says of the alerts that it was handed.

use std::{sync::Arc, time::Duration};

/// What became of one alert. Many of a batch may share one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sink) enum Fate {
    Delivered,
    /// The peer does not want this alert, now or later.
    Refused(Arc<str>),
    /// To be tried again: the peer is not there, is busy, or does not know us.
    Again(Arc<str>),
}

/// The fates of a batch, in its order.
#[derive(Debug)]
pub(in crate::sink) struct Reply {
    pub(in crate::sink) fates: Vec<Fate>,
    /// When the peer wants to be asked again.
    pub(in crate::sink) after: Option<Duration>,
}

impl Reply {
    pub(super) fn all(count: usize, fate: Fate) -> Self {
        Self {
            fates: vec![fate; count],
            after: None,
        }
    }

    pub(super) fn again(count: usize, why: impl Into<Arc<str>>) -> Self {
        Self::all(count, Fate::Again(why.into()))
    }
}
