//! Changes to a job while it goes on: more units, other rates, other priorities.

use crate::command::Decision;
use crate::event::JobEvent;
use crate::item::{Stage, WorkIntent, WorkItem};
use crate::limits::{PATTERN_BYTES_MAX, PATTERNS_MAX, PRIORITY_ITEMS_MAX, ROUNDS_MAX};
use crate::name::JobName;
use crate::phase::Phase;
use crate::rejection::{Rejection, SpecFault};
use crate::selection::{Pattern, Ranking};
use crate::spec::{Mode, Priority, Rates};
use crate::stages::{OPERATIONS, Stages, limit};
use crate::state::{Job, Jobs, Unit};
use crate::validate;
use capstan_ids::{ItemId, Kind};

/// The pools that can adapt by themselves.
pub(crate) const ADAPTIVE_POOLS: [&str; 2] = ["dump", "restore"];

impl Jobs {
    pub(crate) fn add_units(&self, job: &JobName, collections: &[String]) -> Result<Decision, Rejection> {
        let known = self.unfinished(job)?;
        let no = |problem: String| Err(Rejection::NotTaken { job: job.clone(), what: "units", problem });
        let faults = pattern_faults("collections", collections);
        if !faults.is_empty() {
            return Err(Rejection::SpecInvalid(faults));
        }
        if known.head.cancelled.is_some() {
            return no("it was cancelled; submit another job".into());
        }
        if known.head.spec.mode == Mode::Verify {
            return no("it only compares; verify the others with a job of their own".into());
        }
        if known.head.surveyed.is_none() {
            return no("it has not listed its source yet; ask again once its units are known".into());
        }
        if known.head.phase > Phase::Moving {
            return no("everything it had is moved and it is finishing; submit another job".into());
        }
        if known.head.rounds.len() >= ROUNDS_MAX {
            return no(format!("units were added {ROUNDS_MAX} times already; submit another job"));
        }
        let round = known.head.rounds.len() as u32 + 1;
        let added = JobEvent::UnitsAdded { job: job.clone(), round, collections: collections.to_vec() };
        let items = vec![Stages::of(&known.head.spec).survey(round)];
        let add = WorkIntent::AddItems { session: job.session(), items };
        Ok(Decision { job: job.clone(), events: vec![added], work: vec![add] })
    }

    pub(crate) fn set_rates(&self, job: &JobName, rates: Rates) -> Result<Decision, Rejection> {
        let known = self.unfinished(job)?;
        let faults = validate::rate_faults(&rates);
        if !faults.is_empty() {
            return Err(Rejection::SpecInvalid(faults));
        }
        let set = JobEvent::RatesSet { job: job.clone(), rates };
        let events = if known.rates() == rates { Vec::new() } else { vec![set] };
        let (session, limit) = (job.session(), limit(OPERATIONS));
        let work = vec![WorkIntent::SetLimit { session, limit, value: rates.operations }];
        Ok(Decision { job: job.clone(), events, work })
    }

    pub(crate) fn set_priority(&self, job: &JobName, priority: Priority) -> Result<Decision, Rejection> {
        let known = self.unfinished(job)?;
        let faults = validate::priority_faults("priority", std::slice::from_ref(&priority));
        if !faults.is_empty() {
            return Err(Rejection::SpecInvalid(faults));
        }
        let again = |other: &&Priority| other.collection == priority.collection;
        if known.head.priorities.len() >= PATTERNS_MAX && !known.head.priorities.iter().any(|other| again(&other)) {
            let problem = format!("priorities were given to {PATTERNS_MAX} patterns already; use one of them");
            return Err(Rejection::NotTaken { job: job.clone(), what: "priority", problem });
        }
        let (ranking, mut items) = (Ranking::of(std::slice::from_ref(&priority)), Vec::new());
        for unit in &known.units {
            let Some(lift) = ranking.of_collection(&unit.head.source.to_string()) else { continue };
            items.extend(unit.open_stages(known.head.spec.mode).map(|stage| (stage.item(), stage.priority() + lift)));
            if items.len() > PRIORITY_ITEMS_MAX {
                let problem = format!(
                    "{} names collections with more than {PRIORITY_ITEMS_MAX} chunks to move; name fewer at a time",
                    priority.collection
                );
                return Err(Rejection::NotTaken { job: job.clone(), what: "priority", problem });
            }
        }
        let set = WorkIntent::SetPriorities { session: job.session(), items };
        let events = vec![JobEvent::PrioritySet { job: job.clone(), priority }];
        Ok(Decision { job: job.clone(), events, work: vec![set] })
    }
}

