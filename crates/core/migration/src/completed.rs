//! What follows when an item of a job is done.

use crate::command::Context;
use crate::event::JobEvent;
use crate::facts::{Cut, Dumped, Figures, Landed, SetAside};
use crate::item::{Stage, WorkItem};
use crate::limits::{
    CHUNKS_MAX, FACT_TEXT_MAX, GENERATIONS_MAX, RANGE_BYTES_MAX, RESULT_BYTES_MAX, SET_ASIDE_MAX, SPOOL_PARTS_MAX,
    TARGET_PARTS_MAX, UNITS_MAX,
};
use crate::name::{JobName, Namespace, UnitId};
use crate::rejection::Rejection;
use crate::result::{DumpResult, FoundUnit, IndexResult, PlanResult, RestoreResult, SurveyResult, VerifyResult};
use crate::selection::Selection;
use crate::stages;
use crate::state::{Job, Jobs, Unit};
use capstan_ids::{ItemId, SessionName};
use serde::de::DeserializeOwned;
use std::collections::{HashMap, HashSet};

/// What a completion does, in the same commit as the item's own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Completion {
    /// What happens here; nothing where it is a repeat.
    pub events: Vec<JobEvent>,
    /// Items made from it; the same ones where it is a repeat.
    pub successors: Vec<WorkItem>,
    /// What the item keeps as its result: the facts themselves are kept here.
    pub result: Option<Box<str>>,
}

/// Chunks of one event.
const CUTS_PER_EVENT: usize = 500;

impl Jobs {
    /// What follows when `item` of a job's session is done with `result`. Decided before anything of it is applied.
    ///
    /// Whether whoever says so may is the work core's business. A repeat makes no events and the same successors. An
    /// item that is none of the job's stages has no consequences.
    pub fn completed(
        &self,
        session: &SessionName,
        item: &ItemId,
        result: Option<&str>,
        _context: Context,
    ) -> Result<Completion, Rejection> {
        let Some(job) = JobName::of_session(session).and_then(|name| self.jobs.get(&name)) else {
            return Ok(Completion { result: result.map(Into::into), ..Completion::default() });
        };
        let Ok(stage) = item.as_str().parse::<Stage>() else {
            return Ok(Completion { result: result.map(Into::into), ..Completion::default() });
        };
        let done = Done { job, stage, item };
        match stage {
            Stage::Survey => done.survey(&done.read(result)?),
            Stage::Plan(unit) => done.plan(done.unit(unit)?, done.read(result)?),
            Stage::Dump { unit, chunk, generation } => {
                done.dump(done.unit(unit)?, chunk, generation, done.read(result)?)
            }
            Stage::Restore { unit, chunk, generation } => {
                done.restore(done.unit(unit)?, chunk, generation, done.read(result)?)
            }
            Stage::Copy { unit, chunk } => done.copy(done.unit(unit)?, chunk, done.read(result)?),
            Stage::Index(unit) => done.index(done.unit(unit)?, done.read(result)?),
            Stage::Finish => Ok(done.finish()),
            Stage::Verify(unit) => done.verify(done.unit(unit)?, &done.read(result)?),
            Stage::Sweep | Stage::Abandon => Ok(Completion::default()),
        }
    }
}

/// One completed item of one job.
struct Done<'a> {
    job: &'a Job,
    stage: Stage,
    item: &'a ItemId,
}

