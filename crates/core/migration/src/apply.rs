//! Makes events so. Cannot fail: an event about something unknown changes nothing.

use crate::command::Stamp;
use crate::event::JobEvent;
use crate::facts::{Dumped, Figures};
use crate::name::UnitId;
use crate::phase::Phase;
use crate::spec::Spec;
use crate::state::{Cancelled, Chunk, Ended, Head, Job, Jobs, Round, Unit, UnitHead};

impl Jobs {
    /// Makes an event so; each in its order, once.
    pub fn apply(&mut self, stamp: Stamp, event: &JobEvent) {
        match event {
            JobEvent::JobSubmitted { job, spec } => {
                let head = Head {
                    name: job.clone(),
                    spec: Spec::clone(spec),
                    submitted: stamp.wall,
                    surveyed: None,
                    set_aside: Vec::new(),
                    refused: Vec::new(),
                    finished: false,
                    cancelled: None,
                    ended: None,
                    phase: Phase::Moving,
                    rounds: Vec::new(),
                    extra: 0,
                    rates: None,
                    priorities: Vec::new(),
                    sized: Vec::new(),
                };
                self.jobs.insert(job.clone(), Job::new(head));
            }
            JobEvent::JobForgotten { job } => {
                self.jobs.remove(job);
            }
            _ => {
                if let Some(job) = self.jobs.get_mut(event.job()) {
                    job.apply(stamp, event);
                }
            }
        }
    }
}

impl Job {
    fn apply(&mut self, stamp: Stamp, event: &JobEvent) {
        match event {
            JobEvent::JobSubmitted { .. } | JobEvent::JobForgotten { .. } => {}
            JobEvent::UnitFound { source, target, definition, view, documents, bytes, round, .. } => {
                self.add(Unit::new(UnitHead {
                    id: UnitId::of(source),
                    source: source.clone(),
                    target: target.clone(),
                    definition: definition.clone(),
                    view: *view,
                    documents: *documents,
                    bytes: *bytes,
                    planned: false,
                    finished: false,
                    set_aside: Vec::new(),
                    verdict: None,
                    examples: Vec::new(),
                    round: *round,
                    given_up: false,
                }));
            }
            JobEvent::SourceSurveyed { scan, set_aside, round, extra, .. } => {
                self.head.surveyed.get_or_insert(*scan);
                self.head.set_aside.extend_from_slice(set_aside);
                self.head.extra = self.head.extra.saturating_add(*extra);
                self.end_round(*round);
            }
            JobEvent::JobRefused { reasons, round, .. } => {
                self.head.refused.extend_from_slice(reasons);
                self.end_round(*round);
            }
            JobEvent::UnitsAdded { collections, .. } => {
                self.head.rounds.push(Round { only: collections.clone(), done: false });
            }
            JobEvent::PhaseBegun { phase, given_up, .. } => {
                self.head.phase = *phase;
                for unit in given_up {
                    if let Some(unit) = self.unit_mut(*unit) {
                        unit.head.given_up = true;
                    }
                }
            }
            JobEvent::RatesSet { rates, .. } => self.head.rates = Some(*rates),
            JobEvent::PrioritySet { priority, .. } => {
                self.head.priorities.retain(|other| other.collection != priority.collection);
                self.head.priorities.push(priority.clone());
            }
            JobEvent::PoolSized { kind, .. } => {
                if !self.head.sized.contains(kind) {
                    self.head.sized.push(kind.clone());
                }
            }
            JobEvent::TargetFinished { .. } => self.head.finished = true,
            JobEvent::JobCancelled { drop_partial, reason, .. } => {
                self.head.cancelled = Some(Cancelled { drop_partial: *drop_partial, reason: reason.clone() });
            }
            JobEvent::JobEnded { end, .. } => self.head.ended = Some(Ended { end: *end, at: stamp.wall }),
            JobEvent::JobReopened { .. } => self.head.ended = None,
            JobEvent::ChunksPlanned { unit, .. }
            | JobEvent::UnitPlanned { unit, .. }
            | JobEvent::ChunkDumped { unit, .. }
            | JobEvent::ChunkRestored { unit, .. }
            | JobEvent::PartsMissed { unit, .. }
            | JobEvent::UnitFinished { unit, .. }
            | JobEvent::UnitVerified { unit, .. } => {
                if let Some(unit) = self.unit_mut(*unit) {
                    unit.apply(event);
                }
            }
        }
    }
}

impl Job {
    fn end_round(&mut self, round: u32) {
        let later = (round as usize).checked_sub(1);
        if let Some(round) = later.and_then(|place| self.head.rounds.get_mut(place)) {
            round.done = true;
        }
    }
}

impl Unit {
    fn apply(&mut self, event: &JobEvent) {
        match event {
            JobEvent::ChunksPlanned { chunks, .. } => {
                for cut in chunks {
                    let chunk = Chunk::new(cut.clone());
                    self.tally.add(&chunk);
                    self.chunks.push(chunk);
                }
            }
            JobEvent::UnitPlanned { set_aside, .. } => {
                self.head.planned = true;
                self.head.set_aside.extend_from_slice(set_aside);
            }
            JobEvent::ChunkDumped { chunk, dumped, .. } => {
                self.change(*chunk, |chunk| chunk.dumped = Some(dumped.clone()));
            }
            JobEvent::ChunkRestored { chunk, landed, .. } => self.change(*chunk, |chunk| {
                let read = Figures {
                    documents: landed.figures.documents.wrapping_add(landed.dead_letters),
                    bytes: landed.figures.bytes,
                };
                // Copied without a spool, what was read is what has arrived or was refused.
                let figures = chunk.dumped.as_ref().map_or(read, |dumped| dumped.figures);
                chunk.dumped = Some(Dumped { figures, ..Dumped::default() });
                chunk.landed = Some(landed.clone());
            }),
            JobEvent::PartsMissed { chunk, generation, reason, .. } => self.change(*chunk, |chunk| {
                chunk.generation = *generation;
                chunk.dumped = None;
                chunk.missed = Some(reason.clone());
            }),
            JobEvent::UnitFinished { set_aside, .. } => {
                self.head.finished = true;
                self.head.set_aside.extend_from_slice(set_aside);
            }
            JobEvent::UnitVerified { verdict, examples, .. } => {
                self.head.verdict = Some(*verdict);
                self.head.examples.clone_from(examples);
            }
            _ => {}
        }
    }
}
