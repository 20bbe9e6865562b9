//! Commands about a job that there is.

use crate::command::{Context, Decision, JobCommand};
use crate::event::JobEvent;
use crate::item::WorkIntent;
use crate::limits::POOL_MAX;
use crate::name::JobName;
use crate::rejection::Rejection;
use crate::spec::Priority;
use crate::state::{End, Job, Jobs};
use capstan_ids::{Kind, LimitName};

const POOLS: [&str; 5] = ["plan", "dump", "restore", "index", "verify"];

impl Jobs {
    /// What a command would do. Nothing has happened until its events and intents are durable and applied.
    pub fn decide(&self, command: &JobCommand, context: Context) -> Result<Decision, Rejection> {
        match command {
            JobCommand::Submit { name, spec } => self.submit(name.as_ref(), spec, context),
            JobCommand::Pause { job, immediate, reason } => {
                let session = self.unfinished(job)?.head.name.session();
                Ok(Decision::only(job, WorkIntent::Pause { session, immediate: *immediate, reason: reason.clone() }))
            }
            JobCommand::Resume { job } => self.go_on(job, WorkIntent::Resume { session: job.session() }),
            JobCommand::Retry { job } => {
                self.go_on(job, WorkIntent::Retry { session: job.session(), items: Vec::new() })
            }
            JobCommand::Cancel { job, drop_partial, reason } => {
                let session = self.unfinished(job)?.head.name.session();
                let cancelled =
                    JobEvent::JobCancelled { job: job.clone(), drop_partial: *drop_partial, reason: reason.clone() };
                let cancel = WorkIntent::Cancel { session, reason: reason.clone() };
                Ok(Decision { job: job.clone(), events: vec![cancelled], work: vec![cancel] })
            }
            JobCommand::SetPool { job, kind, size } => self.set_pool(job, kind, *size),
            JobCommand::AddUnits { job, collections } => self.add_units(job, collections),
            JobCommand::SetRates { job, rates } => self.set_rates(job, *rates),
            JobCommand::SetPriority { job, collection, priority } => {
                self.set_priority(job, Priority { collection: collection.clone(), priority: *priority })
            }
            JobCommand::Forget { job } => {
                if self.known(job)?.head.ended.is_none() {
                    return Err(Rejection::JobUnfinished(job.clone()));
                }
                let forgotten = JobEvent::JobForgotten { job: job.clone() };
                let delete = WorkIntent::DeleteSession { session: job.session() };
                Ok(Decision { job: job.clone(), events: vec![forgotten], work: vec![delete] })
            }
        }
    }

    /// A job that ended with failures goes on when they are tried again.
    fn go_on(&self, job: &JobName, intent: WorkIntent) -> Result<Decision, Rejection> {
        let known = self.known(job)?;
        let events = match known.head.ended {
            None => Vec::new(),
            // Where every unit went its whole way, refused documents and differences are what is left: no item failed.
            Some(ended) if ended.end == End::CompletedWithFailures && !known.went_its_way() => {
                vec![JobEvent::JobReopened { job: job.clone() }]
            }
            Some(ended) => return Err(Rejection::JobEnded { job: job.clone(), end: ended.end.name() }),
        };
        Ok(Decision { job: job.clone(), events, work: vec![intent] })
    }

    fn set_pool(&self, job: &JobName, kind: &Kind, size: Option<u32>) -> Result<Decision, Rejection> {
        let session = self.unfinished(job)?.head.name.session();
        let wrong = size.filter(|size| !(1..=POOL_MAX).contains(size));
        if wrong.is_some() || !POOLS.contains(&kind.as_str()) {
            return Err(Rejection::PoolSize { kind: kind.to_string(), size: size.unwrap_or_default() });
        }
        // Whoever sizes a pool by hand wants that size: it does not adapt by itself any more.
        let adapts = self.unfinished(job)?.adapts(kind);
        let events = adapts.then(|| JobEvent::PoolSized { job: job.clone(), kind: kind.clone() }).into_iter().collect();
        let set = WorkIntent::SetLimit { session, limit: LimitName::from(kind), value: size };
        Ok(Decision { job: job.clone(), events, work: vec![set] })
    }

    pub(crate) fn unfinished(&self, job: &JobName) -> Result<&Job, Rejection> {
        let known = self.known(job)?;
        match known.head.ended {
            Some(ended) => Err(Rejection::JobEnded { job: job.clone(), end: ended.end.name() }),
            None => Ok(known),
        }
    }
}

impl Decision {
    fn only(job: &JobName, intent: WorkIntent) -> Self {
        Self { job: job.clone(), events: Vec::new(), work: vec![intent] }
    }
}
