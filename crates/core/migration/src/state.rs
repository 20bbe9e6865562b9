//! All jobs, as the events have made them.

use crate::facts::{Cut, Dumped, Figures, Landed, SetAside, Verdict};
use crate::name::{JobName, Namespace, UnitId};
use crate::phase::Phase;
use crate::rejection::Rejection;
use crate::result::ScanTime;
use crate::spec::{Priority, Rates, Spec};
use crate::stages;
use capstan_ids::{Kind, SessionName, WallTime};
use minicbor::{Decode, Encode};
use std::collections::{BTreeMap, HashMap};

/// All jobs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Jobs {
    pub(crate) jobs: BTreeMap<JobName, Job>,
}

/// One job: what was asked, and its units.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Job {
    pub head: Head,
    /// In the source's order.
    pub units: Vec<Unit>,
    pub places: HashMap<UnitId, usize>,
}

/// What a job has beside its units.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Head {
    #[n(0)]
    pub name: JobName,
    #[n(1)]
    pub spec: Spec,
    #[n(2)]
    pub submitted: WallTime,
    /// Once all units are known.
    #[n(3)]
    pub surveyed: Option<ScanTime>,
    /// Found at the source, and left out.
    #[n(4)]
    pub set_aside: Vec<SetAside>,
    /// Why it cannot be done.
    #[n(5)]
    pub refused: Vec<SetAside>,
    /// The whole target is complete.
    #[n(6)]
    pub finished: bool,
    #[n(7)]
    pub cancelled: Option<Cancelled>,
    #[n(8)]
    pub ended: Option<Ended>,
    /// How far the whole is.
    #[n(9)]
    #[cbor(default)]
    pub phase: Phase,
    /// Surveys of units that were added while it ran.
    #[n(10)]
    #[cbor(default)]
    pub rounds: Vec<Round>,
    /// Documents of collections that only the target has.
    #[n(11)]
    #[cbor(default)]
    pub extra: u64,
    /// What holds now of how fast it may go, where that was changed since it was submitted.
    #[n(12)]
    pub rates: Option<Rates>,
    /// Priorities given since it was submitted; the last that matches a collection holds.
    #[n(13)]
    #[cbor(default)]
    pub priorities: Vec<Priority>,
    /// Pools that somebody sized since: they do not adapt by themselves any more.
    #[n(14)]
    #[cbor(default)]
    pub sized: Vec<Kind>,
}

/// One more survey, of units that were added while the job ran.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Round {
    /// Which collections.
    #[n(0)]
    pub only: Vec<String>,
    /// Its units are known.
    #[n(1)]
    pub done: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Cancelled {
    #[n(0)]
    pub drop_partial: bool,
    #[n(1)]
    pub reason: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Ended {
    #[n(0)]
    pub end: End,
    #[n(1)]
    pub at: WallTime,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum End {
    /// Everything was moved, and proved as far as was asked.
    #[n(0)]
    Completed,
    /// Something was left behind: failed items, refused documents, differences.
    #[n(1)]
    CompletedWithFailures,
    /// It could not be done, or its policy ended it at the first failure.
    #[n(2)]
    Failed,
    /// Somebody ended it.
    #[n(3)]
    Cancelled,
}

impl End {
    /// Its name outside.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::CompletedWithFailures => "completed_with_failures",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// One collection of a job.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unit {
    pub head: UnitHead,
    pub chunks: Vec<Chunk>,
    /// Sums over `chunks`, kept as they change.
    pub tally: Tally,
}

/// What a unit has beside its chunks.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct UnitHead {
    #[n(0)]
    pub id: UnitId,
    #[n(1)]
    pub source: Namespace,
    #[n(2)]
    pub target: Namespace,
    #[n(3)]
    pub definition: Box<str>,
    #[n(4)]
    pub view: bool,
    #[n(5)]
    pub documents: Option<u64>,
    #[n(6)]
    pub bytes: Option<u64>,
    /// All its chunks are known.
    #[n(7)]
    pub planned: bool,
    /// Complete at the target.
    #[n(8)]
    pub finished: bool,
    /// What the target refused of it.
    #[n(9)]
    pub set_aside: Vec<SetAside>,
    #[n(10)]
    pub verdict: Option<Verdict>,
    /// Some of what is not the same on both sides.
    #[n(11)]
    pub examples: Vec<SetAside>,
    /// Which survey found it.
    #[n(12)]
    #[cbor(default)]
    pub round: u32,
    /// It failed before the whole was made complete, and can not be taken in any more.
    #[n(13)]
    #[cbor(default)]
    pub given_up: bool,
}

/// A part of a unit that is dumped and restored as one.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Chunk {
    #[n(0)]
    pub cut: Cut,
    /// How often it has been dumped anew.
    #[n(1)]
    pub generation: u32,
    #[n(2)]
    pub dumped: Option<Dumped>,
    #[n(3)]
    pub landed: Option<Landed>,
    /// Why it was dumped anew, the last time.
    #[n(4)]
    pub missed: Option<Box<str>>,
}

