//! `index` and `finish`: make a unit, then the whole target, complete.

use super::{Done, Task, brief, done, set_aside, target_unit};
use crate::halt::Halt;
use capstan_endpoint::{ChunkFacts, PartFacts, Unit};
use capstan_migration::{BriefText, IndexResult, LandedChunk};

pub(super) async fn index(task: &Task<'_>) -> Result<Done, Halt> {
    let unit = target_unit(task.unit()?)?;
    let mut chunks: Vec<ChunkFacts> = Vec::new();
    each_page(task, |page| {
        chunks.extend(page.chunks.iter().map(chunk_facts));
        Ok(())
    })
    .await?;
    let sink = task.sink().await?;
    task.desk.may_write()?;
    let refused = sink.finish_unit(&unit, &task.plan(), &chunks).await?;
    Ok(done(&IndexResult { set_aside: set_aside(refused) }))
}

pub(super) async fn finish(task: &Task<'_>) -> Result<Done, Halt> {
    let mut units: Vec<Unit> = Vec::new();
    each_page(task, |page| {
        for unit in &page.units {
            units.push(target_unit(unit)?);
        }
        Ok(())
    })
    .await?;
    let sink = task.sink().await?;
    task.desk.may_write()?;
    sink.finish_job(&units).await?;
    Ok(done(&IndexResult::default()))
}

/// Sees every page of the brief, the first among them.
async fn each_page(task: &Task<'_>, mut see: impl FnMut(&BriefText) -> Result<(), Halt>) -> Result<(), Halt> {
    see(task.brief)?;
    let mut next = task.next;
    while let Some(from) = next {
        let page = brief(task.desk, task.coordination, from).await?;
        see(&page.0)?;
        next = page.1;
    }
    Ok(())
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
