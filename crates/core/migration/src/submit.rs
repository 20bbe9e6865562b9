//! Starting a job, or finding it again.

use crate::command::{Context, Decision};
use crate::event::JobEvent;
use crate::item::{WorkIntent, WorkPolicy};
use crate::limits::JOBS_MAX;
use crate::name::JobName;
use crate::rejection::Rejection;
use crate::spec::{Pools, Spec};
use crate::stages::{OPERATIONS, Stages, limit};
use crate::state::{Job, Jobs};
use crate::{address, validate};
use capstan_ids::{Kind, LimitName, Millis};
use sha2::{Digest, Sha256};

/// Leases of a job are short: workers renew them as they go.
const LEASE: Millis = Millis::secs(30);
/// How many runs of one unnamed job are told apart by number.
const RUNS_MAX: u32 = 10_000;

impl Jobs {
    pub(crate) fn submit(&self, name: Option<&JobName>, spec: &Spec, context: Context) -> Result<Decision, Rejection> {
        let faults = validate::faults(spec);
        if !faults.is_empty() {
            return Err(Rejection::SpecInvalid(faults));
        }
        let job = match name {
            Some(name) => match self.jobs.get(name) {
                Some(there) => return self.found(there, spec),
                None => name.clone(),
            },
            None => {
                let derived = JobName::derived(spec);
                match self.last_run(&derived) {
                    Some(there) if there.head.ended.is_none() => return self.found(there, spec),
                    Some(_) => self.next_run(&derived)?,
                    None => derived,
                }
            }
        };
        if self.jobs.len() >= JOBS_MAX {
            return Err(Rejection::TooManyJobs { limit: JOBS_MAX });
        }
        let stages = Stages::of(spec);
        let open = WorkIntent::OpenSession {
            session: job.session(),
            policy: policy(spec, context),
            items: vec![stages.survey(0), stages.abandon()],
            gates: spec.mode.gates(),
        };
        let submitted = JobEvent::JobSubmitted { job: job.clone(), spec: Box::new(spec.clone()) };
        Ok(Decision { job, events: vec![submitted], work: vec![open] })
    }

    /// A job of the same specification is the one that was meant.
    fn found(&self, there: &Job, spec: &Spec) -> Result<Decision, Rejection> {
        let job = there.head.name.clone();
        match (there.head.ended, difference(&there.head.spec, spec)) {
            // First: under an ended name, too, another specification is another job and not done because this one is.
            (_, Some(field)) => Err(Rejection::JobDiffers { job, field }),
            (Some(ended), None) => Err(Rejection::JobEnded { job, end: ended.end.name() }),
            (None, None) => Ok(Decision { job, events: Vec::new(), work: Vec::new() }),
        }
    }

    fn last_run(&self, derived: &JobName) -> Option<&Job> {
        let runs = (2..=RUNS_MAX).map_while(|run| self.jobs.get(&derived.run(run)));
        runs.last().or_else(|| self.jobs.get(derived))
    }

    fn next_run(&self, derived: &JobName) -> Result<JobName, Rejection> {
        let free = (2..=RUNS_MAX).map(|run| derived.run(run)).find(|name| !self.jobs.contains_key(name));
        free.ok_or(Rejection::TooManyJobs { limit: JOBS_MAX })
    }
}

/// The first field in which they differ, of those that say what is moved; how fast may be asked for anew.
fn difference(there: &Spec, asked: &Spec) -> Option<&'static str> {
    let fields = [
        ("from", there.from == asked.from),
        ("to", there.to == asked.to),
        ("include", there.include == asked.include),
        ("exclude", there.exclude == asked.exclude),
        ("renames", there.renames == asked.renames),
        ("filters", there.filters == asked.filters),
        ("mode", there.mode == asked.mode),
        ("engine", there.engine == asked.engine),
        ("write", there.write == asked.write),
        ("indexes", there.indexes == asked.indexes),
        ("verify", there.verify == asked.verify),
        ("repair", there.repair == asked.repair),
        ("delete_extra", there.delete_extra == asked.delete_extra),
        ("ignore_field_order", there.ignore_field_order == asked.ignore_field_order),
        ("allow_dead_letters", there.allow_dead_letters == asked.allow_dead_letters),
        ("spool", there.spool == asked.spool),
        ("dump", there.dump == asked.dump),
    ];
    fields.into_iter().find_map(|(field, same)| (!same).then_some(field))
}

fn policy(spec: &Spec, context: Context) -> WorkPolicy {
    let pool = |(kind, size): (Kind, u32)| (LimitName::from(&kind), size);
    let operations = spec.rates.operations.map(|most| (limit(OPERATIONS), most));
    WorkPolicy {
        lease: LEASE,
        attempts: spec.retry.attempts,
        backoff: spec.retry.backoff(),
        on_exhausted: spec.retry.on_exhausted,
        limits: pool_sizes(&spec.pools, context.cores).into_iter().map(pool).chain(operations).collect(),
        stuck_after: Millis::secs(spec.stuck.after_seconds),
        revoke_stuck: spec.stuck.revoke,
    }
}

/// A pool without a size has as many places as there are cores, two at least, so that reading and writing overlap.
pub(crate) fn pool_sizes(pools: &Pools, cores: u32) -> [(Kind, u32); 5] {
    let by_cores = cores.clamp(2, crate::limits::POOL_MAX);
    let sized =
        |kind: &str, size: Option<u32>| (Kind::new(kind).expect("the kinds are plain words"), size.unwrap_or(by_cores));
    [
        sized("plan", pools.plan),
        sized("dump", pools.dump),
        sized("restore", pools.restore),
        sized("index", pools.index),
        sized("verify", pools.verify),
    ]
}

impl JobName {
    /// A name that says from where to where, and is the same for the same endpoints, selection and mode.
    fn derived(spec: &Spec) -> Self {
        let identity = (&spec.from, &spec.to, &spec.include, &spec.exclude, &spec.renames, &spec.filters, spec.mode);
        let mut text = serde_json::to_string(&identity).expect("a specification is plain data with text keys");
        // What came later is in the identity only where it is said, so that old jobs are found again.
        text.extend(spec.dump.as_deref());
        let digest = Sha256::digest(text);
        let hash: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let plain = |url: &str| {
            let scheme = address::scheme(url).unwrap_or("spool");
            scheme.chars().take(10).map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect::<String>()
        };
        Self::new(format!("{}-to-{}-{hash}", plain(&spec.from), plain(&spec.to))).expect("at most 36 plain characters")
    }

    fn run(&self, number: u32) -> Self {
        Self::new(format!("{self}-{number}")).expect("a derived name leaves room for a number")
    }
}
