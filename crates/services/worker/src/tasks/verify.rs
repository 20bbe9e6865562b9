//! `verify`: compares both sides of a unit, and puts the target right where the job says so.

use super::mending::{Leased, Nothing};
use super::{Done, Task, done, source_unit, target_unit};
use crate::desk::Desk;
use crate::halt::Halt;
use crate::scans::Scan;
use capstan_coordination::Progress;
use capstan_endpoint::compare::{
    CompareOptions, CompareProgress, Comparison, Difference, DifferenceKind, MendOptions, Mending, OnProgress, Side,
    compare, mend,
};
use capstan_endpoint::element::id_of;
use capstan_endpoint::{Source, SplitTarget, Unit};
use capstan_migration::{Figures, Mode, SetAside, Verdict, Verify, VerifyResult};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often it is told how far a comparison is.
const TELL_EVERY: Duration = Duration::from_millis(200);

pub(super) async fn verify(task: &Task<'_>) -> Result<Done, Halt> {
    let brief = task.unit()?;
    let (read, written) = (source_unit(brief)?, target_unit(brief)?);
    let spec = task.spec();
    let expected = Side { source: task.places.expected(task.session(), spec).await?, unit: read };
    let ranges = expected.source.split(&expected.unit, &task.split_target()).await?.len().max(1) as u64;
    let mut older: Option<Arc<Scan>> = None;
    loop {
        let first = older.is_none();
        let scan = task.places.scan(task.session(), spec, &written.namespace, older.as_deref()).await?;
        if scan.unit(&written.namespace).is_none() && spec.repair && spec.mode == Mode::Verify && first {
            make(task, &written).await?;
            older = Some(scan);
            continue;
        }
        let found = found(&scan, &written);
        let result = match spec.verify {
            Verify::Hash => by_hash(task, &expected, &found, ranges).await,
            Verify::Counts => by_counts(task, &expected, &found, ranges).await,
            Verify::None => Ok(VerifyResult::default()),
        };
        let wrong = !matches!(&result, Ok(result) if result.verdict.faults() == 0);
        if wrong && first {
            // The listing may be older than what was written since.
            older = Some(scan);
        } else if wrong && spec.repair && spec.verify == Verify::Hash {
            return Ok(done(&mended(task, &expected, &found, ranges).await?));
        } else {
            return Ok(done(&result?));
        }
    }
}

/// The unit as the target lists it; what is not listed has no documents.
fn found(scan: &Scan, written: &Unit) -> Side {
    match scan.unit(&written.namespace) {
        // How much there is was not known yet when it was listed.
        Some(unit) => {
            Side { source: Arc::clone(&scan.source), unit: Unit { estimate: written.estimate, ..unit.clone() } }
        }
        None => Side { source: Arc::new(Nothing), unit: written.clone() },
    }
}

/// Makes a unit that the target lacks, with everything that defines it.
async fn make(task: &Task<'_>, written: &Unit) -> Result<(), Halt> {
    let sink = task.sink().await?;
    let plan = capstan_endpoint::WritePlan { mode: capstan_endpoint::WriteMode::Merge, ..task.plan() };
    task.desk.may_write()?;
    sink.prepare(written, &plan).await?;
    task.desk.may_write()?;
    sink.finish_unit(written, &plan, &[]).await?;
    // No other item comes that would end what the sink remembers of it.
    sink.forget().await?;
    Ok(())
}

async fn by_hash(task: &Task<'_>, expected: &Side, found: &Side, ranges: u64) -> Result<VerifyResult, Halt> {
    let options = options(task);
    let comparison =
        telling(task.desk, |on_progress| async move { compare(expected, found, &options, on_progress).await }).await?;
    prove_something(&comparison)?;
    let verdict = verdict(&comparison, ranges, 0);
    let found = comparison.differences.iter().map(|found| example(found, ""));
    Ok(VerifyResult { verdict, examples: lower_bounds(&comparison).into_iter().chain(found).collect() })
}

async fn mended(task: &Task<'_>, expected: &Side, found: &Side, ranges: u64) -> Result<VerifyResult, Halt> {
    let options =
        MendOptions { compare: options(task), delete_extra: task.spec().delete_extra, ..MendOptions::default() };
    let mut mender = Leased { mender: task.sink().await?.mender(&found.unit).await?, desk: task.desk };
    let mending = telling(task.desk, |on_progress| {
        let mender = &mut mender;
        async { mend(expected, found, mender, &options, on_progress).await }
    })
    .await?;
    prove_something(&mending.after)?;
    let verdict = verdict(&mending.before, ranges, mending.repaired());
    Ok(VerifyResult { verdict, examples: examples(&mending) })
}

fn options(task: &Task<'_>) -> CompareOptions {
    let ignore_field_order = task.spec().ignore_field_order;
    CompareOptions { split: task.split_target(), ignore_field_order, ..CompareOptions::default() }
}

