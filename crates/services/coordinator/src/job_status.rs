//! How a job stands, from both cores at one moment: what the job knows, and what its session counts.

use crate::state::State;
use capstan_ids::{Kind, LimitName, Millis, SessionName, WallTime};
use capstan_migration::{JobName, Namespace, Stage, UnitId};
use capstan_work::{ItemState, ItemView};
use std::collections::{BTreeSet, HashMap};

/// Workers that were not heard of for so long count as gone: longer than they wait for work in one request.
const GONE: Millis = Millis::secs(90);
/// The kinds that a job's items are of, in the order of their work.
const KINDS: [&str; 5] = ["plan", "dump", "restore", "index", "verify"];

/// What is done of a job and what runs of it, now.
#[derive(Clone, Debug, PartialEq)]
pub struct JobStatus {
    /// Its items by kind and state; of `dump` and `restore` they are chunks.
    pub stages: Vec<StageStatus>,
    /// Units that something of runs now, as the source calls them.
    pub active_units: Vec<Namespace>,
    /// Nothing runs: no worker holds anything of it.
    pub idle: bool,
    /// Leases whose holders get no further.
    pub stuck: u64,
    /// The pools, with how much of them is in use.
    pub pools: Vec<PoolStatus>,
    /// Slots of the workers that are connected to it; none where none of them says.
    pub slots: Option<u64>,
    /// Whether any worker is: one that serves it was heard of in the last 90 s, or holds something of it.
    pub connected: bool,
    /// Why it has not begun, or not gone on yet: what it needs, what is free, and how many are before it. None unless it
    /// waits for room.
    pub waits_for_room: Option<String>,
}

/// How many items of a kind are in which state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageStatus {
    /// `plan`, `dump`, `restore`, `index` or `verify`.
    pub kind: Kind,
    /// Ready for a worker, now or after a pause.
    pub pending: u64,
    /// Held by a worker.
    pub running: u64,
    /// Done.
    pub done: u64,
    /// Out of attempts.
    pub failed: u64,
    /// Something must be done before them.
    pub waiting: u64,
    /// Something before them has failed.
    pub blocked: u64,
    /// Ended undone.
    pub cancelled: u64,
}

/// A pool and what of it is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// Of which kind.
    pub kind: Kind,
    /// The most that may run; none is no limit.
    pub size: Option<u32>,
    /// How many run.
    pub running: u32,
    /// How many could run, if there were room and workers.
    pub ready: u64,
}

impl PoolStatus {
    /// How much of it is in use, 0 to 1; more while it shrinks. None without a size.
    pub fn utilisation(&self) -> Option<f64> {
        self.size.map(|size| f64::from(self.running) / f64::from(size))
    }
}

impl State {
    /// How a job stands; none where there is no such job. Takes time in proportion to what runs.
    pub fn job_status(&self, job: &JobName, now: WallTime) -> Option<JobStatus> {
        self.jobs.job_is_known(job).then(|| {
            let session = job.session();
            let stages = self.stages(&session);
            let since = WallTime(now.micros().saturating_sub_unsigned(GONE.get() * 1_000));
            JobStatus {
                idle: stages.iter().all(|stage| stage.running == 0),
                stages,
                active_units: self.active_units(job, &session),
                stuck: self.work.stuck_leases(&session),
                pools: self.pools(&session),
                slots: self.work.connected_slots(&session, since),
                connected: self.work.has_workers(&session, since),
                waits_for_room: self.waits_for_room(job),
            }
        })
    }

    /// How many chunks of each unit have failed; units without such are left out.
    pub fn failed_chunks(&self, job: &JobName) -> HashMap<UnitId, u64> {
        let mut failed = HashMap::new();
        for item in self.work.failed_items(&job.session()) {
            let stage: Option<Stage> = item.as_str().parse().ok();
            if let Some((unit, _)) = stage.and_then(|stage| Some((stage.unit()?, stage.chunk()?))) {
                *failed.entry(unit).or_default() += 1;
            }
        }
        failed
    }

    /// The item that a chunk is about now: who holds it, what went wrong with it, how far it has got. None before it is
    /// planned, once it has arrived, and where the job has ended and was cleared away.
    pub fn chunk_item(&self, job: &JobName, unit: UnitId, chunk: u32) -> Option<ItemView> {
        let stage = self.jobs.open_stage(job, unit, chunk)?;
        self.work.item(&job.session(), &stage.item())
    }

    fn stages(&self, session: &SessionName) -> Vec<StageStatus> {
        let kinds = self.work.kinds(session);
        let stage = |kind: &str| {
            let kind = Kind::new(kind).expect("a plain word");
            let counts = kinds.iter().find(|counts| counts.kind == kind);
            let of = |state| counts.map_or(0, |counts| counts.of(state));
            StageStatus {
                pending: of(ItemState::Ready) + of(ItemState::Delayed),
                running: of(ItemState::Assigned),
                done: of(ItemState::Completed),
                failed: of(ItemState::Failed),
                waiting: of(ItemState::Waiting),
                blocked: of(ItemState::Blocked),
                cancelled: of(ItemState::Cancelled),
                kind,
            }
        };
        KINDS.into_iter().map(stage).collect()
    }

    fn active_units(&self, job: &JobName, session: &SessionName) -> Vec<Namespace> {
        let leased = self.work.leased_items(session);
        let stages = leased.iter().filter_map(|item| item.as_str().parse::<Stage>().ok());
        let units: BTreeSet<UnitId> = stages.filter_map(Stage::unit).collect();
        let mut names: Vec<_> = units.into_iter().filter_map(|unit| self.jobs.source_of(job, unit).cloned()).collect();
        names.sort_unstable_by_key(ToString::to_string);
        names
    }

    fn pools(&self, session: &SessionName) -> Vec<PoolStatus> {
        let limits = self.work.session(session).map(|view| view.limits).unwrap_or_default();
        let pool = |kind: &str| {
            let kind = Kind::new(kind).expect("a plain word");
            let name = LimitName::from(&kind);
            let limit = limits.iter().find(|limit| limit.name == name)?;
            let size = limit.most.map(|most| most.get());
            Some(PoolStatus { kind, size, running: limit.live, ready: limit.ready })
        };
        KINDS.into_iter().filter_map(pool).collect()
    }
}
