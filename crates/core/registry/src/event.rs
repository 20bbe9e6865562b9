//! What has happened, as the journal keeps it.
//!
//! Fields are numbered: a later version may add optional ones at the end, and old events still read. An event says by
//! itself when it happened, so that a replay gives the same times and costs.

use crate::name::{Labels, PipelineGroup, PipelineId, PipelineName};
use crate::resources::Resources;
use crate::rules::Rules;
use crate::status::PipelineStatus;
use capstan_ids::{Millis, WallTime};
use minicbor::{Decode, Encode};

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Event {
    /// A pipeline became known.
    #[n(0)]
    PipelineRegistered {
        /// Which.
        #[n(0)]
        id: PipelineId,
        /// When.
        #[n(1)]
        at: WallTime,
        /// What people call it.
        #[n(2)]
        name: PipelineName,
        /// What it is listed under.
        #[n(3)]
        group: Option<PipelineGroup>,
        /// Its place in the queue for room.
        #[n(4)]
        priority: i16,
        /// What else is known of it.
        #[n(5)]
        labels: Labels,
    },
    /// A pipeline was taken out.
    #[n(1)]
    PipelineUnregistered {
        /// Which.
        #[n(0)]
        id: PipelineId,
        /// When.
        #[n(1)]
        at: WallTime,
        /// Why.
        #[n(2)]
        cause: Leaving,
    },
    /// A pipeline said what it is doing, and something of that is new.
    #[n(2)]
    PipelineStatusUpdated {
        /// Which.
        #[n(0)]
        id: PipelineId,
        /// When.
        #[n(1)]
        at: WallTime,
        /// What it is doing.
        #[n(2)]
        status: PipelineStatus,
        /// Records so far.
        #[n(3)]
        total_records: u64,
        /// Records that failed.
        #[n(4)]
        failed_records: u64,
        /// Bytes moved since it was started.
        #[n(5)]
        bytes_moved: u64,
    },
    /// A pipeline uses more or less than what was journalled before.
    #[n(3)]
    ResourceUsageReported {
        /// Which.
        #[n(0)]
        id: PipelineId,
        /// When.
        #[n(1)]
        at: WallTime,
        /// What it uses.
        #[n(2)]
        used: Resources,
    },
    /// Room was taken, now or out of the queue.
    #[n(4)]
    Reserved {
        /// For which pipeline.
        #[n(0)]
        id: PipelineId,
        /// When.
        #[n(1)]
        at: WallTime,
        /// How much.
        #[n(2)]
        resources: Resources,
        /// How long it is held without being renewed.
        #[n(3)]
        ttl: Millis,
        /// Its place in the queue, had it waited.
        #[n(4)]
        priority: i16,
    },
    /// Room was given back.
    #[n(5)]
    Released {
        /// Whose.
        #[n(0)]
        id: PipelineId,
        /// When.
        #[n(1)]
        at: WallTime,
        /// Why.
        #[n(2)]
        cause: Ending,
    },
    /// The rules changed.
    #[n(6)]
    LimitsChanged {
        /// When.
        #[n(1)]
        at: WallTime,
        /// The rules from now on.
        #[n(2)]
        rules: Rules,
    },
    /// A pipeline was silent for too long.
    #[n(7)]
    MarkedStale {
        /// Which.
        #[n(0)]
        id: PipelineId,
        /// When.
        #[n(1)]
        at: WallTime,
    },
    /// A stale pipeline was heard of again.
    #[n(8)]
    MarkedLive {
        /// Which.
        #[n(0)]
        id: PipelineId,
        /// When.
        #[n(1)]
        at: WallTime,
    },
    /// There was no room, and somebody waits for it.
    #[n(9)]
    ReservationQueued {
        /// For which pipeline.
        #[n(0)]
        id: PipelineId,
        /// When.
        #[n(1)]
        at: WallTime,
        /// How much.
        #[n(2)]
        resources: Resources,
        /// How long it will be held.
        #[n(3)]
        ttl: Millis,
        /// Higher goes first.
        #[n(4)]
        priority: i16,
        /// How long it waits.
        #[n(5)]
        patience: Millis,
    },
    /// Somebody waits no more, and did not get it.
    #[n(10)]
    ReservationDropped {
        /// Whose.
        #[n(0)]
        id: PipelineId,
        /// When.
        #[n(1)]
        at: WallTime,
        /// Why.
        #[n(2)]
        cause: Ending,
    },
    /// A pipeline was heard of. Never journalled.
    #[n(11)]
    HeartbeatSeen {
        /// Which.
        #[n(0)]
        id: PipelineId,
        /// When.
        #[n(1)]
        at: WallTime,
    },
    /// A pipeline said what it is doing again too soon: that waits for its second to end. Never journalled.
    #[n(12)]
    StatusHeld {
        /// Which.
        #[n(0)]
        id: PipelineId,
        /// What it is doing.
        #[n(2)]
        status: PipelineStatus,
        /// Records so far.
        #[n(3)]
        total_records: u64,
        /// Records that failed.
        #[n(4)]
        failed_records: u64,
        /// Bytes moved since it was started.
        #[n(5)]
        bytes_moved: u64,
    },
    /// A pipeline's usage counts, and is journalled later. Never journalled itself.
    #[n(13)]
    UsageSeen {
        /// Which.
        #[n(0)]
        id: PipelineId,
        /// What it uses.
        #[n(2)]
        used: Resources,
    },
    /// A reservation was made again as it is. Never journalled: a new leader begins its full term anyway.
    #[n(14)]
    ReservationRenewed {
        /// Whose.
        #[n(0)]
        id: PipelineId,
    },
}

