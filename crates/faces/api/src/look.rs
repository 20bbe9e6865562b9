//! Jobs as every face shows them: what the migration core keeps, with what the session of the job knows.
//!
//! Derived at each look: nothing of it is kept or counted here.

use capstan_coordinator::{Clock, JobStatus, PoolStatus, StageStatus, State, SystemClock};
use capstan_migration::{ChunkState, ChunkView, Figures, JobName, JobView, UnitId};
use capstan_work::{ItemState, ItemView, SessionState, SessionView};

/// The stages that a pool can be set for, in the order in which they come.
pub const KINDS: [&str; 5] = ["plan", "dump", "restore", "index", "verify"];

/// A job as it stands.
#[derive(Clone, Debug)]
pub struct JobLook {
    /// What the migration core says.
    pub view: JobView,
    /// What its items say; none once its session is deleted.
    pub status: Option<JobStatus>,
    /// What its session says; none once that is deleted.
    pub session: Option<SessionView>,
}

impl JobLook {
    /// One job.
    pub fn of(state: &State, name: &JobName) -> Option<Self> {
        Some(Self {
            view: state.jobs.job(name)?,
            status: state.job_status(name, SystemClock.now().wall),
            session: state.work.session(&name.session()),
        })
    }

    /// How it stands, in one word.
    pub fn state(&self) -> &'static str {
        match (self.view.ended, self.session.as_ref().map(|session| session.state)) {
            (Some((end, _)), _) => end.name(),
            (None, _) if self.waits_for_room().is_some() => "waiting",
            (None, Some(SessionState::Pausing)) => "pausing",
            (None, Some(SessionState::Paused)) => "paused",
            (None, _) => "running",
        }
    }

    /// Why it is paused or cancelled, or what it waits for.
    pub fn reason(&self) -> Option<String> {
        let cancelled = self.view.cancelled.as_deref().map(str::to_owned);
        let waits = || self.waits_for_room().map(str::to_owned);
        let paused = || self.session.as_ref().and_then(|session| session.reason.clone());
        cancelled.or_else(waits).or_else(paused).filter(|reason| !reason.is_empty())
    }

    /// What it waits for, where the registry has no room for it yet.
    fn waits_for_room(&self) -> Option<&str> {
        self.status.as_ref()?.waits_for_room.as_deref()
    }

    /// Items of it in a state.
    pub fn items(&self, state: ItemState) -> u64 {
        self.session.as_ref().map_or(0, |session| session.counts.of(state))
    }

    /// Nothing of it is held by a worker.
    pub fn is_idle(&self) -> bool {
        self.status.as_ref().is_none_or(|status| status.idle)
    }

    /// A worker that serves it was heard of of late, or holds something of it.
    pub fn is_connected(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.connected)
    }

    /// Leases whose holders get no further.
    pub fn stuck(&self) -> u64 {
        self.status.as_ref().map_or(0, |status| status.stuck)
    }

    /// Its items by kind and state, in the order of the stages.
    pub fn stages(&self) -> &[StageStatus] {
        self.status.as_ref().map_or(&[], |status| &status.stages)
    }

    /// How many of which kind may work at a time, in the order of the stages.
    pub fn pools(&self) -> &[PoolStatus] {
        self.status.as_ref().map_or(&[], |status| &status.pools)
    }
}

/// What serde calls a value without fields.
pub fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// Why something was refused or left out, on one line.
pub fn reason(aside: &capstan_migration::SetAside) -> String {
    format!("{} {}", aside.what, aside.reason)
}

/// A chunk, and what is being done with it.
#[derive(Clone, Debug)]
pub struct ChunkLook {
    /// What the migration core says.
    pub view: ChunkView,
    /// The item that is to bring it further, unless it is restored.
    pub item: Option<ItemView>,
}

impl ChunkLook {
    /// Chunks of a unit from an index on.
    pub fn page<'a>(
        state: &'a State,
        job: &'a JobName,
        unit: UnitId,
        from: usize,
    ) -> Option<impl Iterator<Item = Self> + 'a> {
        let chunks = state.jobs.chunks(job, unit)?.skip(from);
        Some(chunks.map(move |view| Self { item: state.chunk_item(job, unit, view.index), view }))
    }

    /// `planned`, `dumping`, `dumped`, `restoring`, `restored` or `failed`.
    pub fn state(&self) -> &'static str {
        let item = self.item.as_ref();
        let failed = item.is_some_and(|item| matches!(item.state, ItemState::Failed | ItemState::Blocked));
        let runs = item.is_some_and(|item| item.state == ItemState::Assigned);
        let copied = item.is_some_and(|item| item.body.id().starts_with("copy:"));
        match (self.view.state, failed, runs) {
            (ChunkState::Restored, ..) => "restored",
            (_, true, _) => "failed",
            (ChunkState::Planned, _, true) if !copied => "dumping",
            (_, _, true) => "restoring",
            (ChunkState::Planned, ..) => "planned",
            (ChunkState::Dumped, ..) => "dumped",
        }
    }

    /// What went wrong last, with what is to be done now or with an earlier dump.
    pub fn error(&self) -> Option<&str> {
        let item = self.item.as_ref().and_then(|item| item.last_error.as_deref());
        item.or(self.view.missed.as_deref())
    }

    /// Who works on it.
    pub fn worker(&self) -> Option<&str> {
        let item = self.item.as_ref().filter(|item| item.state == ItemState::Assigned)?;
        item.worker.as_ref().map(|worker| worker.as_str())
    }

    /// How far what runs has got.
    pub fn progress(&self) -> Figures {
        let progress = self.item.as_ref().map(|item| item.progress).unwrap_or_default();
        Figures { documents: progress.documents, bytes: progress.bytes }
    }
}

/// A unit by its id, or by its `db.coll` at the source.
pub fn find_unit(state: &State, job: &JobName, text: &str) -> Option<Option<UnitId>> {
    let mut units = state.jobs.units(job)?;
    let by_id: Option<UnitId> = text.parse().ok();
    Some(units.find(|unit| Some(unit.id) == by_id || unit.source.to_string() == text).map(|unit| unit.id))
}
