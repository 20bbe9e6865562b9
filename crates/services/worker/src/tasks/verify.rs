//! `verify`: compares both sides of a unit.

use super::{Done, Task, done, source_unit, target_unit};
use crate::desk::Desk;
use crate::halt::Halt;
use capstan_coordination::Progress;
use capstan_endpoint::compare::{CompareOptions, Comparison, Difference, Side, compare};
use capstan_endpoint::{Source, SplitTarget, Unit};
use capstan_migration::{SetAside, Verdict, Verify, VerifyResult};
use std::sync::{Arc, Mutex, PoisonError};

pub(super) async fn verify(task: &Task<'_>) -> Result<Done, Halt> {
    let brief = task.unit()?;
    let (read, written) = (source_unit(brief)?, target_unit(brief)?);
    let expected = Side { source: task.source().await?, unit: read };
    let scan = task.sink().await?.scan().await?;
    let unit = scanned(scan.as_ref(), written).await?;
    let found = Side { source: scan, unit };
    let chunks = task.spec().chunks;
    let split = SplitTarget { documents: chunks.documents, bytes: chunks.bytes, chunks_max: chunks.max };
    let ranges = expected.source.split(&expected.unit, &split).await?.len().max(1) as u64;
    let result = match task.spec().verify {
        Verify::Hash => by_hash(task.desk, &expected, &found, split, ranges).await?,
        Verify::Counts => by_counts(task.desk, &expected, &found, &split, ranges).await?,
        Verify::None => VerifyResult::default(),
    };
    Ok(done(&result))
}

/// The unit as the target lists it; as it was written, where it has no documents and so is not listed.
async fn scanned(target: &dyn Source, written: Unit) -> Result<Unit, Halt> {
    let listed = target.units().await?.units.into_iter().find(|unit| unit.namespace == written.namespace);
    Ok(listed.unwrap_or(written))
}

async fn by_hash(
    desk: &Desk,
    expected: &Side,
    found: &Side,
    split: SplitTarget,
    ranges: u64,
) -> Result<VerifyResult, Halt> {
    let options = CompareOptions { split, ..CompareOptions::default() };
    let progress = Arc::new(Mutex::new(Progress::default()));
    let seen = Arc::clone(&progress);
    let on_progress: capstan_endpoint::compare::OnProgress = Arc::new(move |read| {
        *seen.lock().unwrap_or_else(PoisonError::into_inner) =
            Progress { documents: read.documents, bytes: read.bytes };
    });
    let comparing = compare(expected, found, &options, on_progress);
    tokio::pin!(comparing);
    let comparison = loop {
        tokio::select! {
            done = &mut comparing => break done?,
            () = tokio::time::sleep(std::time::Duration::from_millis(200)) => {
                let read = *progress.lock().unwrap_or_else(PoisonError::into_inner);
                // Both sides are read: half of it is how far the unit is.
                desk.advance(Progress { documents: read.documents / 2, bytes: read.bytes / 2 });
            }
        }
        if desk.is_stopping() {
            return Err(Halt::Stopped);
        }
    };
    let Comparison { missing, extra, different, counts_are_exact, differences, .. } = comparison;
    if !counts_are_exact && missing + extra + different == 0 {
        return Err(Halt::transient("a side was changed while both were read, so nothing is proved"));
    }
    let verdict = Verdict { mode: Verify::Hash, ranges, missing, extra, different, repaired: 0 };
    Ok(VerifyResult { verdict, examples: differences.iter().map(example).collect() })
}

fn example(difference: &Difference) -> SetAside {
    let what = difference.id.as_ref().or(difference.document.as_ref()).map_or("", String::as_str);
    let reason = match difference.kind {
        capstan_endpoint::compare::DifferenceKind::Missing => "missing at the target",
        capstan_endpoint::compare::DifferenceKind::Extra => "only at the target",
        capstan_endpoint::compare::DifferenceKind::Different => "different at the target",
    };
    SetAside { what: what.into(), reason: reason.into() }
}

async fn by_counts(
    desk: &Desk,
    expected: &Side,
    found: &Side,
    split: &SplitTarget,
    ranges: u64,
) -> Result<VerifyResult, Halt> {
    let (left, right) = (count(desk, expected, split).await?, count(desk, found, split).await?);
    let (missing, extra) = (left.saturating_sub(right), right.saturating_sub(left));
    let verdict = Verdict { mode: Verify::Counts, ranges, missing, extra, different: 0, repaired: 0 };
    Ok(VerifyResult { verdict, examples: Vec::new() })
}

async fn count(desk: &Desk, side: &Side, split: &SplitTarget) -> Result<u64, Halt> {
    let mut counted = Progress::default();
    for chunk in side.source.split(&side.unit, split).await? {
        let mut reader = side.source.read(&side.unit, &chunk.range, None).await?;
        while let Some(batch) = reader.next().await? {
            counted.documents += u64::from(batch.documents);
            counted.bytes += batch.bytes.len() as u64;
            desk.advance(counted);
            if desk.is_stopping() {
                return Err(Halt::Stopped);
            }
        }
    }
    Ok(counted.documents)
}
