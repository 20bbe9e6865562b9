//! What was joined, so that joining again after a crash is known to be done.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{ChunkFacts, EndpointError, Result};

/// Says that a unit's file, of this length and of these chunks, is about to be moved to its place or lies there already.
///
/// It is durable before the move: a single part *is* the unit's file, so after the move nothing else could tell.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Receipt {
    pub length: u64,
    pub chunks: Vec<ChunkFacts>,
}

impl Receipt {
    /// Where the receipt of a unit lies: beside the folder of its parts.
    pub(crate) fn path(folder: &Path) -> PathBuf {
        folder.with_extension("receipt")
    }

    /// The receipt of a unit, if there is one.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = Self::path(folder);
        let bytes = match std::fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(EndpointError::from_io(e, "reading", &path)),
            Ok(bytes) => bytes,
        };
        let damaged = |e: serde_json::Error| EndpointError::damaged(path.display().to_string(), 0, e.to_string());
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    /// Whether an earlier call got as far as moving the file of these chunks to its place.
    pub(crate) fn has_moved(folder: &Path, place: &Path, chunks: &[ChunkFacts]) -> Result<bool> {
        let Some(receipt) = Self::read(folder)? else { return Ok(false) };
        let there = place.metadata().is_ok_and(|about| about.len() == receipt.length);
        Ok(there && receipt.chunks == chunks)
    }

    /// Makes the receipt durable.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_vec(self).expect("names and numbers are JSON");
        crate::durable::write_whole(&Self::path(folder), &text)
    }
}
