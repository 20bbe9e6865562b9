//! The port for reading.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{BatchReader, Cursor, Listing, PlannedChunk, Range, Result, SetAside, SplitTarget, Unit, Whereabouts};

/// Something data is read from.
///
/// Promises, which the conformance suite checks for every adapter:
/// - S1 the ranges of a split are disjoint and cover the unit, for any target;
/// - S2 reading from the cursor of a batch gives exactly what follows that batch;
/// - S3 a source that is `stable` gives the same bytes in the same order each time;
/// - S4 a reader that ends without an error has given its range whole;
/// - S5 memory stays bounded by a few batches, whatever the size of the documents;
/// - S6 `whereabouts` meet those of a sink that writes to the same place, however either address is written.
#[async_trait]
pub trait Source: Send + Sync {
    /// Which place this is, for people. No secrets.
    fn place(&self) -> String;

    fn abilities(&self) -> SourceAbilities;

    /// All units, with options, indexes and estimates.
    async fn units(&self) -> Result<Listing>;

    /// Cuts a unit into ranges. A unit without documents has no chunk or one empty one; a view has none.
    async fn split(&self, unit: &Unit, target: &SplitTarget) -> Result<Vec<PlannedChunk>>;

    /// What the source had to do without when it cut a unit, for a report. Known once `split` has returned, and given once.
    fn fallbacks(&self, _: &Unit) -> Vec<SetAside> {
        Vec::new()
    }

    /// Who this is, whatever its address says.
    async fn whereabouts(&self) -> Result<Whereabouts> {
        Ok(Whereabouts::Unknown)
    }

    /// Whether a trace that a sink has left is to be seen here: then both are one place.
    async fn sees(&self, _trace: &str) -> Result<bool> {
        Ok(false)
    }

    /// Reads a range of this source's own making, from its beginning or from a cursor in it.
    async fn read(&self, unit: &Unit, range: &Range, from: Option<&Cursor>) -> Result<Box<dyn BatchReader>>;
}

/// What a source can do, so that nobody has to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceAbilities {
    pub ranges: Ranges,
    /// Nothing changes underneath: two readings are equal.
    pub stable: bool,
    /// Understands [`Unit::filter`].
    pub filters: bool,
}

/// What ranges a source is cut by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ranges {
    /// By `_id` in BSON order: a range can be found again on the other side.
    ById,
    /// By place in a file: each range begins without reading what lies before it.
    ByPlace,
    /// By number of documents: what lies before a range is read and skipped, so many ranges read in parallel cost more in total.
    ByCount,
}
