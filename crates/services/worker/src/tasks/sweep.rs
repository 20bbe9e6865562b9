//! `sweep` and `abandon`: leave nothing behind.

use super::{Done, Task, done};
use crate::halt::Halt;
use capstan_migration::{IndexResult, Mode};

/// Removes what is left of the job in the spool: what workers that died had written.
pub(super) async fn sweep(task: &Task<'_>) -> Result<Done, Halt> {
    empty_the_spool(task).await?;
    task.places.forget(task.session());
    Ok(done(&IndexResult::default()))
}

/// Removes what a cancelled job has left: in the spool, and, where that was asked for, at the target.
pub(super) async fn abandon(task: &Task<'_>) -> Result<Done, Halt> {
    if task.spec().mode == Mode::DumpAndRestore {
        empty_the_spool(task).await?;
    }
    if task.brief.drop_partial {
        let sink = task.sink().await?;
        task.desk.may_write()?;
        sink.abandon().await?;
    }
    task.places.forget(task.session());
    Ok(done(&IndexResult::default()))
}

async fn empty_the_spool(task: &Task<'_>) -> Result<(), Halt> {
    let opened = task.places.spool(task.spec()).await?;
    let swept = opened.spool.remove_job(task.session()).await.map_err(|error| Halt::of_spool(&opened.url, &error))?;
    if swept.parts > 0 {
        tracing::info!(parts = swept.parts, bytes = swept.stored_bytes, "parts that nobody needed were swept");
    }
    Ok(())
}
