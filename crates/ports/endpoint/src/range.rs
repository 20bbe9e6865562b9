//! How a unit is cut into chunks.

use serde::{Deserialize, Serialize};

/// A part of a unit, meaningful only to the source that made it, readable by people: `{"bytes":[0,67108864]}`,
/// `{"documents":[0,100000]}`, `"whole"`.
///
/// Kept in the journal. Where the order of fields matters, hold the value as text (see [`Cursor`](crate::Cursor)).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Range(pub serde_json::Value);

/// How large chunks should be. A split aims at the smaller of both sizes and never makes more than `chunks_max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitTarget {
    pub documents: u64,
    pub bytes: u64,
    pub chunks_max: u32,
}

impl Default for SplitTarget {
    fn default() -> Self {
        Self { documents: 100_000, bytes: 64 << 20, chunks_max: 100_000 }
    }
}

/// One range of a split, with what is known of its size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedChunk {
    pub range: Range,
    /// Exact where the source counted, else an estimate or unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<u64>,
    /// Bytes of BSON, uncompressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}