/// Why a pipeline was taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Leaving {
    /// Somebody asked for it.
    #[n(0)]
    Asked,
    /// It had ended or was stale, and was kept long enough.
    #[n(1)]
    KeptLongEnough,
}

/// Why a reservation ended, held or waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Ending {
    /// Somebody asked for it.
    #[n(0)]
    Asked,
    /// Its time ran out.
    #[n(1)]
    RanOut,
    /// Its pipeline was taken out.
    #[n(2)]
    Unregistered,
    /// The limits are lower now than what it waits for.
    #[n(3)]
    LargerThanLimits,
}

impl Event {
    /// Whether it is journalled; what is not lives in memory alone, takes no position, and a restart forgets it.
    pub fn is_durable(&self) -> bool {
        !matches!(
            self,
            Self::HeartbeatSeen { .. }
                | Self::StatusHeld { .. }
                | Self::UsageSeen { .. }
                | Self::ReservationRenewed { .. }
        )
    }

    /// Which pipeline it is about; none for the rules.
    pub fn pipeline(&self) -> Option<&PipelineId> {
        match self {
            Self::PipelineRegistered { id, .. }
            | Self::PipelineUnregistered { id, .. }
            | Self::PipelineStatusUpdated { id, .. }
            | Self::ResourceUsageReported { id, .. }
            | Self::Reserved { id, .. }
            | Self::Released { id, .. }
            | Self::MarkedStale { id, .. }
            | Self::MarkedLive { id, .. }
            | Self::ReservationQueued { id, .. }
            | Self::ReservationDropped { id, .. }
            | Self::HeartbeatSeen { id, .. }
            | Self::StatusHeld { id, .. }
            | Self::UsageSeen { id, .. }
            | Self::ReservationRenewed { id } => Some(id),
            Self::LimitsChanged { .. } => None,
        }
    }

    /// When it happened; none for some that are never journalled.
    pub fn at(&self) -> Option<WallTime> {
        match self {
            Self::PipelineRegistered { at, .. }
            | Self::PipelineUnregistered { at, .. }
            | Self::PipelineStatusUpdated { at, .. }
            | Self::ResourceUsageReported { at, .. }
            | Self::Reserved { at, .. }
            | Self::Released { at, .. }
            | Self::LimitsChanged { at, .. }
            | Self::MarkedStale { at, .. }
            | Self::MarkedLive { at, .. }
            | Self::ReservationQueued { at, .. }
            | Self::ReservationDropped { at, .. }
            | Self::HeartbeatSeen { at, .. } => Some(*at),
            Self::StatusHeld { .. } | Self::UsageSeen { .. } | Self::ReservationRenewed { .. } => None,
        }
    }

    /// Appends its journal form.
    pub fn encode(&self, buffer: &mut Vec<u8>) {
        minicbor::encode(self, buffer).expect("writing to a vector cannot fail");
    }

    /// Reads its journal form.
    pub fn decode(bytes: &[u8]) -> Result<Self, minicbor::decode::Error> {
        minicbor::decode(bytes)
    }
}
