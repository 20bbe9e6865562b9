//! Jobs as they come in and go out.

use super::time;
use crate::look::{ChunkLook, JobLook, reason};
use capstan_ids::WallTime;
use capstan_migration::{Figures, Priority, Rates, Spec, UnitView, Verdict};
use capstan_work::ItemState;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A new job.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// Its name; left out, one is derived from what it does, so that the same request finds it again.
    #[serde(default)]
    #[schema(pattern = "^[A-Za-z0-9_-]{1,46}$", example = "nightly")]
    pub name: Option<String>,
    /// What it is to do, as `capstan job init` describes it. No password in it: `secret:NAME` stands for one.
    #[schema(value_type = serde_json::Value, example = json!({ "from": "dump:/backup", "to": "dump:/copy" }))]
    pub spec: Spec,
}

/// Stopping to hand out a job's work.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobPauseSpec {
    /// What runs stops at once and keeps what it has; otherwise it finishes.
    #[serde(default)]
    pub immediate: bool,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 4096)]
    pub reason: String,
}

/// Ending a job for good.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobCancelSpec {
    /// What the target has of unfinished units goes too.
    #[serde(default)]
    pub drop_partial: bool,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 4096)]
    pub reason: String,
}

/// New sizes of pools by kind; null lifts a limit. Pools that are not named stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct PoolsSpec(pub BTreeMap<String, Option<u32>>);

/// Collections to be added to a job.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitsSpec {
    /// `db.coll` with wildcards; those that the job knows already are left as they are.
    #[schema(min_items = 1, max_items = 1000)]
    pub collections: Vec<String>,
}

/// How fast a job may go; null and what is left out is not limited.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = Rates)]
#[serde(deny_unknown_fields)]
pub struct RatesShape {
    /// Documents a second, read and written each.
    #[serde(default)]
    pub documents: Option<u64>,
    /// Bytes of BSON a second, read and written each.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// Chunks that are read or written at a time.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 4096)]
    pub operations: Option<u32>,
}

impl From<Rates> for RatesShape {
    fn from(Rates { documents, bytes, operations }: Rates) -> Self {
        Self { documents, bytes, operations }
    }
}

impl From<RatesShape> for Rates {
    fn from(RatesShape { documents, bytes, operations }: RatesShape) -> Self {
        Self { documents, bytes, operations }
    }
}

/// How soon a collection's turn comes.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = UnitPriority)]
#[serde(deny_unknown_fields)]
pub struct PriorityShape {
    /// `db.coll` with wildcards.
    #[schema(example = "shop.orders")]
    pub collection: String,
    /// Higher goes first.
    #[schema(minimum = -100, maximum = 100)]
    pub priority: i16,
}

impl From<Priority> for PriorityShape {
    fn from(Priority { collection, priority }: Priority) -> Self {
        Self { collection, priority }
    }
}

/// Documents, and their bytes as BSON.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = Figures)]
pub struct FiguresShape {
    /// Documents.
    pub documents: u64,
    /// Bytes.
    pub bytes: u64,
}

impl From<Figures> for FiguresShape {
    fn from(figures: Figures) -> Self {
        Self { documents: figures.documents, bytes: figures.bytes }
    }
}

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

/// What a comparison of both sides found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Verdict)]
pub struct VerdictShape {
    /// `none`, `counts` or `hash`.
    #[schema(value_type = String)]
    pub mode: capstan_migration::Verify,
    /// Ranges that were compared.
    pub ranges: u64,
    /// Documents that the target lacks.
    pub missing: u64,
    /// Documents that only the target has.
    pub extra: u64,
    /// Documents that differ.
    pub different: u64,
    /// Of all these, those that were mended.
    pub repaired: u64,
}

impl From<Verdict> for VerdictShape {
    fn from(verdict: Verdict) -> Self {
        let Verdict { mode, ranges, missing, extra, different, repaired, .. } = verdict;
        Self { mode, ranges, missing, extra, different, repaired }
    }
}

/// One collection of a job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Unit)]
pub struct UnitShape {
    /// Its id.
    pub id: String,
    /// Where it is read from, as `db.coll`.
    pub source: String,
    /// Where it goes, as `db.coll`.
    pub target: String,
    /// It has no documents of its own.
    pub view: bool,
    /// All its chunks are known.
    pub planned: bool,
    /// Complete at the target.
    pub finished: bool,
    /// It failed for good, and the job went on without it.
    pub given_up: bool,
    /// Both sides were compared.
    pub verified: bool,
    /// What was found there.
    pub verdict: Option<VerdictShape>,
    /// Chunks known so far.
    pub chunks: u64,
    /// Of them, those that lie in the spool or are further.
    pub chunks_dumped: u64,
    /// Of them, those that are at the target.
    pub chunks_restored: u64,
    /// How much there is.
    pub size: FiguresShape,
    /// How much was read.
    pub dumped: FiguresShape,
    /// How much has arrived.
    pub restored: FiguresShape,
    /// Documents that the target refused for good.
    pub dead_letters: u64,
    /// 0 to 100.
    pub percent: f64,
}

impl From<UnitView> for UnitShape {
    fn from(view: UnitView) -> Self {
        Self {
            id: view.id.to_string(),
            source: view.source.to_string(),
            target: view.target.to_string(),
            view: view.view,
            planned: view.planned,
            finished: view.finished,
            given_up: view.given_up,
            verified: view.verdict.is_some(),
            verdict: view.verdict.map(Into::into),
            chunks: view.chunks,
            chunks_dumped: view.chunks_dumped,
            chunks_restored: view.chunks_restored,
            size: view.size.into(),
            dumped: view.dumped.into(),
            restored: view.restored.into(),
            dead_letters: view.dead_letters,
            percent: view.percent,
        }
    }
}

/// A part of a unit that is dumped and restored as one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Chunk)]
pub struct ChunkShape {
    /// Its index in the unit.
    pub index: u32,
    /// `planned`, `dumping`, `dumped`, `restoring`, `restored` or `failed`.
    pub state: &'static str,
    /// How much it is: found where it was dumped, else guessed.
    pub size: FiguresShape,
    /// How far what runs has got.
    pub progress: FiguresShape,
    /// How often it has been dumped anew.
    pub generation: u32,
    /// Its range, as the source says it.
    pub range: String,
    /// Documents of it that the target refused for good.
    pub dead_letters: u64,
    /// Counted failures of what is to be done with it now.
    pub attempts: u32,
    /// What went wrong last.
    pub error: Option<String>,
    /// Who works on it.
    pub worker_id: Option<String>,
}

impl From<ChunkLook> for ChunkShape {
    fn from(look: ChunkLook) -> Self {
        let (state, progress) = (look.state(), look.progress().into());
        let (error, worker) = (look.error().map(str::to_owned), look.worker().map(str::to_owned));
        Self {
            index: look.view.index,
            state,
            size: look.view.size.into(),
            progress,
            generation: look.view.generation,
            range: look.view.range.into(),
            dead_letters: look.view.dead_letters,
            attempts: look.item.as_ref().map_or(0, |item| item.attempts),
            error,
            worker_id: worker,
        }
    }
}

/// Documents of a chunk that the target refused for good. They lie with their reasons in the dead-letter folder of the
/// worker that wrote the chunk, in `JOB/UNIT_CHUNK.*.jsonl`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetters)]
pub struct DeadLettersShape {
    /// The unit's id.
    pub unit: String,
    /// The unit's collection, as `db.coll` at the source.
    pub source: String,
    /// The chunk's index.
    pub chunk: u32,
    /// How many.
    pub documents: u64,
}
