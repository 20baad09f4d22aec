//! Facts of the node that events and alerts are rendered with. Recorded in a trace's header, so
//! that a replay on another machine gives the same alerts.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    pub hostname: String,
    /// `uname -r`.
    pub kernel: String,
    /// Unix time of boot, nanoseconds.
    pub boot_time_ns: u64,
    /// Of the local time zone, for `evt.time`.
    pub utc_offset_s: i32,
    /// This run of the detector; alert UUIDs derive from it and the sequence number.
    pub instance: uuid::Uuid,
}
