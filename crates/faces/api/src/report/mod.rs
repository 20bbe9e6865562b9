//! What a job has done, as a page for people that needs nothing beside it.
//!
//! The page is made of what any client can be told, so that the server and the command line draw the same one. It tells what
//! the job's mode did, and no more: of a simulation what would be moved, of a verification what was compared. Everything
//! from outside is escaped; no script, no font and no picture is fetched.
//!
//! # Limits
//! [`UNITS_SHOWN`] units are listed and [`LETTERS_SHOWN`] refused documents quoted; a unit's map has at most
//! [`CELLS_MAX`] cells, each for several chunks where there are more. What is left out is counted.

mod facts;
mod figures;
mod html;
mod map;
mod proof;
#[cfg(test)]
mod tests;
mod units;

pub use figures::{counted, grouped, size};
pub use html::html;
pub use map::{ChunkMap, State};
pub use proof::Proof;

use self::facts::Facts;
use crate::grpc::{chunk_message, job_message, unit_message};
use crate::look::{ChunkLook, JobLook};
use capstan_coordinator::{Clock, Failure, Handle, SystemClock};
use capstan_migration::{JobName, UnitId};
use capstan_proto::v1;
use capstan_work::SessionState;

/// Units that a page lists.
pub const UNITS_SHOWN: usize = 1_000;
/// Refused documents that a page quotes.
pub const LETTERS_SHOWN: usize = 200;
/// Cells of one unit's map.
pub const CELLS_MAX: usize = 600;
/// Chunks that are looked at one by one for all maps of a page.
const CHUNKS_LOOKED_AT: usize = 50_000;
/// Chunks asked for at a time.
const SLICE: usize = 1_000;

/// A document that the target refused for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Its collection at the source, as `db.coll`.
    pub collection: String,
    /// Why.
    pub reason: String,
    /// The document as extended JSON, or the beginning of it.
    pub document: String,
}

/// Everything that a page shows.
#[derive(Debug)]
pub struct ReportPage {
    /// The report as JSON text.
    pub report: String,
    /// The job as it stands.
    pub job: v1::Job,
    /// How each unit's chunks stand, in the order of the units.
    pub maps: Vec<ChunkMap>,
    /// Refused documents, where whoever asks can read them.
    pub letters: Vec<Letter>,
}

impl ReportPage {
    /// From a report, a job and its units; `chunks` is asked for the chunks of a unit, by its id, from an index on, and
    /// answers with some, or none at the end.
    pub async fn gather<E, F: Future<Output = Result<Vec<v1::Chunk>, E>>>(
        report: String,
        job: v1::Job,
        units: &[v1::Unit],
        mut chunks: impl FnMut(String, usize) -> F,
    ) -> Result<Self, E> {
        let mut maps = Vec::new();
        let mut left = CHUNKS_LOOKED_AT;
        for unit in units.iter().take(UNITS_SHOWN) {
            let whole = unit.chunks_restored >= unit.chunks;
            if whole || unit.chunks as usize > left {
                maps.push(ChunkMap::counted(unit));
                continue;
            }
            let mut states = Vec::with_capacity(unit.chunks as usize);
            loop {
                let some = chunks(unit.id.clone(), states.len()).await?;
                if some.is_empty() {
                    break;
                }
                left = left.saturating_sub(some.len());
                states.extend(some.iter().map(|chunk| map::State::named(&chunk.state)));
            }
            maps.push(ChunkMap::of(unit, &states));
        }
        Ok(Self { report, job, maps, letters: Vec::new() })
    }

    /// From a job of this server; none where there is no such job.
    pub(crate) async fn of(handle: &Handle, job: &JobName) -> Result<Option<Self>, Failure> {
        let (name, now) = (job.clone(), SystemClock.now().wall);
        let look = move |state: &capstan_coordinator::State| {
            let paused =
                matches!(state.work.session_state(&name.session()), Some(SessionState::Pausing | SessionState::Paused));
            let look = job_message(&JobLook::of(state, &name)?);
            let units: Vec<v1::Unit> = state.jobs.units(&name)?.map(|unit| unit_message(unit, 0)).collect();
            Some((state.jobs.report(&name, now, paused)?, look, units))
        };
        let Some((report, look, units)) = handle.read(look).await? else { return Ok(None) };
        let report = serde_json::to_string(&report).expect("a report is text and numbers");
        let chunks = |unit: String, from: usize| {
            let (handle, name) = (handle.clone(), job.clone());
            async move {
                let look = move |state: &capstan_coordinator::State| -> Vec<v1::Chunk> {
                    let id: Option<UnitId> = unit.parse().ok();
                    let chunks = id.and_then(|id| ChunkLook::page(state, &name, id, from));
                    chunks.into_iter().flatten().take(SLICE).map(|chunk| chunk_message(&chunk)).collect()
                };
                handle.read(look).await
            }
        };
        Self::gather(report, look, &units, chunks).await.map(Some)
    }

    fn facts(&self) -> Facts {
        // What is missing or new in the text is left out of the page, and does not spoil it.
        serde_json::from_str(&self.report).unwrap_or_default()
    }
}
