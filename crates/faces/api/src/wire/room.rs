//! All pipelines together, and the room they share.

use super::pipeline::{PipelineShape, ResourcesShape};
use super::time;
use capstan_ids::{Millis, WallTime};
use capstan_registry::{Availability, PipelineId, Registry, ReservationView, Reserve, Rules, RulesChange, SystemView};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A request for room.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReservationSpec {
    /// CPU in percent.
    #[schema(minimum = 0, maximum = 100)]
    cpu_percent: f64,
    /// Memory in MB.
    #[schema(minimum = 0, maximum = 100_000_000)]
    memory_mb: i64,
    /// How long it is held without being asked for again; 60 where nothing is said.
    #[serde(default = "minute")]
    #[schema(minimum = 1, maximum = 86_400)]
    ttl_seconds: u64,
    /// How long it may wait in the queue; left out or 0, it is refused at once where there is no room.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 86_400)]
    wait_seconds: u64,
    /// Higher goes first; the pipeline's own where nothing is said.
    #[serde(default)]
    priority: Option<i16>,
}

fn minute() -> u64 {
    60
}

/// So many seconds; what is too long stays too long, and is refused where it is looked at.
fn seconds(seconds: u64) -> Millis {
    Millis(seconds.saturating_mul(1_000))
}

impl ReservationSpec {
    /// The request for this pipeline.
    pub fn of(self, id: PipelineId) -> Reserve {
        Reserve {
            id,
            cpu_percent: self.cpu_percent,
            memory_mb: self.memory_mb,
            ttl: seconds(self.ttl_seconds),
            wait: (self.wait_seconds > 0).then(|| seconds(self.wait_seconds)),
            priority: self.priority,
        }
    }
}

/// Room that a pipeline holds or waits for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reservation)]
pub struct ReservationShape {
    /// For which pipeline.
    pub pipeline: String,
    /// `held` or `queued`.
    pub state: &'static str,
    /// CPU in percent.
    pub cpu_percent: f64,
    /// Memory in MB.
    pub memory_mb: u64,
    /// How long it is held without being asked for again.
    pub ttl_seconds: f64,
    /// Higher goes first.
    pub priority: i16,
    /// How many go before it; null if it is held.
    pub ahead: Option<u64>,
    /// Since when.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub since: WallTime,
    /// When it, or the wait for it, ends by itself.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: WallTime,
}

impl From<ReservationView> for ReservationShape {
    fn from(view: ReservationView) -> Self {
        Self {
            pipeline: view.id.to_string(),
            state: if view.is_held() { "held" } else { "queued" },
            cpu_percent: view.resources.cpu.as_percent(),
            memory_mb: view.resources.memory_mb,
            ttl_seconds: view.ttl.get() as f64 / 1_000.0,
            priority: view.priority,
            ahead: view.ahead,
            since: view.since,
            expires_at: view.expires,
        }
    }
}

/// Whether there is room.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Availability)]
pub struct AvailabilityShape {
    /// Whether what was asked for fits; for nothing, whether the limits are kept.
    pub available: bool,
    /// What is free.
    pub free: ResourcesShape,
    /// What is taken: of each pipeline the larger of what it reserved and what it uses.
    pub claimed: ResourcesShape,
    /// How much there may be.
    pub limits: ResourcesShape,
    /// How many wait for room, and go first.
    pub waiting: u64,
}

impl From<Availability> for AvailabilityShape {
    fn from(availability: Availability) -> Self {
        Self {
            available: availability.available,
            free: availability.free.into(),
            claimed: availability.claimed.into(),
            limits: availability.limits.into(),
            waiting: availability.waiting,
        }
    }
}

/// All pipelines together.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = System)]
pub struct SystemShape {
    /// `idle`, `healthy`, `degraded` or `critical`.
    pub health: &'static str,
    /// How many there are.
    pub pipelines: u64,
    /// How many of each status.
    pub by_status: BTreeMap<&'static str, u64>,
    /// How many are silent for too long.
    pub stale: u64,
    /// How many count as failed: failed, and stale ones if the limits say so.
    pub failed: u64,
    /// CPU that all use together, in percent.
    pub total_cpu_percent: f64,
    /// Memory that all use together, in MB.
    pub total_memory_mb: u64,
    /// Whether there is room for more.
    pub availability: AvailabilityShape,
    /// How many reservations are held.
    pub reservations: u64,
    /// When something last changed.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: WallTime,
}

