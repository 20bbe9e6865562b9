//! `index` and `finish`: make a unit, then the whole target, complete.

use super::dead_letters;
use super::{Done, Task, done, set_aside, target_unit};
use crate::halt::Halt;
use capstan_endpoint::{ChunkFacts, PartFacts, Unit};
use capstan_migration::{IndexResult, LandedChunk};

pub(super) async fn index(task: &Task<'_>) -> Result<Done, Halt> {
    let unit = target_unit(task.unit()?)?;
    let mut chunks: Vec<ChunkFacts> = Vec::new();
    let mut pages = task.pages();
    while let Some(page) = pages.next().await? {
        chunks.extend(page.chunks.iter().map(chunk_facts));
    }
    let sink = task.sink().await?;
    task.desk.may_write()?;
    let refused = sink.finish_unit(&unit, &task.plan(), &chunks).await?;
    let mut aside = set_aside(refused);
    aside.extend(dead_letters::listed(task).await?);
    Ok(done(&IndexResult { set_aside: aside }))
}

pub(super) async fn finish(task: &Task<'_>) -> Result<Done, Halt> {
    let mut units: Vec<Unit> = Vec::new();
    let mut pages = task.pages();
    while let Some(page) = pages.next().await? {
        for unit in &page.units {
            units.push(target_unit(unit)?);
        }
    }
    let sink = task.sink().await?;
    task.desk.may_write()?;
    sink.finish_job(&units).await?;
    Ok(done(&IndexResult::default()))
}

fn chunk_facts(landed: &LandedChunk) -> ChunkFacts {
    let parts = landed.parts.iter().map(|part| PartFacts {
        name: part.name.to_string(),
        documents: part.documents,
        bytes: part.bytes,
        stored: part.stored,
        checksum: part.checksum.to_string(),
    });
    ChunkFacts {
        chunk: landed.chunk,
        generation: landed.generation,
        documents: landed.documents,
        bytes: landed.bytes,
        parts: parts.collect(),
    }
}
