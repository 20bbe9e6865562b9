//! Pipelines as they come in and go out.

use super::{Named, room::SystemShape, time};
use capstan_ids::WallTime;
use capstan_registry::{
    LabelKey, LabelValue, Labels, PipelineGroup, PipelineId, PipelineName, PipelineStatus, PipelineView, Register,
    Reported, StatusReport,
};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A new pipeline, as its owner describes it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineSpec {
    /// Its id; nobody else's while it is registered.
    #[schema(value_type = String, min_length = 1, max_length = 256, example = "pipeline-123")]
    id: Named<PipelineId>,
    /// What people call it: 1 to 100 printable characters, not blank.
    #[schema(value_type = String, min_length = 1, max_length = 100, example = "User Events Pipeline")]
    name: Named<PipelineName>,
    /// What it is listed under: a team, a project, a namespace.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 100)]
    group: Option<Named<PipelineGroup>>,
    /// Its place in the queue for room; higher goes first.
    #[serde(default)]
    priority: i16,
    /// What else is to be known of it; at most 32.
    #[serde(default, deserialize_with = "labels")]
    #[schema(value_type = BTreeMap<String, String>)]
    labels: Labels,
}

/// Labels, each checked while it is read.
fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Labels, D::Error> {
    let labels = BTreeMap::<String, Named<LabelValue>>::deserialize(deserializer)?;
    let checked = |(key, Named(value)): (String, Named<LabelValue>)| {
        LabelKey::new(&key).map(|key| (key, value)).map_err(serde::de::Error::custom)
    };
    labels.into_iter().map(checked).collect()
}

impl From<PipelineSpec> for Register {
    fn from(spec: PipelineSpec) -> Self {
        Self {
            id: spec.id.0,
            name: spec.name.0,
            group: spec.group.map(|group| group.0),
            priority: spec.priority,
            labels: spec.labels,
        }
    }
}

/// What a pipeline is doing, as it is written.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PipelineStatus)]
pub enum StatusWord {
    /// Made, and not started.
    Configured,
    /// Moving data.
    Running,
    /// Stopped for a while.
    Paused,
    /// Ended, as intended.
    Stopped,
    /// Ended by an error.
    Failed,
}

impl From<StatusWord> for PipelineStatus {
    fn from(word: StatusWord) -> Self {
        match word {
            StatusWord::Configured => Self::Configured,
            StatusWord::Running => Self::Running,
            StatusWord::Paused => Self::Paused,
            StatusWord::Stopped => Self::Stopped,
            StatusWord::Failed => Self::Failed,
        }
    }
}

/// What a pipeline is doing, and how far it has got.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusSpec {
    /// What it is doing.
    status: StatusWord,
    /// Records so far.
    #[schema(maximum = 9_007_199_254_740_991_u64)]
    total_records: u64,
    /// Records that failed.
    #[schema(maximum = 9_007_199_254_740_991_u64)]
    failed_records: u64,
    /// Bytes moved since it was started; left out, they stay what they were.
    #[serde(default)]
    #[schema(maximum = 9_007_199_254_740_991_u64)]
    bytes_moved: Option<u64>,
}

impl StatusSpec {
    /// The report of this pipeline.
    pub fn of(self, id: PipelineId) -> StatusReport {
        StatusReport {
            id,
            status: self.status.into(),
            total_records: self.total_records,
            failed_records: self.failed_records,
            bytes_moved: self.bytes_moved,
        }
    }
}

/// What a pipeline uses.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageSpec {
    /// CPU in percent of what its machines have.
    #[schema(minimum = 0, maximum = 100)]
    pub cpu_percent: f64,
    /// Memory in MB.
    #[schema(minimum = 0, maximum = 100_000_000)]
    pub memory_mb: i64,
}

/// Pipelines that are there.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatsSpec {
    /// Which; at most 10,000.
    #[schema(value_type = Vec<String>)]
    pub pipelines: Vec<Named<PipelineId>>,
}

/// What became of heartbeats.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Heartbeats)]
pub struct HeartbeatsShape {
    /// Of so many pipelines.
    pub noted: u64,
    /// Of these nothing is known, and nothing was changed.
    pub unknown: Vec<String>,
}

