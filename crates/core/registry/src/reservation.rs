//! Room that is held, and room that is waited for.

use crate::name::PipelineId;
use crate::resources::Resources;
use capstan_ids::{Millis, Monotonic, WallTime};
use std::cmp::Reverse;

/// Room that is held.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reservation {
    pub resources: Resources,
    pub ttl: Millis,
    pub priority: i16,
    pub since: WallTime,
    /// Only in memory: begins anew at its full term with a new leader.
    pub deadline: Monotonic,
    pub expires: WallTime,
}

/// Room that is waited for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Waiting {
    pub resources: Resources,
    pub ttl: Millis,
    pub priority: i16,
    pub patience: Millis,
    pub since: WallTime,
    /// How many came before it, ever.
    pub number: u64,
    /// Only in memory: begins anew at its full term with a new leader.
    pub deadline: Monotonic,
    pub expires: WallTime,
}

/// A place in the queue: priority, then first come, first served.
pub(crate) type Place = (Reverse<i16>, u64, PipelineId);

impl Waiting {
    pub fn place(&self, id: &PipelineId) -> Place {
        (Reverse(self.priority), self.number, id.clone())
    }
}