impl From<SystemView> for SystemShape {
    fn from(view: SystemView) -> Self {
        Self {
            health: view.health.name(),
            pipelines: view.pipelines,
            by_status: view.by_status.iter().map(|(status, count)| (status.name(), *count)).collect(),
            stale: view.stale,
            failed: view.failed,
            total_cpu_percent: view.used.cpu.as_percent(),
            total_memory_mb: view.used.memory_mb,
            availability: view.availability.into(),
            reservations: view.reservations,
            updated_at: view.updated_at,
        }
    }
}

/// Limits and other rules that an operator can set.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Limits)]
pub struct LimitsShape {
    /// The most CPU of all pipelines together, in percent.
    pub cpu_percent_max: f64,
    /// The most memory of all pipelines together, in MB.
    pub memory_mb_max: u64,
    /// How long a pipeline that has not ended may be silent.
    pub stale_after_seconds: f64,
    /// Whether a stale pipeline counts as failed.
    pub stale_counts_as_failed: bool,
    /// How long a stopped, failed or stale pipeline is kept.
    pub keep_ended_seconds: f64,
}

impl From<&Rules> for LimitsShape {
    fn from(rules: &Rules) -> Self {
        Self {
            cpu_percent_max: rules.limits.cpu.as_percent(),
            memory_mb_max: rules.limits.memory_mb,
            stale_after_seconds: rules.stale_after.get() as f64 / 1_000.0,
            stale_counts_as_failed: rules.stale_counts_as_failed,
            keep_ended_seconds: rules.keep_ended.get() as f64 / 1_000.0,
        }
    }
}

/// Changes to the limits: only what is named.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsSpec {
    /// The most CPU of all pipelines together, in percent.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 10_000_000)]
    cpu_percent_max: Option<f64>,
    /// The most memory of all pipelines together, in MB.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000_000_000_i64)]
    memory_mb_max: Option<i64>,
    /// How long a pipeline that has not ended may be silent.
    #[serde(default)]
    #[schema(minimum = 2, maximum = 604_800)]
    stale_after_seconds: Option<u64>,
    /// Whether a stale pipeline counts as failed.
    #[serde(default)]
    stale_counts_as_failed: Option<bool>,
    /// How long a stopped, failed or stale pipeline is kept.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 315_360_000)]
    keep_ended_seconds: Option<u64>,
}

impl LimitsSpec {
    /// The change, if the rules are still these.
    pub fn only_if(self, only_if: Option<Rules>) -> RulesChange {
        RulesChange {
            cpu_percent_max: self.cpu_percent_max,
            memory_mb_max: self.memory_mb_max,
            stale_after: self.stale_after_seconds.map(seconds),
            stale_counts_as_failed: self.stale_counts_as_failed,
            keep_ended: self.keep_ended_seconds.map(seconds),
            only_if,
        }
    }
}

/// The registry as it was.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RegistryThen)]
pub struct RegistryShape {
    /// When.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub at: WallTime,
    /// All pipelines together.
    pub system: SystemShape,
    /// The limits of that time.
    pub limits: LimitsShape,
    /// Who waited for room, first come first.
    pub queue: Vec<ReservationShape>,
    /// A page of pipelines, by id.
    pub pipelines: Vec<PipelineShape>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

impl RegistryShape {
    /// What it was, and a page of it.
    pub fn of(registry: &Registry, at: WallTime, page: capstan_registry::Page) -> Self {
        Self {
            at,
            system: registry.system().into(),
            limits: registry.rules().into(),
            queue: registry.queue().into_iter().map(Into::into).collect(),
            pipelines: page.pipelines.into_iter().map(Into::into).collect(),
            next_cursor: page.next.map(|next| next.to_string()),
        }
    }
}

/// How many workers of a kind are wanted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Scale)]
pub struct ScaleShape {
    /// The kind of work.
    pub kind: String,
    /// Workers that are wanted.
    pub value: u64,
    /// Items that a worker could begin now.
    pub ready: u64,
    /// Items that are worked on.
    pub running: u64,
}

/// How many workers are wanted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Scales)]
pub struct ScalesShape {
    /// Of all kinds together.
    pub value: u64,
    /// Items that a worker does at a time, as it was asked.
    pub slots: u64,
    /// Whether there is room for more; where there is none, no more are wanted than there is work for in progress.
    pub room: bool,
    /// By kind.
    pub kinds: Vec<ScaleShape>,
}
