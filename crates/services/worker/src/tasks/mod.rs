//! What each kind of item is: one file a stage.

mod ahead;
mod copy;
mod dead_letters;
mod dump;
mod finish;
mod keep;
mod landing;
mod mending;
mod plan;
mod prove;
mod restore;
mod survey;
mod sweep;
mod verify;

use crate::desk::Desk;
use crate::halt::Halt;
use crate::pace::Pace;
use crate::places::Places;
use capstan_coordination::{Coordination, CoordinationError, Outcome};
use capstan_endpoint::{Namespace, Sink, Source, SplitTarget, Unit, WritePlan};
use capstan_ids::SessionName;
use capstan_migration::{BriefText, IndexTime, JobName, Mode, RateShare, SetAside, Spec, Stage, UnitBrief, WriteMode};
use capstan_spool::{PartName, Spool};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// A task's good end.
pub(crate) struct Done {
    pub outcome: Outcome,
    /// Parts that nobody needs once the completion is durable.
    pub unneeded: Vec<(Arc<dyn Spool>, PartName)>,
}

/// A brief that does not come is asked for again this often; the lease goes on meanwhile.
const BRIEF_TRIES: u32 = 30;
const NOT_OURS_PAUSE: Duration = Duration::from_secs(1);
/// How often an item that moves documents asks for its share of the job's rates: where there is one, and where there
/// is none yet.
const SHARE_EVERY: Duration = Duration::from_secs(2);
const SHARE_EVERY_UNLIMITED: Duration = Duration::from_secs(5);

/// Does a leased item. Dropped at any moment, it leaves nothing that cannot be gone on from.
pub(crate) async fn perform(desk: &Desk, places: &Places, coordination: &dyn Coordination) -> Result<Done, Halt> {
    let holding = &desk.leased.holding;
    let (Some(_), Ok(stage)) = (JobName::of_session(&holding.session), holding.item.as_str().parse::<Stage>()) else {
        return not_ours(desk).await;
    };
    let brief = brief(desk, coordination, 0).await?;
    let pace = Pace::new(brief.0.share);
    let task = Task { desk, places, coordination, brief: &brief.0, next: brief.1, pace: &pace };
    tokio::select! {
        done = perform_stage(&task, stage) => done,
        never = task.follow_share(), if stage.chunk().is_some() => match never {},
    }
}

async fn perform_stage(task: &Task<'_>, stage: Stage) -> Result<Done, Halt> {
    match stage {
        Stage::Survey { .. } => survey::survey(task).await,
        Stage::Plan(_) => plan::plan(task).await,
        Stage::Dump { .. } => dump::dump(task).await,
        Stage::Restore { .. } => restore::restore(task).await,
        Stage::Copy { .. } => copy::copy(task).await,
        Stage::Index(_) => finish::index(task).await,
        Stage::Finish if task.spec().mode == Mode::DumpOnly => keep::keep(task).await,
        Stage::Finish => finish::finish(task).await,
        Stage::Verify(_) if task.spec().mode == Mode::DumpOnly => prove::prove(task).await,
        Stage::Verify(_) => verify::verify(task).await,
        Stage::Sweep => sweep::sweep(task).await,
        Stage::Abandon => sweep::abandon(task).await,
    }
}

/// Somebody else's item that happens to be of a kind of ours: it goes back untouched, after a while, so that its own
/// workers are not outrun again and again.
async fn not_ours(desk: &Desk) -> Result<Done, Halt> {
    let holding = &desk.leased.holding;
    tracing::warn!(session = %holding.session, item = %holding.item, "this item is no stage of a job; giving it back");
    tokio::time::sleep(NOT_OURS_PAUSE).await;
    Err(Halt::Stopped)
}

/// One item, and everything its stage may use.
struct Task<'a> {
    desk: &'a Desk,
    places: &'a Places,
    coordination: &'a dyn Coordination,
    brief: &'a BriefText,
    /// Where the brief goes on, if it does.
    next: Option<u32>,
    pace: &'a Pace,
}

async fn brief(desk: &Desk, coordination: &dyn Coordination, from: u32) -> Result<(BriefText, Option<u32>), Halt> {
    let mut tries = 0;
    let page = loop {
        tries += 1;
        match coordination.brief(&desk.leased.holding, from).await {
            Ok(page) => break page,
            Err(CoordinationError::Unavailable { retry_after, .. }) if tries < BRIEF_TRIES => {
                tokio::time::sleep(retry_after.clamp(Duration::from_millis(50), Duration::from_secs(2))).await;
            }
            // The keeper of the lease is told the same, and knows what to do.
            Err(CoordinationError::LeaseLost { .. } | CoordinationError::Revoked { .. }) => return Err(Halt::Stopped),
            Err(error) => return Err(Halt::transient(format!("the item's brief was not to be had: {error}"))),
        }
    };
    let text = serde_json::from_str(&page.text)
        .map_err(|error| Halt::permanent(format!("the item's brief is of another version: {error}")))?;
    Ok((text, page.next))
}

