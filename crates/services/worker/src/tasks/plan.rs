//! `plan`: cuts a unit into chunks, then makes its target ready.

use super::{Done, Task, done, set_aside, source_unit, target_unit};
use crate::clock::Since;
use crate::halt::Halt;
use capstan_coordination::News;
use capstan_endpoint::{SplitTarget, UnitKind};
use capstan_migration::{PlanResult, PlannedRange};
use serde_json::value::to_raw_value;
use std::time::Duration;

/// What preparing a target may take at most. It may drop what is there, so it must have ended before anybody else can
/// hold this item.
const PREPARE_MAX: Duration = Duration::from_secs(20);

pub(super) async fn plan(task: &Task<'_>) -> Result<Done, Halt> {
    let brief = task.unit()?;
    let (read, written) = (source_unit(brief)?, target_unit(brief)?);
    let chunks = task.spec().chunks;
    let target = SplitTarget { documents: chunks.documents, bytes: chunks.bytes, chunks_max: chunks.max };
    let planned = match read.kind {
        UnitKind::View => Vec::new(),
        UnitKind::Collection | UnitKind::TimeSeries => task.source().await?.split(&read, &target).await?,
    };
    let sink = task.sink().await?;
    renew(task).await?;
    let left = task.desk.deadline().left().min(PREPARE_MAX);
    let refused = match tokio::time::timeout(left, sink.prepare(&written, &task.plan())).await {
        Ok(refused) => refused?,
        Err(_) => {
            return Err(Halt::transient(format!("preparing {} took longer than its lease lasts", written.namespace)));
        }
    };
    let chunks = planned.into_iter().map(|chunk| PlannedRange {
        range: to_raw_value(&chunk.range).expect("a range is JSON"),
        documents: chunk.documents,
        bytes: chunk.bytes,
    });
    Ok(done(&PlanResult { chunks: chunks.collect(), set_aside: set_aside(refused) }))
}

/// A lease of full length before what must not outlive it.
async fn renew(task: &Task<'_>) -> Result<(), Halt> {
    let asked = Since::now();
    match task.coordination.renew(&task.desk.leased.holding, &News::default()).await {
        Ok(length) => {
            task.desk.renewed(asked, length);
            Ok(())
        }
        // The keeper of the lease is told the same; what is left of it is used as it is.
        Err(_) => task.desk.may_write(),
    }
}