/// Sums over a unit's chunks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How much there is: what was dumped counts as it was found, the rest as it was guessed.
    pub size: Figures,
    pub dumped_chunks: u32,
    pub dumped: Figures,
    pub restored_chunks: u32,
    /// What was dumped of the restored chunks.
    pub done: Figures,
    /// What has arrived.
    pub landed: Figures,
    pub dead_letters: u64,
}

impl Chunk {
    pub fn new(cut: Cut) -> Self {
        Self { cut, generation: 0, dumped: None, landed: None, missed: None }
    }

    pub fn size(&self) -> Figures {
        let guess =
            || Figures { documents: self.cut.documents.unwrap_or_default(), bytes: self.cut.bytes.unwrap_or_default() };
        self.dumped.as_ref().map_or_else(guess, |dumped| dumped.figures)
    }
}

impl Tally {
    pub fn add(&mut self, chunk: &Chunk) {
        self.size += chunk.size();
        if let Some(dumped) = &chunk.dumped {
            self.dumped_chunks += 1;
            self.dumped += dumped.figures;
        }
        if let Some(landed) = &chunk.landed {
            self.restored_chunks += 1;
            self.done += chunk.size();
            self.landed += landed.figures;
            self.dead_letters = self.dead_letters.wrapping_add(landed.dead_letters);
        }
    }

    fn take(&mut self, chunk: &Chunk) {
        self.size -= chunk.size();
        if let Some(dumped) = &chunk.dumped {
            self.dumped_chunks -= 1;
            self.dumped -= dumped.figures;
        }
        if let Some(landed) = &chunk.landed {
            self.restored_chunks -= 1;
            self.done -= chunk.size();
            self.landed -= landed.figures;
            self.dead_letters = self.dead_letters.wrapping_sub(landed.dead_letters);
        }
    }

    pub fn recount(chunks: &[Chunk]) -> Self {
        let mut tally = Self::default();
        chunks.iter().for_each(|chunk| tally.add(chunk));
        tally
    }
}

impl Unit {
    pub fn new(head: UnitHead) -> Self {
        Self { head, chunks: Vec::new(), tally: Tally::default() }
    }

    /// Changes a chunk and keeps the sums true.
    pub fn change(&mut self, chunk: u32, change: impl FnOnce(&mut Chunk)) {
        let Some(chunk) = self.chunks.get_mut(chunk as usize) else { return };
        self.tally.take(chunk);
        change(chunk);
        self.tally.add(chunk);
    }

    /// Whether every chunk is in the spool.
    pub fn is_dumped(&self) -> bool {
        self.head.planned && self.tally.dumped_chunks as usize == self.chunks.len()
    }

    /// Whether every chunk is at the target.
    pub fn is_restored(&self) -> bool {
        self.head.planned && self.tally.restored_chunks as usize == self.chunks.len()
    }
}

impl Job {
    pub fn new(head: Head) -> Self {
        Self { head, units: Vec::new(), places: HashMap::new() }
    }

    pub fn unit(&self, id: UnitId) -> Option<&Unit> {
        self.places.get(&id).map(|&place| &self.units[place])
    }

    pub fn unit_mut(&mut self, id: UnitId) -> Option<&mut Unit> {
        self.places.get(&id).map(|&place| &mut self.units[place])
    }

    /// Whether every stage of every unit was done, or can not be done any more.
    pub fn went_its_way(&self) -> bool {
        let mode = self.head.spec.mode;
        let verified = |unit: &Unit| unit.head.verdict.is_some() || !self.verifies(unit.head.view);
        let went = |unit: &Unit| unit.head.given_up || (unit.is_complete(mode) && verified(unit));
        (self.head.finished || !mode.has_finish()) && self.units.iter().all(went)
    }

    /// Whether such a unit is compared in the end.
    pub fn verifies(&self, view: bool) -> bool {
        self.head.surveyed.is_some_and(|scan| stages::verifies(&self.head.spec, scan)) && !view
    }

    pub fn add(&mut self, unit: Unit) {
        self.places.insert(unit.head.id, self.units.len());
        self.units.push(unit);
    }
}

impl Jobs {
    /// Whether this is the session of a job.
    pub fn owns(&self, session: &SessionName) -> bool {
        JobName::of_session(session).is_some_and(|job| self.jobs.contains_key(&job))
    }

    pub(crate) fn known(&self, name: &JobName) -> Result<&Job, Rejection> {
        self.jobs.get(name).ok_or_else(|| Rejection::JobUnknown(name.clone()))
    }
}
