//! `sweep` and `abandon`: leave nothing behind.

use super::{Done, Task, done};
use crate::halt::Halt;
use crate::kept::Catalogue;
use capstan_migration::{IndexResult, Mode};
use capstan_spool::Keep;

/// Removes what is left of the job in the spool: what workers that died had written.
pub(super) async fn sweep(task: &Task<'_>) -> Result<Done, Halt> {
    empty_the_spool(task).await?;
    task.places.forget(task.session());
    Ok(done(&IndexResult::default()))
}

/// Removes what a cancelled job has left: in the spool, and, where that was asked for, at the target.
pub(super) async fn abandon(task: &Task<'_>) -> Result<Done, Halt> {
    let drop_partial = task.brief.drop_partial;
    match task.spec().mode {
        Mode::DumpAndRestore => empty_the_spool(task).await?,
        Mode::DumpOnly if drop_partial => empty_the_spool(task).await?,
        Mode::DumpOnly => leave_the_kept_dump(task).await?,
        Mode::Direct | Mode::RestoreOnly | Mode::Simulate | Mode::Verify => {}
    }
    if matches!(task.spec().mode, Mode::DumpAndRestore | Mode::Direct | Mode::RestoreOnly) {
        if drop_partial {
            let sink = task.sink().await?;
            task.desk.may_write()?;
            sink.abandon().await?;
        } else if let Err(halt) = forget(task).await {
            // A target that is gone keeps nobody from ending a job.
            tracing::warn!(job = %task.session(), ?halt, "the target keeps the job's bookkeeping; it may be removed by hand");
        }
    }
    task.places.forget(task.session());
    Ok(done(&IndexResult::default()))
}

/// Takes the job's own bookkeeping from the target, and nothing that was written.
async fn forget(task: &Task<'_>) -> Result<(), Halt> {
    let sink = task.sink().await?;
    task.desk.may_write()?;
    Ok(sink.forget().await?)
}

/// Removes what was dumped but for a dump that is complete: it may be that of an earlier run under the same name, and
/// nobody else has it.
async fn leave_the_kept_dump(task: &Task<'_>) -> Result<(), Halt> {
    let opened = task.places.spool(task.spec()).await?;
    let parts = Catalogue::parts(&opened, task.session()).await?;
    if parts.is_empty() {
        return empty_the_spool(task).await;
    }
    let swept = opened.spool.sweep(task.session(), &Keep { parts, ..Keep::default() }).await;
    swept.map(drop).map_err(|error| Halt::of_spool(&opened.url, &error))
}

async fn empty_the_spool(task: &Task<'_>) -> Result<(), Halt> {
    let opened = task.places.spool(task.spec()).await?;
    let swept = opened.spool.remove_job(task.session()).await.map_err(|error| Halt::of_spool(&opened.url, &error))?;
    if swept.parts > 0 {
        tracing::info!(parts = swept.parts, bytes = swept.stored_bytes, "parts that nobody needed were swept");
    }
    Ok(())
}
