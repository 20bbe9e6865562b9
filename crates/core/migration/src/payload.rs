//! What an item tells its worker, as JSON. Whatever all chunks of a unit share is in the brief instead.

use crate::facts::SpoolPart;
use crate::name::UnitId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Of an item about a whole unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitPayload {
    /// Which.
    pub unit: UnitId,
}

/// Of a chunk to be dumped.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DumpPayload {
    /// Its unit.
    pub unit: UnitId,
    /// Its index there.
    pub chunk: u32,
    /// How often it has been dumped before.
    pub generation: u32,
    /// What to read.
    pub range: Box<RawValue>,
}

/// Of a chunk to be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePayload {
    /// Its unit.
    pub unit: UnitId,
    /// Its index there.
    pub chunk: u32,
    /// Which of its dumps this is.
    pub generation: u32,
    /// Documents that were dumped.
    pub documents: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Where they lie, in order.
    pub parts: Vec<SpoolPart>,
    /// The marker of the spool they lie in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker: Option<Box<str>>,
}

/// Of a chunk to be copied without a spool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CopyPayload {
    /// Its unit.
    pub unit: UnitId,
    /// Its index there.
    pub chunk: u32,
    /// What to read.
    pub range: Box<RawValue>,
}

/// The payload as text.
pub(crate) fn text(payload: &impl Serialize) -> Box<str> {
    serde_json::to_string(payload).expect("payloads are plain data with text keys").into()
}

/// JSON text that was checked when it came in.
pub(crate) fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).expect("only valid JSON is recorded")
}
