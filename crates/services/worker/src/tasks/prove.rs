//! `verify` of a dump that is kept: reads every part of a unit, and proves it against its facts.

use super::{Done, Task, done};
use crate::halt::{Halt, told};
use crate::kept::facts;
use crate::places::Opened;
use capstan_coordination::Progress;
use capstan_migration::{DumpedChunk, Figures, SetAside, SpoolPart, Verify, VerifyResult};
use capstan_spool::SpoolFault;

/// Parts that are named to people.
const EXAMPLES_MAX: usize = 100;

pub(super) async fn prove(task: &Task<'_>) -> Result<Done, Halt> {
    let opened = task.places.spool(task.spec()).await?;
    let mut proof = Proof { task, opened, seen: Progress::default(), result: VerifyResult::default() };
    proof.result.verdict.mode = Verify::Hash;
    let mut pages = task.pages();
    while let Some(page) = pages.next().await? {
        let unit = page.unit.as_ref().ok_or_else(|| Halt::permanent("the item's brief names no unit"))?;
        for chunk in &unit.dumped {
            proof.chunk(chunk).await?;
        }
    }
    let Proof { seen, mut result, .. } = proof;
    result.verdict.compared = Figures { documents: seen.documents, bytes: seen.bytes };
    Ok(done(&result))
}

struct Proof<'a> {
    task: &'a Task<'a>,
    opened: Opened,
    seen: Progress,
    result: VerifyResult,
}

impl Proof<'_> {
    async fn chunk(&mut self, chunk: &DumpedChunk) -> Result<(), Halt> {
        self.opened.check_marker(chunk.marker.as_deref().filter(|_| !chunk.parts.is_empty()))?;
        self.result.verdict.ranges += 1;
        for part in &chunk.parts {
            self.part(part).await?;
            if self.task.desk.is_stopping() {
                return Err(Halt::Stopped);
            }
        }
        Ok(())
    }

    /// What a part holds that is not whole is missing from the dump.
    async fn part(&mut self, part: &SpoolPart) -> Result<(), Halt> {
        if let Err(error) = self.opened.spool.prove(&facts(part)?).await {
            if error.fault() != SpoolFault::DumpAgain {
                return Err(Halt::of_spool(&self.opened.url, &error));
            }
            self.result.verdict.missing += part.documents;
            if self.result.examples.len() < EXAMPLES_MAX {
                self.result.examples.push(SetAside { what: part.name.clone(), reason: told(&error).into() });
            }
        }
        self.seen.documents += part.documents;
        self.seen.bytes += part.bytes;
        self.task.desk.advance(self.seen);
        Ok(())
    }
}
