//! `copy`: reads a chunk and writes it at once, without a spool. Both go on at the same time.

use super::ahead::ReadAhead;
use super::landing::Landing;
use super::{Done, Task, done, source_unit};
use crate::halt::Halt;
use crate::kept::lies_in;
use capstan_endpoint::{Cursor, Range};
use capstan_migration::{CopyPayload, Mode};

pub(super) async fn copy(task: &Task<'_>) -> Result<Done, Halt> {
    let payload: CopyPayload = task.payload()?;
    let unit = source_unit(task.unit()?)?;
    let range: Range = serde_json::from_str(payload.range.get())
        .map_err(|error| Halt::permanent(format!("the range of this chunk is of another version: {error}")))?;
    if task.spec().mode == Mode::RestoreOnly {
        let opened = task.places.spool(task.spec()).await?;
        lies_in(&range, &opened.spool.marker().to_string()).or_else(|marker| opened.check_marker(Some(&marker)))?;
    }
    let source = task.source().await?;
    let (mut landing, from) = Landing::open::<Cursor>(task, payload.chunk, 0).await?;
    let mut batches = ReadAhead::start(source.read(&unit, &range, from.as_ref()).await?);
    while let Some(batch) = batches.next().await? {
        let cursor = batch.cursor.clone();
        landing.write(batch).await?;
        landing.pause(|| cursor).await?;
    }
    Ok(done(&landing.seal().await?))
}
