//! Putting right what a comparison found.

use std::collections::HashSet;

use bytes::Bytes;

use crate::compare::fingerprint::Pair;
use crate::compare::{CompareOptions, Comparison, DifferenceKind, OnProgress, Side, compare_keeping};
use crate::element::id_of;
use crate::{BATCH_BYTES, EndpointError, Mend, RefusedDocument, Result};

/// Documents of one call to a mender.
const CALL_DOCUMENTS: usize = 500;
/// Bytes of one call to a mender, or one document.
const CALL_BYTES: usize = 8 * BATCH_BYTES;

/// What mending may do.
#[derive(Clone, Debug)]
pub struct MendOptions {
    /// How both sides are compared.
    pub compare: CompareOptions,
    /// Documents that only the target has are removed too.
    pub delete_extra: bool,
    /// Documents that are mended between two comparisons (about 50 bytes each); more take further rounds.
    pub faults_max: usize,
}

impl Default for MendOptions {
    fn default() -> Self {
        Self { compare: CompareOptions::default(), delete_extra: false, faults_max: 1_000_000 }
    }
}

/// What mending did.
#[derive(Clone, Debug)]
pub struct Mending {
    /// What was wrong before anything was touched.
    pub before: Comparison,
    /// What is wrong now, found by comparing everything again.
    pub after: Comparison,
    /// Some of what the target would not do, no more than differences are listed.
    pub refused: Vec<RefusedDocument>,
}

impl Mending {
    /// Documents that were wrong and are right now.
    pub fn repaired(&self) -> u64 {
        faults(&self.before).saturating_sub(faults(&self.after))
    }
}

fn faults(comparison: &Comparison) -> u64 {
    comparison.missing + comparison.extra + comparison.different
}

/// Compares both sides, replaces what is different and adds what is missing, removes what is too much where that was asked
/// for, and compares again, until nothing more gets better. Nothing is written where both sides are equal.
///
/// A document without an `_id` cannot be named, so it is left as it is and stays counted. Where the expected side has such,
/// removing is refused before anything is touched: what the target made of them has an `_id` and looks too much, and
/// nothing could be put in its place.
pub async fn mend(
    expected: &Side,
    found: &Side,
    mender: &mut dyn Mend,
    options: &MendOptions,
    on_progress: OnProgress,
) -> Result<Mending> {
    let look = || compare_keeping(expected, found, &options.compare, on_progress.clone(), options.faults_max);
    let (before, mut wrong) = look().await?;
    let mut mending = Mending { after: before.clone(), before, refused: Vec::new() };
    loop {
        let of = |wanted: &[DifferenceKind]| -> HashSet<u128> {
            wrong.kinds.iter().filter(|(_, kind)| wanted.contains(kind)).map(|(key, _)| *key).collect()
        };
        let too_much = if options.delete_extra { of(&[DifferenceKind::Extra]) } else { HashSet::new() };
        let wanting = of(&[DifferenceKind::Missing, DifferenceKind::Different]);
        if too_much.is_empty() && wanting.is_empty() {
            return Ok(mending);
        }
        if !too_much.is_empty() && wrong.nameless > 0 {
            return Err(nothing_to_put(expected, found, wrong.nameless));
        }
        // What is too much goes first: an `_id` may be too much as an int32 and missing as a double.
        let mut refused = apply(found, too_much, Act::Remove, mender).await?;
        refused.extend(apply(expected, wanting, Act::Put, mender).await?);
        refused.truncate(options.compare.listed_max);
        mending.refused = refused;
        let (after, still) = look().await?;
        let better =
            faults(&after) < faults(&mending.after) || !mending.after.counts_are_exact && after.counts_are_exact;
        (mending.after, wrong) = (after, still);
        if !better {
            return Ok(mending);
        }
    }
}

fn nothing_to_put(expected: &Side, found: &Side, nameless: u64) -> EndpointError {
    let what = format!("removing what only the target has of `{}`", found.unit.namespace);
    let reason = format!(
        "{nameless} documents of `{}` in {} have no `_id`, so what the target has of them cannot be told from what is too much; repair without delete_extra, or overwrite the collection",
        expected.unit.namespace,
        expected.source.place()
    );
    EndpointError::unsupported(what, found.source.place(), reason)
}

#[derive(Clone, Copy)]
enum Act {
    Put,
    Remove,
}

/// Reads a side and hands the documents of these keys to the mender; ends as soon as each was seen.
async fn apply(side: &Side, mut keys: HashSet<u128>, act: Act, mender: &mut dyn Mend) -> Result<Vec<RefusedDocument>> {
    let mut refused = Vec::new();
    if keys.is_empty() {
        return Ok(refused);
    }
    let mut call: Vec<Bytes> = Vec::new();
    let mut call_bytes = 0;
    for chunk in side.source.split(&side.unit, &Default::default()).await? {
        let mut reader = side.source.read(&side.unit, &chunk.range, None).await?;
        while let Some(batch) = reader.next().await? {
            for document in batch.iter() {
                if !keys.remove(&Pair::of(document).key) {
                    continue;
                }
                let Some(id) = id_of(document) else { continue };
                let given = match act {
                    // A copy: a slice would keep its whole batch, and what is wrong may be one document of each.
                    Act::Put => Bytes::copy_from_slice(document),
                    Act::Remove => Bytes::from(id.to_document()),
                };
                call_bytes += given.len();
                call.push(given);
                if call.len() >= CALL_DOCUMENTS || call_bytes >= CALL_BYTES {
                    refused.extend(act.on(mender, &std::mem::take(&mut call)).await?);
                    call_bytes = 0;
                }
            }
        }
        if keys.is_empty() {
            break;
        }
    }
    refused.extend(act.on(mender, &call).await?);
    Ok(refused)
}

impl Act {
    async fn on(self, mender: &mut dyn Mend, documents: &[Bytes]) -> Result<Vec<RefusedDocument>> {
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        Ok(match self {
            Self::Put => mender.put(documents).await?.refused,
            Self::Remove => mender.remove(documents).await?.refused,
        })
    }
}
