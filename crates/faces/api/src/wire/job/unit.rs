//! The units of a job and their chunks, with what was proved of them and what was refused.

use super::FiguresShape;
use crate::look::ChunkLook;
use capstan_migration::{UnitView, Verdict};
use serde::Serialize;
use utoipa::ToSchema;

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
    /// Of those that differ: they have the same fields with the same values, only in another order.
    pub reordered: u64,
    /// What of the source the target was held against.
    pub compared: FiguresShape,
}

impl From<Verdict> for VerdictShape {
    fn from(verdict: Verdict) -> Self {
        let Verdict { mode, ranges, missing, extra, different, repaired, reordered, compared } = verdict;
        Self { mode, ranges, missing, extra, different, repaired, reordered, compared: compared.into() }
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
