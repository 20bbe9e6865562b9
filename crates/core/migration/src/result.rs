//! What a worker says when an item is done, as JSON.

use crate::facts::{SetAside, SpoolPart, TargetPart, Verdict};
use crate::name::Namespace;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Of `survey`: what the source has of what the job takes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SurveyResult {
    /// Collections to be moved, in the source's order.
    pub units: Vec<FoundUnit>,
    /// Found, and left out.
    #[serde(default)]
    pub set_aside: Vec<SetAside>,
    /// Why the job cannot be done at all, if so: occupied collections, for one. Nothing has been written.
    #[serde(default)]
    pub refused: Vec<SetAside>,
    /// When the target can be read back.
    #[serde(default)]
    pub scan: ScanTime,
    /// In mode `verify`: documents of the collections that only the target has. They are listed as set aside.
    #[serde(default)]
    pub extra: u64,
}

/// A collection at the source.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FoundUnit {
    /// What it is called there.
    pub source: Namespace,
    /// All that defines it, as the source's endpoint says it.
    pub definition: Box<RawValue>,
    /// A definition without documents of its own: it is written, never compared.
    #[serde(default)]
    pub view: bool,
    /// Documents, where the source has a guess.
    #[serde(default)]
    pub documents: Option<u64>,
    /// Bytes, where the source has a guess.
    #[serde(default)]
    pub bytes: Option<u64>,
}

/// When the target can be read back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum ScanTime {
    /// As soon as a unit is complete.
    #[default]
    #[n(0)]
    AfterUnit,
    /// When all are.
    #[n(1)]
    AfterJob,
    /// Never.
    #[n(2)]
    Never,
}

/// Of `plan`: the unit's chunks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PlanResult {
    /// Disjoint ranges that cover the unit, in its order.
    pub chunks: Vec<PlannedRange>,
    /// What the target refused of the definition.
    #[serde(default)]
    pub set_aside: Vec<SetAside>,
}

/// One chunk to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PlannedRange {
    /// Understood by the source alone.
    pub range: Box<RawValue>,
    /// Documents in it, where the source said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<u64>,
    /// Bytes in it, where the source said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// Of `dump`: what lies in the spool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpResult {
    /// Documents that were read.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Where they lie, in order.
    pub parts: Vec<SpoolPart>,
    /// The spool's marker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<Box<str>>,
}

/// Of `restore` and `copy`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreResult {
    /// The chunk is at the target.
    Restored {
        /// Documents that were written.
        documents: u64,
        /// Their bytes.
        bytes: u64,
        /// Documents that the target refused for good.
        #[serde(default)]
        dead_letters: u64,
        /// Where they lie until the unit is complete.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        parts: Vec<TargetPart>,
    },
    /// What was dumped is not there, or not whole: it must be dumped again.
    Missed {
        /// Which part, and what is wrong with it.
        reason: Box<str>,
    },
}

/// Of `index` and `finish`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexResult {
    /// What the target refused.
    #[serde(default)]
    pub set_aside: Vec<SetAside>,
}

/// Of `verify`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyResult {
    /// What was found.
    pub verdict: Verdict,
    /// Some of the documents that are not the same, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<SetAside>,
}