impl Task<'_> {
    fn session(&self) -> &SessionName {
        &self.desk.leased.holding.session
    }

    fn spec(&self) -> &Spec {
        &self.brief.spec
    }

    /// Waits until so much may move, or the worker stops.
    async fn keep_pace(&self, documents: u32, bytes: usize) {
        tokio::select! {
            biased;
            () = self.pace.take(u64::from(documents), bytes as u64) => {}
            () = self.desk.stopping() => {}
        }
    }

    /// Keeps the pace at what the coordinator says. What it does not answer leaves the pace as it is.
    async fn follow_share(&self) -> Infallible {
        loop {
            let pause = if self.pace.is_limited() { SHARE_EVERY } else { SHARE_EVERY_UNLIMITED };
            tokio::time::sleep(pause).await;
            let Ok(page) = self.coordination.brief(&self.desk.leased.holding, 0).await else { continue };
            if let Ok(Shared { share }) = serde_json::from_str(&page.text) {
                self.pace.set(share);
            }
        }
    }

    async fn source(&self) -> Result<Arc<dyn Source>, Halt> {
        self.places.source(self.session(), self.spec()).await
    }

    async fn sink(&self) -> Result<Arc<dyn Sink>, Halt> {
        self.places.sink(self.session(), self.spec()).await
    }

    fn payload<T: DeserializeOwned>(&self) -> Result<T, Halt> {
        serde_json::from_str(self.desk.leased.payload.as_deref().unwrap_or("{}"))
            .map_err(|error| Halt::permanent(format!("the item's payload is of another version: {error}")))
    }

    fn unit(&self) -> Result<&UnitBrief, Halt> {
        self.brief.unit.as_ref().ok_or_else(|| Halt::permanent("the item's brief names no unit"))
    }

    fn split_target(&self) -> SplitTarget {
        let chunks = self.spec().chunks;
        SplitTarget { documents: chunks.documents, bytes: chunks.bytes, chunks_max: chunks.max }
    }

    /// Every page of the brief, the first among them.
    fn pages(&self) -> Pages<'_> {
        Pages { task: self, page: None, next: None }
    }

    fn plan(&self) -> WritePlan {
        let mode = match self.spec().write {
            WriteMode::FailIfExists => capstan_endpoint::WriteMode::FailIfExists,
            WriteMode::Overwrite => capstan_endpoint::WriteMode::Overwrite,
            WriteMode::Merge => capstan_endpoint::WriteMode::Merge,
        };
        let indexes = match self.spec().indexes {
            IndexTime::Before => capstan_endpoint::IndexTime::Before,
            IndexTime::After => capstan_endpoint::IndexTime::After,
            IndexTime::None => capstan_endpoint::IndexTime::None,
        };
        WritePlan { mode, indexes, deadline: None }
    }
}

/// The pages of a brief, one after the other.
struct Pages<'a> {
    task: &'a Task<'a>,
    /// The last one that was asked for; the first came with the task.
    page: Option<BriefText>,
    /// Where the next begins; none before the first was seen.
    next: Option<Option<u32>>,
}

impl Pages<'_> {
    async fn next(&mut self) -> Result<Option<&BriefText>, Halt> {
        match self.next {
            None => {
                self.next = Some(self.task.next);
                Ok(Some(self.task.brief))
            }
            Some(None) => Ok(None),
            Some(Some(from)) => {
                let (page, next) = brief(self.task.desk, self.task.coordination, from).await?;
                self.next = Some(next);
                Ok(Some(self.page.insert(page)))
            }
        }
    }
}

/// What of a brief may change while its item is done.
#[derive(Deserialize)]
struct Shared {
    #[serde(default)]
    share: RateShare,
}

/// The unit as it is read.
fn source_unit(unit: &UnitBrief) -> Result<Unit, Halt> {
    serde_json::from_str(unit.definition.get())
        .map_err(|error| Halt::permanent(format!("the definition of {} is of another version: {error}", unit.source)))
}

/// The unit as it is written: under its new name, and whole, since only what the filter let through goes there.
fn target_unit(unit: &UnitBrief) -> Result<Unit, Halt> {
    let namespace = Namespace::new(&*unit.target.database, &*unit.target.collection);
    Ok(Unit { namespace, filter: None, name_documents: false, ..source_unit(unit)? })
}

fn done(result: &impl Serialize) -> Done {
    let text = serde_json::to_string(result).expect("results are plain data with text keys");
    Done { outcome: Outcome { result: Some(text.into()), ..Outcome::default() }, unneeded: Vec::new() }
}

fn set_aside(found: Vec<capstan_endpoint::SetAside>) -> Vec<SetAside> {
    found.into_iter().map(|aside| SetAside { what: aside.what.into(), reason: aside.reason.into() }).collect()
}
