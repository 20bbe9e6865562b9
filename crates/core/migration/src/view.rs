//! Jobs as people look at them: everything is derived at the look.

use crate::facts::{Figures, SetAside, SpoolPart, Verdict};
use crate::item::Stage;
use crate::name::{JobName, Namespace, UnitId};
use crate::phase::Phase;
use crate::spec::{Mode, Priority, Rates, Spec};
use crate::state::{Chunk, End, Job, Jobs, Unit};
use capstan_ids::WallTime;

/// A job as it stands. Whether it is paused, and what runs, the session of its name knows.
#[derive(Clone, Debug, PartialEq)]
pub struct JobView {
    /// Its name.
    pub name: JobName,
    /// What it is to do.
    pub spec: Spec,
    /// When it was submitted.
    pub submitted: WallTime,
    /// How it ended and when, if it has.
    pub ended: Option<(End, WallTime)>,
    /// Why somebody cancelled it.
    pub cancelled: Option<Box<str>>,
    /// Why it could not be done.
    pub refused: Vec<SetAside>,
    /// Units found.
    pub units: u64,
    /// Units of which all chunks are known.
    pub units_planned: u64,
    /// Units that are complete: at the target, in the spool, or as far as the mode brings them.
    pub units_finished: u64,
    /// Units of which both sides were compared.
    pub units_verified: u64,
    /// Chunks known so far.
    pub chunks: u64,
    /// Of them, those that lie in the spool or are further.
    pub chunks_dumped: u64,
    /// Of them, those that are at the target.
    pub chunks_restored: u64,
    /// How much there is: found where it was dumped, else guessed.
    pub size: Figures,
    /// How much was read.
    pub dumped: Figures,
    /// How much has arrived.
    pub restored: Figures,
    /// Documents that the target refused for good.
    pub dead_letters: u64,
    /// 0 to 100; 100 when, and only when, everything is restored, or as far as the mode brings it.
    pub percent: f64,
    /// How far the whole is.
    pub phase: Phase,
    /// How fast it may go now.
    pub rates: Rates,
    /// Priorities given since it was submitted; the last that matches a collection holds.
    pub priorities: Vec<Priority>,
}

/// A unit as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitView {
    /// Its id.
    pub id: UnitId,
    /// Where it is read from.
    pub source: Namespace,
    /// Where it goes.
    pub target: Namespace,
    /// It has no documents of its own.
    pub view: bool,
    /// All its chunks are known.
    pub planned: bool,
    /// Complete: at the target, in the spool, or as far as the mode brings it.
    pub finished: bool,
    /// It failed before the whole was made complete, and can not be taken in any more.
    pub given_up: bool,
    /// Chunks known so far.
    pub chunks: u64,
    /// Of them, those that lie in the spool or are further.
    pub chunks_dumped: u64,
    /// Of them, those that are at the target.
    pub chunks_restored: u64,
    /// How much there is: found where it was dumped, else guessed.
    pub size: Figures,
    /// How much was read.
    pub dumped: Figures,
    /// How much has arrived.
    pub restored: Figures,
    /// Documents that the target refused for good.
    pub dead_letters: u64,
    /// 0 to 100; 100 when, and only when, everything of it is restored.
    pub percent: f64,
    /// What both sides were found to be.
    pub verdict: Option<Verdict>,
    /// Some of what is not the same.
    pub examples: Vec<SetAside>,
    /// What the target refused of its definition.
    pub set_aside: Vec<SetAside>,
}

/// A chunk as it stands. Whether it runs or has failed, its items know.
#[derive(Clone, Debug, PartialEq)]
pub struct ChunkView {
    /// Its index in the unit.
    pub index: u32,
    /// How far it is.
    pub state: ChunkState,
    /// Its range, as the source says it.
    pub range: Box<str>,
    /// How much it is: found where it was dumped, else guessed.
    pub size: Figures,
    /// How often it has been dumped anew.
    pub generation: u32,
    /// Why it was dumped anew, the last time.
    pub missed: Option<Box<str>>,
    /// Documents of it that the target refused for good.
    pub dead_letters: u64,
    /// Its parts in the spool that are still needed.
    pub parts: Vec<SpoolPart>,
}

/// How far a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkState {
    /// Not read yet.
    Planned,
    /// In the spool.
    Dumped,
    /// At the target.
    Restored,
}

/// What a job has moved so far: what its mode is there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// At the target; in the spool where the job only dumps.
    pub figures: Figures,
    /// Documents that the target refused for good.
    pub dead_letters: u64,
}