impl Job {
    /// How fast it may go now.
    pub(crate) fn rates(&self) -> Rates {
        self.head.rates.unwrap_or(self.head.spec.rates)
    }

    /// Whether a pool grows and shrinks by itself.
    pub(crate) fn adapts(&self, kind: &Kind) -> bool {
        let pools = &self.head.spec.pools;
        pools.adaptive && ADAPTIVE_POOLS.contains(&kind.as_str()) && !self.head.sized.contains(kind)
    }

    /// Of new items, those to which a priority was given after the job was submitted.
    pub(crate) fn priorities_of(&self, items: &[WorkItem]) -> Vec<(ItemId, i16)> {
        if self.head.priorities.is_empty() {
            return Vec::new();
        }
        // The last that was given goes before those given earlier.
        let newest_first: Vec<Priority> = self.head.priorities.iter().rev().cloned().collect();
        let ranking = Ranking::of(&newest_first);
        let changed = items.iter().filter_map(|item| {
            let stage: Stage = item.id.as_str().parse().ok()?;
            let unit = self.unit(stage.unit()?)?;
            Some((item.id.clone(), stage.priority() + ranking.of_collection(&unit.head.source.to_string())?))
        });
        changed.collect()
    }
}

impl Unit {
    /// The stages of it that may be left to do.
    fn open_stages(&self, mode: Mode) -> impl Iterator<Item = Stage> {
        let id = self.head.id;
        let plan = (!self.head.planned).then_some(Stage::Plan(id));
        let index = (!self.head.finished).then_some(Stage::Index(id));
        let verify = self.head.verdict.is_none().then_some(Stage::Verify(id));
        let chunks = (0..self.chunks.len() as u32).filter_map(move |chunk| self.open_stage(mode, chunk));
        plan.into_iter().chain(chunks).chain(index).chain(verify)
    }
}

impl Unit {
    /// What is to be done with a chunk next, if anything is.
    pub(crate) fn open_stage(&self, mode: Mode, chunk: u32) -> Option<Stage> {
        let (unit, known) = (self.head.id, self.chunks.get(chunk as usize)?);
        let generation = known.generation;
        match mode {
            _ if known.landed.is_some() => None,
            Mode::Direct | Mode::RestoreOnly => Some(Stage::Copy { unit, chunk }),
            Mode::DumpAndRestore | Mode::DumpOnly if known.dumped.is_none() => {
                Some(Stage::Dump { unit, chunk, generation })
            }
            Mode::DumpAndRestore => Some(Stage::Restore { unit, chunk, generation }),
            Mode::DumpOnly | Mode::Simulate | Mode::Verify => None,
        }
    }
}

fn pattern_faults(field: &str, patterns: &[String]) -> Vec<SpecFault> {
    let fault = |field: String, problem: String| SpecFault { field, problem };
    if patterns.is_empty() || patterns.len() > PATTERNS_MAX {
        let problem = format!("must have 1 to {PATTERNS_MAX} entries, found {}", patterns.len());
        return vec![fault(field.to_owned(), problem)];
    }
    let wrong = patterns.iter().enumerate().filter_map(|(place, text)| {
        let long = text.len() > PATTERN_BYTES_MAX;
        let bytes = || format!("has {} bytes; a pattern has at most {PATTERN_BYTES_MAX}", text.len());
        let problem = if long { Some(bytes()) } else { Pattern::parse(text).err() };
        Some(fault(format!("{field}[{place}]"), problem?))
    });
    wrong.collect()
}
