//! What can be asked of the registry.

use crate::name::{Labels, PipelineGroup, PipelineId, PipelineName};
use crate::rules::RulesChange;
use crate::status::PipelineStatus;
use capstan_ids::Millis;

/// A wish to change something. What is only looked at is a method of [`crate::Registry`].
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Makes a pipeline known: configured, its counters zero. Its id must be new.
    Register(Register),
    /// Takes a pipeline out, with its resources and its reservation.
    Unregister {
        /// Which.
        id: PipelineId,
    },
    /// Says what a pipeline is doing. Also a heartbeat; of an unknown pipeline it changes nothing.
    UpdateStatus(StatusReport),
    /// Says what a pipeline uses. Also a heartbeat; of an unknown pipeline it changes nothing.
    ReportUsage {
        /// Which.
        id: PipelineId,
        /// CPU in percent of what its machines have, 0 to 100.
        cpu_percent: f64,
        /// Memory in MB.
        memory_mb: i64,
    },
    /// Says that a pipeline is there, and nothing else.
    Heartbeat {
        /// Which.
        id: PipelineId,
    },
    /// Checks for room and takes it in one step, for a pipeline that is registered or one that will be.
    ///
    /// The same again renews it; other figures replace it, if they fit.
    Reserve(Reserve),
    /// Gives a reservation back, or stops waiting for one.
    Release {
        /// Whose.
        id: PipelineId,
    },
    /// Changes limits and other rules while everything runs. Lower limits take nothing back.
    ChangeRules(RulesChange),
    /// Time has passed: does what is due, a bounded number of things at once.
    Tick,
    /// This leader ends: records reports that are held for their second, a bounded number at once. Nobody else knows them.
    Settle,
}

/// A new pipeline, as its owner describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Register {
    /// Its id.
    pub id: PipelineId,
    /// What people call it.
    pub name: PipelineName,
    /// What it is listed under.
    pub group: Option<PipelineGroup>,
    /// Its place in the queue for room, unless a reservation says otherwise; higher goes first.
    pub priority: i16,
    /// At most 32.
    pub labels: Labels,
}

impl Register {
    /// A pipeline with nothing else said.
    pub fn new(id: PipelineId, name: PipelineName) -> Self {
        Self { id, name, group: None, priority: 0, labels: Labels::new() }
    }
}

/// What a pipeline is doing, and how far it has got.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusReport {
    /// Which.
    pub id: PipelineId,
    /// What it is doing.
    pub status: PipelineStatus,
    /// Records so far.
    pub total_records: u64,
    /// Records that failed.
    pub failed_records: u64,
    /// Bytes moved since the pipeline was started; none leaves what was reported before.
    pub bytes_moved: Option<u64>,
}

/// A request for room.
#[derive(Clone, Debug, PartialEq)]
pub struct Reserve {
    /// For which pipeline; each has at most one.
    pub id: PipelineId,
    /// CPU in percent, 0 to 100.
    pub cpu_percent: f64,
    /// Memory in MB.
    pub memory_mb: i64,
    /// How long it is held without being renewed, 1 s to 1 day.
    pub ttl: Millis,
    /// How long it may wait for room; none means that it is refused at once if there is none.
    pub wait: Option<Millis>,
    /// Higher goes first; none means the pipeline's own, or 0.
    pub priority: Option<i16>,
}

impl Reserve {
    /// A minute's hold on this, now or never.
    pub fn new(id: PipelineId, cpu_percent: f64, memory_mb: i64) -> Self {
        Self { id, cpu_percent, memory_mb, ttl: Millis::secs(60), wait: None, priority: None }
    }
}