impl Done<'_> {
    fn name(&self) -> JobName {
        self.job.head.name.clone()
    }

    fn bad(&self, problem: impl Into<String>) -> Rejection {
        Rejection::BadResult { job: self.name(), item: self.item.as_str().into(), problem: problem.into() }
    }

    fn read<T: DeserializeOwned>(&self, result: Option<&str>) -> Result<T, Rejection> {
        let text = result.unwrap_or("{}");
        if text.len() > RESULT_BYTES_MAX {
            return Err(self.bad(format!("has {} bytes; one has at most {RESULT_BYTES_MAX}", text.len())));
        }
        serde_json::from_str(text).map_err(|error| self.bad(format!("is not what such an item ends with: {error}")))
    }

    fn unit(&self, id: UnitId) -> Result<&Unit, Rejection> {
        self.job.unit(id).ok_or_else(|| self.bad("is about a unit that the job does not have"))
    }

    fn survey(&self, result: &SurveyResult) -> Result<Completion, Rejection> {
        let known = self.job.head.surveyed.is_some() || !self.job.head.refused.is_empty();
        if result.units.len() > UNITS_MAX {
            return Err(
                self.bad(format!("names {} units; a job has at most {UNITS_MAX}: use `include`", result.units.len()))
            );
        }
        let selection =
            Selection::of(&self.job.head.spec).map_err(|_| self.bad("meets a specification that is none"))?;
        let mut refused = result.refused.clone();
        let targets = self.targets(&selection, &result.units, &mut refused)?;
        if result.units.is_empty() && refused.is_empty() {
            refused.push(SetAside { what: "the source".into(), reason: "has no collection that the job takes".into() });
        }
        let kept = Some(format!(r#"{{"units":{},"refused":{}}}"#, result.units.len(), refused.len()).into());
        if !refused.is_empty() {
            let reasons = bounded(refused);
            let events = if known { Vec::new() } else { vec![JobEvent::JobRefused { job: self.name(), reasons }] };
            return Ok(Completion { events, successors: Vec::new(), result: kept });
        }
        let mut events = Vec::new();
        if !known {
            for (found, target) in result.units.iter().zip(targets) {
                events.push(self.found(found, target));
            }
            let set_aside = bounded(result.set_aside.clone());
            events.push(JobEvent::SourceSurveyed { job: self.name(), scan: result.scan, set_aside });
        }
        let successors = stages::of_units(&self.job.head.spec, &result.units, result.scan);
        Ok(Completion { events, successors, result: kept })
    }

    fn found(&self, found: &FoundUnit, target: Namespace) -> JobEvent {
        JobEvent::UnitFound {
            job: self.name(),
            source: found.source.clone(),
            target,
            definition: found.definition.get().into(),
            view: found.view,
            documents: found.documents,
            bytes: found.bytes,
        }
    }

    /// What each unit is called at the target; no two may be called the same.
    fn targets(
        &self,
        selection: &Selection,
        units: &[FoundUnit],
        refused: &mut Vec<SetAside>,
    ) -> Result<Vec<Namespace>, Rejection> {
        let mut ids = HashSet::new();
        let mut taken = HashMap::new();
        let mut targets = Vec::with_capacity(units.len());
        for found in units {
            if !selection.takes(&found.source) {
                return Err(self.bad(format!("names {}, which the job leaves out", found.source)));
            }
            if !ids.insert(UnitId::of(&found.source)) {
                return Err(self.bad(format!("names {} twice", found.source)));
            }
            match selection.target(&found.source) {
                Err(reason) => refused.push(SetAside { what: found.source.to_string().into(), reason: reason.into() }),
                Ok(target) => {
                    if let Some(other) = taken.insert(target.clone(), &found.source) {
                        let reason = format!("would become {target}, and so would {other}; change the renames");
                        refused.push(SetAside { what: found.source.to_string().into(), reason: reason.into() });
                    }
                    targets.push(target);
                }
            }
        }
        Ok(targets)
    }

    fn plan(&self, unit: &Unit, result: PlanResult) -> Result<Completion, Rejection> {
        if result.chunks.len() > CHUNKS_MAX as usize {
            let found = result.chunks.len();
            return Err(self.bad(format!("cuts {found} chunks; a unit has at most {CHUNKS_MAX}: they grow instead")));
        }
        if unit.head.view && !result.chunks.is_empty() {
            return Err(self.bad("cuts a view into chunks; it has no documents of its own"));
        }
        if let Some(range) = result.chunks.iter().find(|chunk| chunk.range.get().len() > RANGE_BYTES_MAX) {
            let found = range.range.get().len();
            return Err(self.bad(format!("has a range of {found} bytes; one has at most {RANGE_BYTES_MAX}")));
        }
        let cuts: Vec<Cut> = result
            .chunks
            .into_iter()
            .map(|chunk| Cut { range: chunk.range.get().into(), documents: chunk.documents, bytes: chunk.bytes })
            .collect();
        let (id, mode) = (unit.head.id, self.job.head.spec.mode);
        let reads = (0..).zip(&cuts).map(|(chunk, cut)| stages::read(mode, id, &unit.head.source, chunk, cut));
        let successors = reads.collect();
        let kept = format!(r#"{{"chunks":{}}}"#, cuts.len());
        let mut events = Vec::new();
        if !unit.head.planned {
            for (number, chunks) in cuts.chunks(CUTS_PER_EVENT).enumerate() {
                let first = (number * CUTS_PER_EVENT) as u32;
                events.push(JobEvent::ChunksPlanned { job: self.name(), unit: id, first, chunks: chunks.to_vec() });
            }
            let set_aside = bounded(result.set_aside);
            events.push(JobEvent::UnitPlanned { job: self.name(), unit: id, set_aside });
        }
        Ok(Completion { events, successors, result: Some(kept.into()) })
    }

    fn dump(&self, unit: &Unit, chunk: u32, generation: u32, result: DumpResult) -> Result<Completion, Rejection> {
        let known =
            unit.chunks.get(chunk as usize).ok_or_else(|| self.bad("is about a chunk that its unit does not have"))?;
        if result.parts.len() > SPOOL_PARTS_MAX {
            let found = result.parts.len();
            return Err(self.bad(format!("names {found} parts; a chunk has at most {SPOOL_PARTS_MAX}")));
        }
        let mut sum = Figures::default();
        for part in &result.parts {
            self.check_text(&part.name)?;
            self.check_text(&part.checksum)?;
            sum += Figures { documents: part.documents, bytes: part.bytes };
        }
        let figures = Figures { documents: result.documents, bytes: result.bytes };
        if sum != figures {
            return Err(self.bad(format!("counts {figures:?}, but its parts hold {sum:?}")));
        }
        let kept = format!(
            r#"{{"documents":{},"bytes":{},"parts":{}}}"#,
            figures.documents,
            figures.bytes,
            result.parts.len()
        );
        let dumped = Dumped { figures, parts: result.parts, marker: result.marker };
        let successors = vec![stages::restore(unit.head.id, &unit.head.source, chunk, generation, &dumped)];
        let fresh = known.generation == generation && known.dumped.is_none();
        let dumped = JobEvent::ChunkDumped { job: self.name(), unit: unit.head.id, chunk, dumped };
        let events = if fresh { vec![dumped] } else { Vec::new() };
        Ok(Completion { events, successors, result: Some(kept.into()) })
    }

    fn restore(
        &self,
        unit: &Unit,
        chunk: u32,
        generation: u32,
        result: RestoreResult,
    ) -> Result<Completion, Rejection> {
        let known =
            unit.chunks.get(chunk as usize).ok_or_else(|| self.bad("is about a chunk that its unit does not have"))?;
        let current = known.generation == generation && known.landed.is_none();
        let reason = match result {
            RestoreResult::Restored { .. } => {
                let dumped = known.dumped.as_ref().filter(|_| current).map(|dumped| dumped.figures);
                if current && dumped.is_none() {
                    return Err(self.bad("is about a chunk that was not dumped"));
                }
                return self.landed(unit, chunk, dumped, current, result);
            }
            RestoreResult::Missed { reason } => reason,
        };
        let next = generation + 1;
        if next > GENERATIONS_MAX {
            return Err(Rejection::SpoolUnreliable {
                job: self.name(),
                chunk: format!("{}_{chunk}", unit.head.id).into(),
                times: next,
                reason,
            });
        }
        let again = stages::dump(unit.head.id, &unit.head.source, chunk, next, &known.cut);
        let reason = shortened(&reason);
        let missed = JobEvent::PartsMissed { job: self.name(), unit: unit.head.id, chunk, generation: next, reason };
        let events = if current { vec![missed] } else { Vec::new() };
        Ok(Completion { events, successors: vec![again], result: Some(r#"{"missed":true}"#.into()) })
    }

    fn copy(&self, unit: &Unit, chunk: u32, result: RestoreResult) -> Result<Completion, Rejection> {
        let known =
            unit.chunks.get(chunk as usize).ok_or_else(|| self.bad("is about a chunk that its unit does not have"))?;
        self.landed(unit, chunk, None, known.landed.is_none(), result)
    }

    /// A chunk is at the target; `dumped` is what should have arrived, where that is known.
    fn landed(
        &self,
        unit: &Unit,
        chunk: u32,
        dumped: Option<Figures>,
        fresh: bool,
        result: RestoreResult,
    ) -> Result<Completion, Rejection> {
        let RestoreResult::Restored { documents, bytes, dead_letters, parts } = result else {
            return Err(self.bad("misses parts, but there is no spool in this mode"));
        };
        if parts.len() > TARGET_PARTS_MAX {
            let found = parts.len();
            return Err(self.bad(format!("names {found} parts; a chunk has at most {TARGET_PARTS_MAX} at the target")));
        }
        for part in &parts {
            self.check_text(&part.name)?;
            self.check_text(&part.checksum)?;
        }
        if let Some(dumped) = dumped {
            let whole = documents.checked_add(dead_letters) == Some(dumped.documents)
                && (bytes == dumped.bytes || (dead_letters > 0 && bytes < dumped.bytes));
            if !whole {
                let found = format!("{documents} documents of {bytes} bytes and {dead_letters} dead letters");
                return Err(self.bad(format!("says {found} arrived where {dumped:?} were dumped")));
            }
        }
        let kept = format!(r#"{{"documents":{documents},"bytes":{bytes},"dead_letters":{dead_letters}}}"#);
        let landed = Landed { figures: Figures { documents, bytes }, dead_letters, parts };
        let restored = JobEvent::ChunkRestored { job: self.name(), unit: unit.head.id, chunk, landed };
        let events = if fresh { vec![restored] } else { Vec::new() };
        Ok(Completion { events, successors: Vec::new(), result: Some(kept.into()) })
    }

    fn index(&self, unit: &Unit, result: IndexResult) -> Result<Completion, Rejection> {
        if !unit.is_restored() {
            return Err(self.bad("completes a unit of which chunks are missing"));
        }
        let set_aside = bounded(result.set_aside);
        let finished = JobEvent::UnitFinished { job: self.name(), unit: unit.head.id, set_aside };
        let events = if unit.head.finished { Vec::new() } else { vec![finished] };
        Ok(Completion { events, ..Completion::default() })
    }

    fn finish(&self) -> Completion {
        let finished = JobEvent::TargetFinished { job: self.name() };
        let events = if self.job.head.finished { Vec::new() } else { vec![finished] };
        Completion { events, ..Completion::default() }
    }

    fn verify(&self, unit: &Unit, result: &VerifyResult) -> Result<Completion, Rejection> {
        let verdict = result.verdict;
        let found = verdict.missing.saturating_add(verdict.extra).saturating_add(verdict.different);
        if verdict.repaired > found {
            return Err(self.bad(format!("mends {} documents where {found} were wrong", verdict.repaired)));
        }
        let examples = bounded(result.examples.clone());
        let verified = JobEvent::UnitVerified { job: self.name(), unit: unit.head.id, verdict, examples };
        let events = if unit.head.verdict.is_some() { Vec::new() } else { vec![verified] };
        let kept = serde_json::to_string(&verdict).expect("a verdict is plain data");
        Ok(Completion { events, successors: Vec::new(), result: Some(kept.into()) })
    }

    fn check_text(&self, text: &str) -> Result<(), Rejection> {
        if text.len() <= FACT_TEXT_MAX {
            return Ok(());
        }
        let stage = self.stage;
        Err(self.bad(format!("of {stage} has a name of {} bytes; one has at most {FACT_TEXT_MAX}", text.len())))
    }
}

/// As many as are kept; the last entry says how many more there were.
fn bounded(mut entries: Vec<SetAside>) -> Vec<SetAside> {
    let more = entries.len().saturating_sub(SET_ASIDE_MAX);
    if more > 0 {
        entries.truncate(SET_ASIDE_MAX);
        entries.push(SetAside { what: format!("{more} more").into(), reason: "not listed".into() });
    }
    for entry in &mut entries {
        entry.what = shortened(&entry.what);
        entry.reason = shortened(&entry.reason);
    }
    entries
}

fn shortened(text: &str) -> Box<str> {
    match text.char_indices().find(|(at, _)| *at >= FACT_TEXT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}
