//! What is known of units and chunks: figures, parts, proofs.

use crate::spec::Verify;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::ops::{AddAssign, SubAssign};

/// Documents, and their bytes as BSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Figures {
    /// Documents.
    #[n(0)]
    pub documents: u64,
    /// Bytes of BSON, uncompressed.
    #[n(1)]
    pub bytes: u64,
}

// Sums wrap, so that what was added can always be taken away again, whatever figures come.
impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.documents = self.documents.wrapping_add(other.documents);
        self.bytes = self.bytes.wrapping_add(other.bytes);
    }
}

impl SubAssign for Figures {
    fn sub_assign(&mut self, other: Self) {
        self.documents = self.documents.wrapping_sub(other.documents);
        self.bytes = self.bytes.wrapping_sub(other.bytes);
    }
}

/// A range of a unit, as the source cut it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Cut {
    /// The range: JSON text that only the source understands. Text, because a journal keeps the order of text.
    #[n(0)]
    pub range: Box<str>,
    /// Documents in it, where the source said.
    #[n(1)]
    pub documents: Option<u64>,
    /// Bytes in it, where the source said.
    #[n(2)]
    pub bytes: Option<u64>,
}

/// One sealed part in the spool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
pub struct SpoolPart {
    /// Its name in the spool.
    #[n(0)]
    pub name: Box<str>,
    /// Documents in it.
    #[n(1)]
    pub documents: u64,
    /// Their bytes as BSON.
    #[n(2)]
    pub bytes: u64,
    /// Blocks they lie in.
    #[n(3)]
    pub blocks: u32,
    /// Bytes in the spool.
    #[n(4)]
    pub stored_bytes: u64,
    /// Over the stored bytes.
    #[n(5)]
    pub checksum: Box<str>,
}

/// What a dump found and where it lies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Dumped {
    /// How much it is.
    #[n(0)]
    pub figures: Figures,
    /// In order; none once the chunk is restored, and for a chunk without documents.
    #[n(1)]
    pub parts: Vec<SpoolPart>,
    /// The marker of the spool they lie in.
    #[n(2)]
    pub marker: Option<Box<str>>,
}

/// One part of a chunk as the target keeps it until the unit is complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
pub struct TargetPart {
    /// Its name there.
    #[n(0)]
    pub name: Box<str>,
    /// Documents in it.
    #[n(1)]
    pub documents: u64,
    /// Their bytes as BSON.
    #[n(2)]
    pub bytes: u64,
    /// Bytes there.
    #[n(3)]
    pub stored: u64,
    /// Over the stored bytes.
    #[n(4)]
    pub checksum: Box<str>,
}

/// What of a chunk has arrived at the target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Landed {
    /// How much it is.
    #[n(0)]
    pub figures: Figures,
    /// Documents that the target refused for good.
    #[n(1)]
    pub dead_letters: u64,
    /// In order; none where documents go straight to their place.
    #[n(2)]
    pub parts: Vec<TargetPart>,
}

/// A landed chunk, as a unit's completion is told of it. The shape is that of an endpoint's chunk facts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LandedChunk {
    /// Its index in the unit.
    pub chunk: u32,
    /// Which of its dumps this is.
    pub generation: u32,
    /// Documents.
    pub documents: u64,
    /// Bytes.
    pub bytes: u64,
    /// In order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<TargetPart>,
}

/// A dumped chunk, as the completion and the proof of a kept dump are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpedChunk {
    /// Its index in the unit.
    pub chunk: u32,
    /// Which of its dumps this is.
    pub generation: u32,
    /// Documents.
    pub documents: u64,
    /// Their bytes as BSON.
    pub bytes: u64,
    /// Where they lie, in order.
    pub parts: Vec<SpoolPart>,
    /// The marker of the spool they lie in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<Box<str>>,
}

/// Something that was found and left out, with the reason: a report lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct SetAside {
    /// What.
    #[n(0)]
    pub what: Box<str>,
    /// Why.
    #[n(1)]
    pub reason: Box<str>,
}

/// What a comparison of both sides of a unit found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Verdict {
    /// How they were compared.
    #[n(0)]
    pub mode: Verify,
    /// Ranges that were compared.
    #[n(1)]
    pub ranges: u64,
    /// Documents that the target lacks.
    #[n(2)]
    pub missing: u64,
    /// Documents that only the target has.
    #[n(3)]
    pub extra: u64,
    /// Documents that differ.
    #[n(4)]
    pub different: u64,
    /// Of all these, those that were mended.
    #[n(5)]
    pub repaired: u64,
    /// Of those that differ: they have the same fields with the same values, only in another order.
    #[n(6)]
    #[cbor(default)]
    #[serde(default)]
    pub reordered: u64,
    /// What the source holds of it, which is what the target was held against.
    #[n(7)]
    #[cbor(default)]
    #[serde(default)]
    pub compared: Figures,
}

impl Verdict {
    /// How many documents are still not the same on both sides.
    pub fn faults(&self) -> u64 {
        self.missing.saturating_add(self.extra).saturating_add(self.different).saturating_sub(self.repaired)
    }
}