impl Jobs {
    /// One job.
    pub fn job(&self, name: &JobName) -> Option<JobView> {
        self.jobs.get(name).map(Job::view)
    }

    /// Whether there is such a job.
    pub fn job_is_known(&self, name: &JobName) -> bool {
        self.jobs.contains_key(name)
    }

    /// What a job was asked to do.
    pub fn spec(&self, name: &JobName) -> Option<&Spec> {
        self.jobs.get(name).map(|job| &job.head.spec)
    }

    /// Every job by name, and how it ended, if it has.
    pub fn ends(&self) -> impl Iterator<Item = (&JobName, Option<End>)> {
        self.jobs.iter().map(|(name, job)| (name, job.head.ended.map(|ended| ended.end)))
    }

    /// How a job ended; none where there is no such job, and none inside where it goes on.
    pub fn end(&self, name: &JobName) -> Option<Option<End>> {
        self.jobs.get(name).map(|job| job.head.ended.map(|ended| ended.end))
    }

    /// What a job has moved so far. Takes time in proportion to its units.
    pub fn moved(&self, name: &JobName) -> Option<Moved> {
        let job = self.jobs.get(name)?;
        let mut moved = Moved::default();
        for unit in &job.units {
            moved.figures += if job.head.spec.mode == Mode::DumpOnly { unit.tally.dumped } else { unit.tally.landed };
            moved.dead_letters = moved.dead_letters.wrapping_add(unit.tally.dead_letters);
        }
        Some(moved)
    }

    /// How much a chunk is: found where it was dumped, else guessed.
    pub fn chunk_size(&self, job: &JobName, unit: UnitId, chunk: u32) -> Option<Figures> {
        self.jobs.get(job)?.unit(unit)?.chunks.get(chunk as usize).map(Chunk::size)
    }

    /// What a unit is called at the source.
    pub fn source_of(&self, job: &JobName, unit: UnitId) -> Option<&Namespace> {
        self.jobs.get(job)?.unit(unit).map(|unit| &unit.head.source)
    }

    /// What is to be done with a chunk next; none where it has arrived, or is not known.
    pub fn open_stage(&self, job: &JobName, unit: UnitId, chunk: u32) -> Option<Stage> {
        let job = self.jobs.get(job)?;
        job.unit(unit)?.open_stage(job.head.spec.mode, chunk)
    }

    /// All jobs, by name.
    pub fn jobs(&self) -> impl Iterator<Item = JobView> {
        self.jobs.values().map(Job::view)
    }

    /// The units of a job in the source's order.
    pub fn units(&self, job: &JobName) -> Option<impl Iterator<Item = UnitView>> {
        self.jobs.get(job).map(|job| job.units.iter().map(|unit| unit.view(job.head.spec.mode)))
    }

    /// The chunks of a unit in their order.
    pub fn chunks(&self, job: &JobName, unit: UnitId) -> Option<impl Iterator<Item = ChunkView>> {
        let unit = self.jobs.get(job)?.unit(unit)?;
        Some((0..).zip(&unit.chunks).map(|(index, chunk)| chunk.view(index)))
    }

    /// The parts in the spool that restores still need; every other one may go.
    pub fn parts_in_use(&self, job: &JobName) -> Option<impl Iterator<Item = &SpoolPart>> {
        let chunks = self.jobs.get(job)?.units.iter().flat_map(|unit| &unit.chunks);
        Some(
            chunks
                .filter(|chunk| chunk.landed.is_none())
                .filter_map(|chunk| chunk.dumped.as_ref())
                .flat_map(|dumped| &dumped.parts),
        )
    }
}

/// What is done of how much, as a mode counts it.
#[derive(Clone, Copy, Default)]
struct Way {
    bytes: (u64, u64),
    /// Chunks, or units where the mode moves none.
    pieces: (u64, u64),
}

impl Unit {
    fn way(&self, mode: Mode) -> Way {
        let (size, chunks) = (self.size().bytes, self.chunks.len() as u64);
        match mode {
            Mode::DumpAndRestore | Mode::Direct | Mode::RestoreOnly => {
                Way { bytes: (self.tally.done.bytes, size), pieces: (u64::from(self.tally.restored_chunks), chunks) }
            }
            Mode::DumpOnly => {
                Way { bytes: (self.tally.dumped.bytes, size), pieces: (u64::from(self.tally.dumped_chunks), chunks) }
            }
            Mode::Simulate | Mode::Verify => Way { bytes: (0, 0), pieces: (u64::from(self.is_through(mode)), 1) },
        }
    }
}

