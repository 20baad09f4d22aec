//! In place of the sink, where it is not built in.

use super::{Letter, Reply};
use crate::sink::settings::{KafkaSettings, NO_KAFKA};

/// There is none.
#[derive(Debug)]
pub(super) enum Kafka {}

impl Kafka {
    pub(super) fn new(_settings: &KafkaSettings) -> Result<Self, String> {
        let (what, remedy) = NO_KAFKA;
        Err(format!("{what}: {remedy}"))
    }

    pub(super) fn batch(&self) -> usize {
        match *self {}
    }

    pub(super) async fn send(&mut self, _letters: &[Letter]) -> Reply {
        match *self {}
    }
}
