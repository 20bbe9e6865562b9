//! `plan`: cuts a unit into chunks, then makes its target ready, where the job writes to one.

use super::{Done, Task, done, set_aside, source_unit, target_unit};
use crate::clock::Since;
use crate::halt::Halt;
use capstan_coordination::News;
use capstan_endpoint::{SetAside, Unit, UnitKind, WritePlan};
use capstan_migration::{Mode, PlanResult, PlannedRange};
use serde_json::value::to_raw_value;
use std::time::{Duration, Instant};

/// How long after the lease was renewed a target may still drop what is there: that must have ended before anybody else
/// can hold this item.
const DROP_MAX: Duration = Duration::from_secs(20);

pub(super) async fn plan(task: &Task<'_>) -> Result<Done, Halt> {
    let brief = task.unit()?;
    let read = source_unit(brief)?;
    let (planned, mut aside) = match read.kind {
        UnitKind::View => (Vec::new(), Vec::new()),
        UnitKind::Collection | UnitKind::TimeSeries => {
            let source = task.source().await?;
            (source.split(&read, &task.split_target()).await?, source.fallbacks(&read))
        }
    };
    aside.extend(match task.spec().mode {
        // Nothing is written, at no target.
        Mode::Simulate | Mode::DumpOnly | Mode::Verify => Vec::new(),
        Mode::DumpAndRestore | Mode::Direct | Mode::RestoreOnly => prepare(task, &target_unit(brief)?).await?,
    });
    let chunks = planned.into_iter().map(|chunk| PlannedRange {
        range: to_raw_value(&chunk.range).expect("a range is JSON"),
        documents: chunk.documents,
        bytes: chunk.bytes,
    });
    Ok(done(&PlanResult { chunks: chunks.collect(), set_aside: set_aside(aside) }))
}

/// Makes the target of a unit ready: what it refused of the definition.
async fn prepare(task: &Task<'_>, written: &Unit) -> Result<Vec<SetAside>, Halt> {
    let sink = task.sink().await?;
    renew(task).await?;
    let left = task.desk.deadline().left().min(DROP_MAX);
    // Indexes may take hours, and are built while the lease is kept.
    let plan = WritePlan { deadline: Instant::now().checked_add(left), ..task.plan() };
    Ok(sink.prepare(written, &plan).await?)
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