fn verdict(found: &Comparison, ranges: u64, repaired: u64) -> Verdict {
    let &Comparison { missing, extra, different, reordered, expected, .. } = found;
    let compared = Figures { documents: expected.documents, bytes: expected.bytes };
    Verdict { mode: Verify::Hash, ranges, missing, extra, different, repaired, reordered, compared }
}

/// Said where more differs than was counted.
fn lower_bounds(comparison: &Comparison) -> Option<SetAside> {
    let reason = "are lower bounds: more differs than is counted one by one";
    (!comparison.counts_are_exact).then(|| SetAside { what: "the counts".into(), reason: reason.into() })
}

/// A side that changes while it is read proves nothing.
fn prove_something(comparison: &Comparison) -> Result<(), Halt> {
    let Comparison { missing, extra, different, counts_are_exact, .. } = comparison;
    if !counts_are_exact && missing + extra + different == 0 {
        return Err(Halt::transient("a side was changed while both were read, so nothing is proved"));
    }
    Ok(())
}

/// Runs a comparison, and tells how far it is.
async fn telling<T, F: Future<Output = capstan_endpoint::Result<T>>>(
    desk: &Desk,
    run: impl FnOnce(OnProgress) -> F,
) -> Result<T, Halt> {
    let progress = Arc::new(Mutex::new(CompareProgress::default()));
    let seen = Arc::clone(&progress);
    let running = run(Arc::new(move |read| *seen.lock().unwrap_or_else(PoisonError::into_inner) = read));
    tokio::pin!(running);
    loop {
        tokio::select! {
            done = &mut running => return Ok(done?),
            () = tokio::time::sleep(TELL_EVERY) => {
                let read = *progress.lock().unwrap_or_else(PoisonError::into_inner);
                // Both sides are read: half of it is how far the unit is.
                desk.advance(Progress { documents: read.documents / 2, bytes: read.bytes / 2 });
            }
        }
        if desk.is_stopping() {
            return Err(Halt::Stopped);
        }
    }
}

/// What is still wrong, with the reason where the target gave one, and then what was mended.
fn examples(mending: &Mending) -> Vec<SetAside> {
    let reason = |found: &Difference| {
        let refused = mending
            .refused
            .iter()
            .find(|letter| found.id.is_some() && id_of(&letter.document).map(|id| id.to_ext_json()) == found.id);
        refused.map(|letter| format!("; not mended: {}", letter.reason)).unwrap_or_default()
    };
    let still = mending.after.differences.iter().map(|found| example(found, &reason(found)));
    let repaired = mending.before.differences.iter().filter(|found| !mending.after.differences.contains(found));
    let bounds = lower_bounds(&mending.after);
    bounds
        .into_iter()
        .chain(still)
        .chain(repaired.map(|found| example(found, "; mended")))
        .take(CompareOptions::default().listed_max)
        .collect()
}

fn example(difference: &Difference, more: &str) -> SetAside {
    let what = difference.id.as_ref().or(difference.document.as_ref()).map_or("", String::as_str);
    let reason = match difference.kind {
        DifferenceKind::Missing => "missing at the target",
        DifferenceKind::Extra => "only at the target",
        DifferenceKind::Different if difference.reordered => "different at the target in the order of fields alone",
        DifferenceKind::Different => "different at the target",
    };
    SetAside { what: what.into(), reason: format!("{reason}{more}").into() }
}

async fn by_counts(task: &Task<'_>, expected: &Side, found: &Side, ranges: u64) -> Result<VerifyResult, Halt> {
    let split = task.split_target();
    let left = count(task.desk, expected.source.as_ref(), &expected.unit, &split).await?;
    let right = count(task.desk, found.source.as_ref(), &found.unit, &split).await?;
    let missing = left.documents.saturating_sub(right.documents);
    let extra = right.documents.saturating_sub(left.documents);
    let compared = Figures { documents: left.documents, bytes: left.bytes };
    let verdict = Verdict { mode: Verify::Counts, ranges, missing, extra, compared, ..Verdict::default() };
    Ok(VerifyResult { verdict, examples: Vec::new() })
}

/// Reads a unit and counts its documents.
pub(super) async fn count(
    desk: &Desk,
    source: &dyn Source,
    unit: &Unit,
    split: &SplitTarget,
) -> Result<Progress, Halt> {
    let mut counted = Progress::default();
    for chunk in source.split(unit, split).await? {
        let mut reader = source.read(unit, &chunk.range, None).await?;
        while let Some(batch) = reader.next().await? {
            counted.documents += u64::from(batch.documents);
            counted.bytes += batch.bytes.len() as u64;
            desk.advance(counted);
            if desk.is_stopping() {
                return Err(Halt::Stopped);
            }
        }
    }
    Ok(counted)
}
