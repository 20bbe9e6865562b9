//! Verification: whether a unit holds the same documents on two sides, byte for byte.
//!
//! Both sides are read once, at the same time, into a *fingerprint*: documents are sorted into buckets by a hash of their
//! `_id` (its type included), and a bucket keeps how many there were and the sum of their 128-bit hashes. Equal
//! fingerprints mean equal contents in any order. Where buckets differ only those are looked at again, document by
//! document, and the differences are counted and listed. Memory is bounded throughout, whatever the size of the unit.
//!
//! [`mend()`] puts right what was found, and looks again.
//!
//! An `_id` that several documents share, and documents without one, are compared as the sets they are.

mod content;
mod fingerprint;
mod mend;
mod narrow;
mod reading;
mod report;

use std::sync::Arc;

use crate::{Result, Source, SplitTarget, Unit};

use fingerprint::{Fingerprint, Pair};
pub use mend::{MendOptions, Mending, mend};
use narrow::Faults;
use reading::{Plan, read_both};
pub use report::{Comparison, Difference, DifferenceKind, Tally};

/// How much a comparison may use.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// Ranges read at the same time on each side.
    pub readers: usize,
    /// Differences that are listed; all are counted.
    pub listed_max: usize,
    /// Documents, of both sides together, looked at one by one at the same time (about 100 bytes each at worst).
    pub pairs_max: u64,
    /// Times that both sides are read to look at differing buckets. Beyond, counts are lower bounds and say so.
    pub passes_max: u32,
    /// How units are cut for reading.
    pub split: SplitTarget,
    /// Documents are the same if they have the same fields, in whatever order, at any depth. It costs about three times
    /// the hashing.
    pub ignore_field_order: bool,
}

impl Default for CompareOptions {
    fn default() -> Self {
        let (split, ignore_field_order) = (SplitTarget::default(), false);
        Self { readers: 2, listed_max: 100, pairs_max: 1_000_000, passes_max: 8, split, ignore_field_order }
    }
}

impl CompareOptions {
    /// What tells documents apart.
    fn pair(&self) -> fn(&[u8]) -> Pair {
        if self.ignore_field_order { Pair::whatever_order } else { Pair::of }
    }
}

/// One side of a comparison: a unit of a source.
#[derive(Clone)]
pub struct Side {
    pub source: Arc<dyn Source>,
    pub unit: Unit,
}

/// How far a comparison is: bytes of BSON and documents read since it began, of both sides, in all passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompareProgress {
    pub documents: u64,
    pub bytes: u64,
    /// 1 while fingerprints are taken, then 2 and more.
    pub pass: u32,
}

/// Is told of progress after every batch, from several threads.
pub type OnProgress = Arc<dyn Fn(CompareProgress) + Send + Sync>;

/// Compares what `expected` holds with what `found` holds.
pub async fn compare(
    expected: &Side,
    found: &Side,
    options: &CompareOptions,
    on_progress: OnProgress,
) -> Result<Comparison> {
    Ok(compare_keeping(expected, found, options, on_progress, 0).await?.0)
}

/// Compares, and keeps which documents differ, as many as that.
async fn compare_keeping(
    expected: &Side,
    found: &Side,
    options: &CompareOptions,
    on_progress: OnProgress,
    faults_max: usize,
) -> Result<(Comparison, Faults)> {
    let plans = [Plan::of(expected, options).await?, Plan::of(found, options).await?];
    let buckets = fingerprint::bucket_count(plans.iter().map(Plan::documents).max().unwrap_or_default());
    let watch = reading::Watch::new(on_progress);
    let pair = options.pair();
    let [left, right] = read_both(&plans, options, &watch, move || Fingerprint::new(buckets, pair)).await?;
    let mut comparison = Comparison::new(left.tally(), right.tally());
    let mut faults = Faults::new(faults_max);
    faults.nameless = left.nameless();
    let differing = left.differing(&right);
    if !differing.is_empty() {
        narrow::narrow(&plans, &left, &right, &differing, options, &watch, &mut comparison, &mut faults).await?;
        // What differed a moment ago and does not any more was changed meanwhile: that proves nothing.
        comparison.counts_are_exact &= comparison.missing + comparison.extra + comparison.different > 0;
    }
    Ok((comparison, faults))
}
