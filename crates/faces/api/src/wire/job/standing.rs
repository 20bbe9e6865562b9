//! A job as it stands, with its stages and pools.

use super::{FiguresShape, PriorityShape, RatesShape};
use crate::look::{JobLook, reason};
use crate::wire::time;
use capstan_ids::WallTime;
use capstan_migration::Spec;
use capstan_work::ItemState;
use serde::Serialize;
use utoipa::ToSchema;

/// A pool of a job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pool)]
pub struct PoolShape {
    /// `plan`, `dump`, `restore`, `index` or `verify`.
    pub kind: String,
    /// The most live leases; null is no limit.
    pub size: Option<u32>,
    /// Live leases.
    pub running: u32,
    /// Items that a lease could be given for.
    pub ready: u64,
}

/// How many of a job's items of one kind are in which state; `dump` and `restore` are chunks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stage)]
pub struct StageShape {
    /// `plan`, `dump`, `restore`, `index` or `verify`.
    pub kind: String,
    /// A worker may have them.
    pub pending: u64,
    /// A worker has them.
    pub running: u64,
    /// Completed.
    pub done: u64,
    /// Out of attempts.
    pub failed: u64,
    /// Something must be done before.
    pub waiting: u64,
    /// What they wait for has failed.
    pub blocked: u64,
    /// Ended undone.
    pub cancelled: u64,
}

/// A job as it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobShape {
    /// Its name.
    pub job: String,
    /// `waiting` for room, `running`, `pausing`, `paused`, `completed`, `completed_with_failures`, `failed` or `cancelled`.
    pub state: &'static str,
    /// Nothing of it runs.
    pub idle: bool,
    /// Why it is paused or cancelled, or what it waits for.
    pub reason: Option<String>,
    /// Why it was refused before anything was written.
    pub refused: Vec<String>,
    /// 0 to 100.
    pub percent: f64,
    /// Which stages there are.
    pub mode: &'static str,
    /// When it was submitted.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub submitted_at: WallTime,
    /// When it ended.
    #[serde(serialize_with = "time::serialize_option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<WallTime>,
    /// Units found.
    pub units: u64,
    /// Units of which all chunks are known.
    pub units_planned: u64,
    /// Units that are complete at the target.
    pub units_finished: u64,
    /// Units of which both sides were compared.
    pub units_verified: u64,
    /// Chunks known so far.
    pub chunks: u64,
    /// Of them, those that lie in the spool or are further.
    pub chunks_dumped: u64,
    /// Of them, those that are at the target.
    pub chunks_restored: u64,
    /// How much there is; an estimate until everything is planned.
    pub size: FiguresShape,
    /// How much was read.
    pub dumped: FiguresShape,
    /// How much has arrived.
    pub restored: FiguresShape,
    /// Documents that the target refused for good.
    pub dead_letters: u64,
    /// Items that are out of attempts.
    pub failed: u64,
    /// Items that wait for such.
    pub blocked: u64,
    /// Leases whose holders get no further.
    pub stuck: u64,
    /// Its items by kind and state.
    pub stages: Vec<StageShape>,
    /// Units that something of runs now.
    pub active_units: Vec<String>,
    /// How many of which kind work at a time.
    pub pools: Vec<PoolShape>,
    /// Slots of the workers that are connected to it, where they say.
    pub slots: Option<u64>,
    /// Whether any worker is: one that serves it was heard of in the last 90 s, or holds something of it.
    pub connected: bool,
    /// How fast it may go now.
    pub rates: RatesShape,
    /// Which collections go before others now.
    pub priorities: Vec<PriorityShape>,
    /// What it was submitted as.
    #[schema(value_type = serde_json::Value)]
    pub spec: Spec,
}

impl From<JobLook> for JobShape {
    fn from(look: JobLook) -> Self {
        let (state, idle, why) = (look.state(), look.is_idle(), look.reason());
        let mode = look.view.spec.mode.name();
        let (failed, blocked) = (look.items(ItemState::Failed), look.items(ItemState::Blocked));
        let (pools, stages, stuck) = (pools(&look), stages(&look), look.stuck());
        let connected = look.is_connected();
        let slots = look.status.as_ref().and_then(|status| status.slots);
        let active =
            look.status.iter().flat_map(|status| status.active_units.iter().map(ToString::to_string)).collect();
        let view = look.view;
        Self {
            job: view.name.to_string(),
            state,
            idle,
            reason: why,
            refused: view.refused.iter().map(reason).collect(),
            percent: view.percent,
            mode,
            submitted_at: view.submitted,
            ended_at: view.ended.map(|(_, at)| at),
            units: view.units,
            units_planned: view.units_planned,
            units_finished: view.units_finished,
            units_verified: view.units_verified,
            chunks: view.chunks,
            chunks_dumped: view.chunks_dumped,
            chunks_restored: view.chunks_restored,
            size: view.size.into(),
            dumped: view.dumped.into(),
            restored: view.restored.into(),
            dead_letters: view.dead_letters,
            failed,
            blocked,
            stuck,
            stages,
            active_units: active,
            pools,
            slots,
            connected,
            rates: view.rates.into(),
            priorities: view.priorities.into_iter().map(Into::into).collect(),
            spec: view.spec,
        }
    }
}

fn stages(look: &JobLook) -> Vec<StageShape> {
    let stage = |stage: &capstan_coordinator::StageStatus| StageShape {
        kind: stage.kind.to_string(),
        pending: stage.pending,
        running: stage.running,
        done: stage.done,
        failed: stage.failed,
        waiting: stage.waiting,
        blocked: stage.blocked,
        cancelled: stage.cancelled,
    };
    look.stages().iter().map(stage).collect()
}

/// A job's pools.
pub fn pools(look: &JobLook) -> Vec<PoolShape> {
    let pool = |pool: &capstan_coordinator::PoolStatus| PoolShape {
        kind: pool.kind.to_string(),
        size: pool.size,
        running: pool.running,
        ready: pool.ready,
    };
    look.pools().iter().map(pool).collect()
}
