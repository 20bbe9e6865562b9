//! Makes events so. Cannot fail: an event about something unknown changes nothing.

use crate::command::Stamp;
use crate::event::JobEvent;
use crate::facts::{Dumped, Figures};
use crate::name::UnitId;
use crate::state::{Cancelled, Chunk, Ended, Head, Job, Jobs, Unit, UnitHead};

impl Jobs {
    /// Makes an event so; each in its order, once.
    pub fn apply(&mut self, stamp: Stamp, event: &JobEvent) {
        match event {
            JobEvent::JobSubmitted { job, spec } => {
                let head = Head {
                    name: job.clone(),
                    spec: spec.clone(),
                    submitted: stamp.wall,
                    surveyed: None,
                    set_aside: Vec::new(),
                    refused: Vec::new(),
                    finished: false,
                    cancelled: None,
                    ended: None,
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
            JobEvent::UnitFound { source, target, definition, view, documents, bytes, .. } => {
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
                }));
            }
            JobEvent::SourceSurveyed { scan, set_aside, .. } => {
                self.head.surveyed = Some(*scan);
                self.head.set_aside.extend_from_slice(set_aside);
            }
            JobEvent::JobRefused { reasons, .. } => self.head.refused.clone_from(reasons),
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