/// What became of a report.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Report)]
pub struct ReportShape {
    /// `recorded`: it changed something and is durable. `held`: it came within a second of the one before, and is
    /// recorded once that second is over unless another one wins. `noted`: it changed nothing but the last heartbeat, or
    /// is a usage figure that counts now and is recorded later.
    pub outcome: &'static str,
}

impl From<Reported> for ReportShape {
    fn from(reported: Reported) -> Self {
        Self {
            outcome: match reported {
                Reported::Recorded => "recorded",
                Reported::Held { .. } => "held",
                Reported::Noted => "noted",
                Reported::Unknown => "unknown",
            },
        }
    }
}

/// CPU and memory.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Resources)]
pub struct ResourcesShape {
    /// CPU in percent of what the machines have.
    pub cpu_percent: f64,
    /// Memory in MB.
    pub memory_mb: u64,
}

impl From<capstan_registry::Resources> for ResourcesShape {
    fn from(resources: capstan_registry::Resources) -> Self {
        Self { cpu_percent: resources.cpu.as_percent(), memory_mb: resources.memory_mb }
    }
}

/// What a pipeline has cost so far.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Cost)]
pub struct CostShape {
    /// Hours of everything its machines have: 50 % for two hours are one.
    pub cpu_hours: f64,
    /// Gigabytes held, times hours; 1 GB is 1,000 MB.
    pub gb_hours: f64,
    /// Bytes moved, by every run of it.
    pub bytes_moved: u64,
}

impl From<capstan_registry::Cost> for CostShape {
    fn from(cost: capstan_registry::Cost) -> Self {
        Self {
            cpu_hours: cost.cpu_seconds() / 3_600.0,
            gb_hours: cost.memory_mb_seconds() / 3_600_000.0,
            bytes_moved: cost.bytes_moved(),
        }
    }
}

/// A pipeline as it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pipeline)]
pub struct PipelineShape {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it is listed under.
    pub group: Option<String>,
    /// Its place in the queue for room.
    pub priority: i16,
    /// What else is known of it.
    pub labels: BTreeMap<String, String>,
    /// `configured`, `running`, `paused`, `stopped` or `failed`.
    pub status: &'static str,
    /// It has not ended, and was silent for too long.
    pub stale: bool,
    /// Since when.
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub stale_since: Option<WallTime>,
    /// Records so far.
    pub total_records: u64,
    /// Records that failed.
    pub failed_records: u64,
    /// CPU that it uses, in percent.
    pub cpu_percent: f64,
    /// Memory that it uses, in MB.
    pub memory_mb: u64,
    /// What it has reserved.
    pub reserved: Option<ResourcesShape>,
    /// What it has cost so far.
    pub cost: CostShape,
    /// When it became known.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub registered_at: WallTime,
    /// When it was last heard of.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub last_heartbeat: WallTime,
    /// When something of it last changed.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: WallTime,
    /// When it ended.
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<WallTime>,
}

impl From<PipelineView> for PipelineShape {
    fn from(view: PipelineView) -> Self {
        Self {
            id: view.id.to_string(),
            name: view.name.to_string(),
            group: view.group.map(|group| group.to_string()),
            priority: view.priority,
            labels: view.labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            status: view.status.name(),
            stale: view.stale_since.is_some(),
            stale_since: view.stale_since,
            total_records: view.total_records,
            failed_records: view.failed_records,
            cpu_percent: view.used.cpu.as_percent(),
            memory_mb: view.used.memory_mb,
            reserved: view.reserved.map(Into::into),
            cost: view.cost.into(),
            registered_at: view.registered_at,
            last_heartbeat: view.last_heartbeat,
            updated_at: view.updated_at,
            ended_at: view.ended_at,
        }
    }
}

/// A pipeline that came or went, and all pipelines after that.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PipelineAndSystem)]
pub struct PipelineAndSystemShape {
    /// The pipeline; its last state where it went.
    pub pipeline: PipelineShape,
    /// All pipelines together, after that.
    pub system: SystemShape,
}
