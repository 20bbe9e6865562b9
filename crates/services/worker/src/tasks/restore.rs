//! `restore`: writes a chunk from the spool to the target. Nothing is written that its part does not prove.

use super::landing::Landing;
use super::{Done, Task, done};
use crate::halt::{Halt, told};
use crate::kept::facts;
use crate::places::Opened;
use capstan_endpoint::{Batch, Cursor};
use capstan_migration::{RestorePayload, RestoreResult};
use capstan_spool::{PartFacts, SpoolError, SpoolFault};
use serde::{Deserialize, Serialize};

/// Where a restore reads on: so many blocks of that part are done.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Place {
    part: usize,
    blocks: u32,
}

pub(super) async fn restore(task: &Task<'_>) -> Result<Done, Halt> {
    let payload: RestorePayload = task.payload()?;
    let opened = task.places.spool(task.spec()).await?;
    opened.check_marker(payload.marker.as_deref())?;
    let facts: Vec<PartFacts> = payload.parts.iter().map(facts).collect::<Result<_, _>>()?;
    let (mut landing, place) = Landing::open::<Place>(task, payload.chunk, payload.generation).await?;
    let mut place = place.unwrap_or_default();
    while let Some(part) = facts.get(place.part) {
        if let Err(missed) = write_part(task, &opened, part, &mut landing, &mut place).await? {
            landing.discard().await?;
            let reason = told(&missed).into();
            tracing::warn!(part = %part.name, error = %missed, "a part is lost; its chunk is dumped again");
            return Ok(done(&RestoreResult::Missed { reason }));
        }
        place = Place { part: place.part + 1, blocks: 0 };
        landing.pause(|| place).await?;
    }
    if landing.seen() != payload.documents {
        let (found, expected) = (landing.seen(), payload.documents);
        return Err(Halt::start_over(format!("{found} documents were read where {expected} were dumped")));
    }
    let unneeded = facts.into_iter().map(|part| (opened.spool.clone(), part.name)).collect();
    Ok(Done { unneeded, ..done(&landing.seal().await?) })
}

/// Writes what is left of a part. The inner error says that it is not there, or not whole.
async fn write_part(
    task: &Task<'_>,
    opened: &Opened,
    part: &PartFacts,
    landing: &mut Landing<'_>,
    place: &mut Place,
) -> Result<Result<(), SpoolError>, Halt> {
    let failed = |error: SpoolError| match error.fault() {
        SpoolFault::DumpAgain => Ok(Err(error)),
        SpoolFault::NoRoom | SpoolFault::Retry | SpoolFault::Refused => Err(Halt::of_spool(&opened.url, &error)),
    };
    let mut reader = match opened.spool.open_part(part).await {
        Ok(reader) => reader,
        Err(error) => return failed(error),
    };
    let skipped = place.blocks;
    let mut read = 0;
    loop {
        let block = match reader.next().await {
            Ok(Some(block)) => block,
            Ok(None) => return Ok(Ok(())),
            Err(error) => return failed(error),
        };
        read += 1;
        if read <= skipped {
            continue;
        }
        // Whoever writes has no use for a cursor of the source.
        let cursor = Cursor(serde_json::Value::Null);
        landing.write(Batch { bytes: block.bytes, documents: block.documents, cursor }).await?;
        place.blocks = read;
        landing.pause(|| *place).await?;
        if task.desk.is_stopping() {
            return Err(Halt::Stopped);
        }
    }
}
