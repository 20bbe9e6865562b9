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
use crate::result::{
    DumpResult, FoundUnit, IndexResult, PlanResult, RestoreResult, ScanTime, SurveyResult, VerifyResult,
};
use crate::selection::Selection;
use crate::spec::Mode;
use crate::stages::Stages;
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
    /// Of the items made, those whose priority was changed since the job was submitted, with what holds now. Apart from
    /// them, because a repeat of the completion must make the same items.
    pub priorities: Vec<(ItemId, i16)>,
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
        let completion = match stage {
            Stage::Survey { round } => done.survey(round, &done.read(result)?),
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
        }?;
        let priorities = job.priorities_of(&completion.successors);
        Ok(Completion { priorities, ..completion })
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

    fn survey(&self, round: u32, result: &SurveyResult) -> Result<Completion, Rejection> {
        let head = &self.job.head;
        let known = match round.checked_sub(1) {
            None => head.surveyed.is_some() || !head.refused.is_empty(),
            Some(place) => {
                let round = head.rounds.get(place as usize);
                round.ok_or_else(|| self.bad("is about a survey that nobody asked for"))?.done
            }
        };
        // What an earlier survey has found is the job's already, and stays as it is.
        let earlier =
            |found: &&FoundUnit| self.job.unit(UnitId::of(&found.source)).is_none_or(|u| u.head.round == round);
        let found: Vec<&FoundUnit> = result.units.iter().filter(earlier).collect();
        let others = self.job.units.iter().filter(|unit| unit.head.round != round);
        let count = others.clone().count() + found.len();
        if count > UNITS_MAX {
            return Err(self.bad(format!("makes {count} units; a job has at most {UNITS_MAX}: use `include`")));
        }
        let selection = self.job.selection(round).map_err(|_| self.bad("meets a specification that is none"))?;
        let mut refused = result.refused.clone();
        let taken = others.map(|unit| (unit.head.target.clone(), &unit.head.source)).collect();
        let targets = self.targets(&selection, &result.units, &found, taken, &mut refused)?;
        if round == 0 && result.units.is_empty() && result.extra == 0 && refused.is_empty() {
            refused.push(SetAside { what: "the source".into(), reason: "has no collection that the job takes".into() });
        }
        if head.spec.mode == Mode::Verify && result.scan == ScanTime::Never && refused.is_empty() {
            refused.push(SetAside {
                what: "the target".into(),
                reason: "can not be read back, so nothing is compared".into(),
            });
        }
        let kept = Some(format!(r#"{{"units":{},"refused":{}}}"#, found.len(), refused.len()).into());
        if !refused.is_empty() {
            let refusal = JobEvent::JobRefused { job: self.name(), reasons: bounded(refused), round };
            let events = if known { Vec::new() } else { vec![refusal] };
            return Ok(Completion { events, result: kept, ..Completion::default() });
        }
        let mut events = Vec::new();
        if !known {
            for (found, target) in found.iter().zip(targets) {
                events.push(self.found(found, target, round));
            }
            let (scan, set_aside, extra) = (result.scan, bounded(result.set_aside.clone()), result.extra);
            events.push(JobEvent::SourceSurveyed { job: self.name(), scan, set_aside, round, extra });
        }
        let successors = self.stages().of_units(&found, result.scan, round == 0);
        Ok(Completion { events, successors, result: kept, ..Completion::default() })
    }

    fn stages(&self) -> Stages<'_> {
        Stages::of(&self.job.head.spec)
    }

    fn found(&self, found: &FoundUnit, target: Namespace, round: u32) -> JobEvent {
        JobEvent::UnitFound {
            job: self.name(),
            source: found.source.clone(),
            target,
            definition: found.definition.get().into(),
            view: found.view,
            documents: found.documents,
            bytes: found.bytes,
            round,
        }
    }

    /// What each new unit is called at the target; no two of the job may be called the same.
    fn targets<'a>(
        &self,
        selection: &Selection,
        units: &[FoundUnit],
        new: &[&'a FoundUnit],
        mut taken: HashMap<Namespace, &'a Namespace>,
        refused: &mut Vec<SetAside>,
    ) -> Result<Vec<Namespace>, Rejection> {
        let mut ids = HashSet::new();
        for found in units {
            if !selection.takes(&found.source) {
                return Err(self.bad(format!("names {}, which the job leaves out", found.source)));
            }
            if !ids.insert(UnitId::of(&found.source)) {
                return Err(self.bad(format!("names {} twice", found.source)));
            }
        }
        let mut targets = Vec::with_capacity(new.len());
        for found in new {
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
        let (id, stages) = (unit.head.id, self.stages());
        let reads = (0..).zip(&cuts).filter_map(|(chunk, cut)| stages.read(id, &unit.head.source, chunk, cut));
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
        Ok(Completion { events, successors, result: Some(kept.into()), ..Completion::default() })
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
        let restore = || self.stages().restore(unit.head.id, &unit.head.source, chunk, generation, &dumped);
        // A dump that is kept is restored by another job.
        let successors = if self.job.head.spec.mode == Mode::DumpOnly { Vec::new() } else { vec![restore()] };
        let fresh = known.generation == generation && known.dumped.is_none();
        let dumped = JobEvent::ChunkDumped { job: self.name(), unit: unit.head.id, chunk, dumped };
        let events = if fresh { vec![dumped] } else { Vec::new() };
        Ok(Completion { events, successors, result: Some(kept.into()), ..Completion::default() })
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
        let again = self.stages().dump(unit.head.id, &unit.head.source, chunk, next, &known.cut);
        let reason = shortened(&reason);
        let missed = JobEvent::PartsMissed { job: self.name(), unit: unit.head.id, chunk, generation: next, reason };
        let events = if current { vec![missed] } else { Vec::new() };
        let kept = Some(r#"{"missed":true}"#.into());
        Ok(Completion { events, successors: vec![again], result: kept, ..Completion::default() })
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
        Ok(Completion { events, result: Some(kept.into()), ..Completion::default() })
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
        if verdict.reordered > verdict.different {
            let (reordered, different) = (verdict.reordered, verdict.different);
            return Err(self.bad(format!("finds {reordered} documents in another order where {different} differ")));
        }
        let examples = bounded(result.examples.clone());
        let verified = JobEvent::UnitVerified { job: self.name(), unit: unit.head.id, verdict, examples };
        let events = if unit.head.verdict.is_some() { Vec::new() } else { vec![verified] };
        let kept = serde_json::to_string(&verdict).expect("a verdict is plain data");
        Ok(Completion { events, result: Some(kept.into()), ..Completion::default() })
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