/// Bytes say it best; where there are none to count, pieces do. Never 100 before all is done.
fn percent(through: bool, way: Way) -> f64 {
    if through {
        return 100.0;
    }
    let (part, whole) = if way.bytes.1 > 0 { way.bytes } else { way.pieces };
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 100.0).clamp(0.0, 99.9) }
}

impl Job {
    pub(crate) fn view(&self) -> JobView {
        let mode = self.head.spec.mode;
        let (mut size, mut way) = (Figures::default(), Way::default());
        let (mut dumped, mut restored) = (Figures::default(), Figures::default());
        let (mut chunks, mut chunks_dumped, mut chunks_restored, mut dead_letters) = (0, 0, 0, 0);
        for unit in &self.units {
            size += unit.size();
            dumped += unit.tally.dumped;
            restored += unit.tally.landed;
            let part = unit.way(mode);
            way.bytes = (way.bytes.0.wrapping_add(part.bytes.0), way.bytes.1.wrapping_add(part.bytes.1));
            way.pieces = (way.pieces.0 + part.pieces.0, way.pieces.1 + part.pieces.1);
            chunks += unit.chunks.len() as u64;
            chunks_dumped += u64::from(unit.tally.dumped_chunks);
            chunks_restored += u64::from(unit.tally.restored_chunks);
            dead_letters += unit.tally.dead_letters;
        }
        let count = |which: fn(&Unit) -> bool| self.units.iter().filter(|unit| which(unit)).count() as u64;
        JobView {
            name: self.head.name.clone(),
            spec: self.head.spec.clone(),
            submitted: self.head.submitted,
            ended: self.head.ended.map(|ended| (ended.end, ended.at)),
            cancelled: self.head.cancelled.as_ref().map(|cancelled| cancelled.reason.clone()),
            refused: self.head.refused.clone(),
            units: self.units.len() as u64,
            units_planned: count(|unit| unit.head.planned),
            units_finished: self.units.iter().filter(|unit| unit.is_complete(mode)).count() as u64,
            units_verified: count(|unit| unit.head.verdict.is_some()),
            chunks,
            chunks_dumped,
            chunks_restored,
            size,
            dumped,
            restored,
            dead_letters,
            percent: percent(self.is_through(), way),
            phase: self.head.phase,
            rates: self.rates(),
            priorities: self.head.priorities.clone(),
        }
    }
}

impl Unit {
    /// As its chunks say once they are known; before that, as the source guessed.
    pub(crate) fn size(&self) -> Figures {
        if self.head.planned {
            return self.tally.size;
        }
        Figures { documents: self.head.documents.unwrap_or_default(), bytes: self.head.bytes.unwrap_or_default() }
    }

    pub(crate) fn view(&self, mode: Mode) -> UnitView {
        let (chunks, restored) = (self.chunks.len() as u64, u64::from(self.tally.restored_chunks));
        UnitView {
            id: self.head.id,
            source: self.head.source.clone(),
            target: self.head.target.clone(),
            view: self.head.view,
            planned: self.head.planned,
            finished: self.is_complete(mode),
            given_up: self.head.given_up,
            chunks,
            chunks_dumped: u64::from(self.tally.dumped_chunks),
            chunks_restored: restored,
            size: self.size(),
            dumped: self.tally.dumped,
            restored: self.tally.landed,
            dead_letters: self.tally.dead_letters,
            percent: percent(self.is_through(mode), self.way(mode)),
            verdict: self.head.verdict,
            examples: self.head.examples.clone(),
            set_aside: self.head.set_aside.clone(),
        }
    }
}

impl Chunk {
    fn view(&self, index: u32) -> ChunkView {
        let state = match (&self.dumped, &self.landed) {
            (_, Some(_)) => ChunkState::Restored,
            (Some(_), None) => ChunkState::Dumped,
            (None, None) => ChunkState::Planned,
        };
        ChunkView {
            index,
            state,
            range: self.cut.range.clone(),
            size: self.size(),
            generation: self.generation,
            missed: self.missed.clone(),
            dead_letters: self.landed.as_ref().map_or(0, |landed| landed.dead_letters),
            parts: self.dumped.as_ref().map(|dumped| dumped.parts.clone()).unwrap_or_default(),
        }
    }
}
