//! `finish` of a dump that is kept: writes its catalogue, and removes what does not belong to it.

use super::{Done, Task, done};
use crate::halt::Halt;
use crate::kept::{CatalogueWriter, ChunkEntry, facts};
use capstan_migration::{DumpedChunk, IndexResult, UnitId};
use capstan_spool::Keep;

pub(super) async fn keep(task: &Task<'_>) -> Result<Done, Halt> {
    let opened = task.places.spool(task.spec()).await?;
    let holding = &task.desk.leased.holding;
    let from = &task.spec().from;
    let mut catalogue = CatalogueWriter::begin(opened.clone(), &holding.session, holding.token, from).await?;
    let mut unit: Option<UnitId> = None;
    let mut pages = task.pages();
    while let Some(page) = pages.next().await? {
        for entry in &page.units {
            // A unit of many chunks comes in several entries, one after the other.
            if unit.replace(entry.id) != Some(entry.id) {
                catalogue.unit(entry.definition.get()).await?;
            }
            for chunk in &entry.dumped {
                opened.check_marker(chunk.marker.as_deref().filter(|_| !chunk.parts.is_empty()))?;
                catalogue.chunk(chunk_entry(chunk)?).await?;
            }
        }
    }
    task.desk.may_write()?;
    let parts = catalogue.publish().await?;
    task.desk.may_write()?;
    // What workers that died had written, and what an earlier run of the job had kept under this name.
    let keep = Keep { parts, ..Keep::default() };
    let swept = opened.spool.sweep(&holding.session, &keep).await;
    let swept = swept.map_err(|error| Halt::of_spool(&opened.url, &error))?;
    if swept.parts > 0 {
        tracing::info!(parts = swept.parts, bytes = swept.stored_bytes, "parts that are not of this dump were swept");
    }
    Ok(done(&IndexResult::default()))
}

fn chunk_entry(chunk: &DumpedChunk) -> Result<ChunkEntry, Halt> {
    let figure = |figure: u64| i64::try_from(figure).map_err(|_| Halt::permanent("a chunk is larger than any can be"));
    let parts = chunk.parts.iter().map(facts).collect::<Result<_, _>>()?;
    Ok(ChunkEntry { documents: figure(chunk.documents)?, bytes: figure(chunk.bytes)?, parts })
}
