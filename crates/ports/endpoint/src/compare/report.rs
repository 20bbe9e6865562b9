//! What a comparison found.

use serde::{Deserialize, Serialize};

/// How much was read on a side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub documents: u64,
    pub bytes: u64,
}

/// The outcome for one unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    pub expected: Tally,
    pub found: Tally,
    /// Documents that should be there and are not.
    pub missing: u64,
    /// Documents that are there and should not be.
    pub extra: u64,
    /// Documents of the same `_id` with other bytes: other values, other types or another order of fields.
    pub different: u64,
    /// Of those that differ: they have the same fields with the same values, and only in another order.
    pub reordered: u64,
    /// False where so much differs that not all of it was counted, or where a side was changed while it was read: then
    /// the three counts are lower bounds and nothing is proved.
    pub counts_are_exact: bool,
    /// Some of the differences, no more than were asked for.
    pub differences: Vec<Difference>,
}

/// One document that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub kind: DifferenceKind,
    /// Its `_id` as canonical extended JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The beginning of the document, where it has no `_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
    /// It differs in the order of fields alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reordered: bool,
}

/// In what way a document differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    Missing,
    Extra,
    Different,
}

impl Comparison {
    pub(crate) fn new(expected: Tally, found: Tally) -> Self {
        let (missing, extra, different, reordered) = (0, 0, 0, 0);
        Self { expected, found, missing, extra, different, reordered, counts_are_exact: true, differences: Vec::new() }
    }

    pub(crate) fn count(&mut self, kind: DifferenceKind) {
        match kind {
            DifferenceKind::Missing => self.missing += 1,
            DifferenceKind::Extra => self.extra += 1,
            DifferenceKind::Different => self.different += 1,
        }
    }

    /// Whether both sides hold the same documents, byte for byte.
    pub fn is_equal(&self) -> bool {
        self.counts_are_exact && self.missing + self.extra + self.different == 0
    }
}
