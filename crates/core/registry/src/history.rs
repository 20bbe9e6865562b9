//! Events as people read them: what happened, when, to which pipeline, in words.

use crate::event::{Ending, Event, Leaving};
use crate::name::PipelineId;
use capstan_ids::WallTime;

/// A fact of the history: one journalled event, in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// When.
    pub at: WallTime,
    /// To which pipeline; none for the rules.
    pub pipeline: Option<PipelineId>,
    /// What, as events are named: `PipelineRegistered`.
    pub what: &'static str,
    /// The rest, as names and values.
    pub details: Vec<(&'static str, String)>,
}

impl Fact {
    /// What an event says; none for what is never journalled.
    pub fn of(event: &Event) -> Option<Self> {
        let details = event.is_durable().then(|| details(event))?;
        Some(Self { at: event.at()?, pipeline: event.pipeline().cloned(), what: event.name(), details })
    }
}

impl Event {
    /// Its name, stable.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PipelineRegistered { .. } => "PipelineRegistered",
            Self::PipelineUnregistered { .. } => "PipelineUnregistered",
            Self::PipelineStatusUpdated { .. } => "PipelineStatusUpdated",
            Self::ResourceUsageReported { .. } => "ResourceUsageReported",
            Self::Reserved { .. } => "Reserved",
            Self::Released { .. } => "Released",
            Self::LimitsChanged { .. } => "LimitsChanged",
            Self::MarkedStale { .. } => "MarkedStale",
            Self::MarkedLive { .. } => "MarkedLive",
            Self::ReservationQueued { .. } => "ReservationQueued",
            Self::ReservationDropped { .. } => "ReservationDropped",
            Self::HeartbeatSeen { .. } => "HeartbeatSeen",
            Self::StatusHeld { .. } => "StatusHeld",
            Self::UsageSeen { .. } => "UsageSeen",
            Self::ReservationRenewed { .. } => "ReservationRenewed",
        }
    }
}

impl Leaving {
    /// As people and programs write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::KeptLongEnough => "kept_long_enough",
        }
    }
}

impl Ending {
    /// As people and programs write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::RanOut => "ran_out",
            Self::Unregistered => "unregistered",
            Self::LargerThanLimits => "larger_than_limits",
        }
    }
}

fn details(event: &Event) -> Vec<(&'static str, String)> {
    match event {
        Event::PipelineRegistered { name, group, priority, labels, .. } => {
            let mut details = vec![("name", name.to_string()), ("priority", priority.to_string())];
            details.extend(group.as_ref().map(|group| ("group", group.to_string())));
            details.extend(labels.iter().map(|(key, value)| ("label", format!("{key}={value}"))));
            details
        }
        Event::PipelineUnregistered { cause, .. } => vec![("cause", cause.name().to_owned())],
        Event::PipelineStatusUpdated { status, total_records, failed_records, bytes_moved, .. } => vec![
            ("status", status.to_string()),
            ("total_records", total_records.to_string()),
            ("failed_records", failed_records.to_string()),
            ("bytes_moved", bytes_moved.to_string()),
        ],
        Event::ResourceUsageReported { used, .. } => resources(*used),
        Event::Reserved { resources: held, ttl, priority, .. } => {
            let mut details = resources(*held);
            details.extend([("ttl_ms", ttl.get().to_string()), ("priority", priority.to_string())]);
            details
        }
        Event::ReservationQueued { resources: wanted, priority, patience, .. } => {
            let mut details = resources(*wanted);
            details.extend([("wait_ms", patience.get().to_string()), ("priority", priority.to_string())]);
            details
        }
        Event::Released { cause, .. } | Event::ReservationDropped { cause, .. } => {
            vec![("cause", cause.name().to_owned())]
        }
        Event::LimitsChanged { rules, .. } => vec![
            ("cpu_percent_max", rules.limits.cpu.as_percent().to_string()),
            ("memory_mb_max", rules.limits.memory_mb.to_string()),
            ("stale_after_ms", rules.stale_after.get().to_string()),
            ("stale_counts_as_failed", rules.stale_counts_as_failed.to_string()),
            ("keep_ended_ms", rules.keep_ended.get().to_string()),
        ],
        _ => Vec::new(),
    }
}

fn resources(resources: crate::Resources) -> Vec<(&'static str, String)> {
    vec![("cpu_percent", resources.cpu.as_percent().to_string()), ("memory_mb", resources.memory_mb.to_string())]
}
