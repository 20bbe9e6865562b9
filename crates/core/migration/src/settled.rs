//! How a job ends when nothing more happens in its session.

use crate::event::JobEvent;
use crate::name::JobName;
use crate::spec::{Mode, Spec, WriteMode};
use crate::state::{End, Job, Jobs, Unit};
use capstan_ids::SessionName;

/// What a session has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Every item is done.
    Completed,
    /// Everything that could be done is; some items failed, or wait for such.
    CompletedWithFailures,
    /// Unfinished work was cancelled, by somebody or by policy.
    Cancelled,
}

impl Jobs {
    /// The end of the job whose session has come to this, if it has not ended yet.
    pub fn session_settled(&self, session: &SessionName, settled: Settled) -> Vec<JobEvent> {
        let job = JobName::of_session(session).and_then(|name| self.jobs.get(&name));
        let Some(job) = job.filter(|job| job.head.ended.is_none()) else { return Vec::new() };
        vec![JobEvent::JobEnded { job: job.head.name.clone(), end: job.end(settled) }]
    }
}

impl Job {
    fn end(&self, settled: Settled) -> End {
        let nothing_moved = self.head.surveyed.is_none();
        match settled {
            Settled::Cancelled if self.head.cancelled.is_some() => End::Cancelled,
            // Nobody cancelled it: its policy did, at the first item that failed.
            Settled::Cancelled => End::Failed,
            _ if nothing_moved => End::Failed,
            Settled::CompletedWithFailures => End::CompletedWithFailures,
            Settled::Completed => {
                let dead_letters: u64 = self.units.iter().map(|unit| unit.tally.dead_letters).sum();
                let differs = self.head.extra > 0 || self.units.iter().any(|unit| unit.differs(&self.head.spec));
                // Units that were added and could not be taken are left behind.
                let refused = !self.head.refused.is_empty();
                if differs || refused || dead_letters > self.head.spec.allow_dead_letters {
                    End::CompletedWithFailures
                } else {
                    End::Completed
                }
            }
        }
    }
}

impl Unit {
    /// Whether both sides differ by more than the documents that the target is known to have refused, and by more than
    /// what was there before the job merged into it.
    fn differs(&self, spec: &Spec) -> bool {
        let Some(verdict) = self.head.verdict else { return false };
        let merged = spec.write == WriteMode::Merge && spec.mode != Mode::Verify;
        // Where documents are only counted, what was there before hides what is missing: nothing can be told of either.
        let known = if merged { verdict.extra } else { 0 };
        verdict.faults() > verdict.missing.min(self.tally.dead_letters).saturating_add(known)
    }
}
