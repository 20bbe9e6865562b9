//! The promises that can be seen in the state, checked. Tests, the simulator and debug builds call this.

use crate::address::hides_a_password;
use crate::limits::{CHUNKS_MAX, GENERATIONS_MAX, JOBS_MAX, UNITS_MAX};
use crate::name::{JobName, UnitId};
use crate::state::{Chunk, Job, Jobs, Tally, Unit};
use std::collections::HashSet;

/// A promise that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{promise} does not hold for {what}: {found}")]
pub struct Violation {
    /// Which promise, by its number.
    pub promise: &'static str,
    /// For which job, unit or chunk.
    pub what: String,
    /// What was found.
    pub found: String,
}

fn violation(promise: &'static str, what: impl ToString, found: impl Into<String>) -> Violation {
    Violation { promise, what: what.to_string(), found: found.into() }
}

impl Jobs {
    /// Checks every promise that the state shows. Takes time in proportion to all chunks.
    pub fn check(&self) -> Result<(), Violation> {
        if self.jobs.len() > JOBS_MAX {
            return Err(violation("the limit of jobs", "all jobs", self.jobs.len().to_string()));
        }
        self.jobs.iter().try_for_each(|(name, job)| job.check(name))
    }
}

impl Job {
    fn check(&self, name: &JobName) -> Result<(), Violation> {
        let spec = &self.head.spec;
        if self.head.name != *name || self.places.len() != self.units.len() || self.units.len() > UNITS_MAX {
            return Err(violation("M9", name, "its parts do not belong together"));
        }
        if hides_a_password(&spec.from) || hides_a_password(&spec.to) {
            return Err(violation("M8", name, "an address with a password"));
        }
        let targets: HashSet<_> = self.units.iter().map(|unit| &unit.head.target).collect();
        if targets.len() != self.units.len() {
            return Err(violation("M6", name, "two units of one target"));
        }
        let done = self.is_through();
        let percent = self.view().percent;
        if (percent >= 100.0) != done {
            return Err(violation("M4", name, format!("{percent} % where all is restored: {done}")));
        }
        self.units.iter().try_for_each(Unit::check)
    }
}

impl Unit {
    fn check(&self) -> Result<(), Violation> {
        let id = self.head.id;
        if id != UnitId::of(&self.head.source) || self.chunks.len() > CHUNKS_MAX as usize {
            return Err(violation("M9", id, "its parts do not belong together"));
        }
        let recount = Tally::recount(&self.chunks);
        if self.tally != recount {
            return Err(violation("M2", id, format!("{:?} where a recount gives {recount:?}", self.tally)));
        }
        if self.head.finished && !self.is_restored() {
            return Err(violation("M4", id, "finished before all its chunks were restored"));
        }
        (0..).zip(&self.chunks).try_for_each(|(index, chunk)| chunk.check(&format!("{id}_{index}")))
    }
}

impl Chunk {
    fn check(&self, name: &str) -> Result<(), Violation> {
        if self.generation > GENERATIONS_MAX {
            return Err(violation("M5", name, format!("generation {}", self.generation)));
        }
        let Some(landed) = &self.landed else { return Ok(()) };
        let dumped = self.dumped.as_ref().ok_or_else(|| violation("M1", name, "restored and never dumped"))?;
        if landed.figures.documents.checked_add(landed.dead_letters) != Some(dumped.figures.documents) {
            return Err(violation("M1", name, format!("{landed:?} of {:?}", dumped.figures)));
        }
        if !dumped.parts.is_empty() {
            return Err(violation("M5", name, "parts are kept after the restore was recorded"));
        }
        Ok(())
    }
}
