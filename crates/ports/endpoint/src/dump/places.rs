//! Ranges and cursors of a dump, as they stand in the journal.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Cursor, EndpointError, Range, Result};

/// What part of a collection's documents is meant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DumpRange {
    /// All of them.
    Whole,
    /// From byte to byte of a `.bson` file.
    Bytes([u64; 2]),
    /// From document to document of something that is unpacked on the way.
    Documents(DocumentRange),
    /// From byte to byte of an archive, taking only this collection's documents.
    Archive([u64; 2]),
}

/// Documents by their number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DocumentRange {
    pub from: u64,
    pub to: u64,
    /// Nothing follows: at `to` the file must end, and end well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub last: bool,
    /// Where unpacking may begin.
    #[serde(default)]
    pub member: Entry,
}

/// A gzip member that begins with a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its offset in the compressed file.
    pub compressed: u64,
    /// Its offset in what is unpacked.
    pub unpacked: u64,
    /// The number of its first document.
    pub document: u64,
}

/// A place between two documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DumpCursor {
    Byte(u64),
    Document { number: u64, member: Entry },
    Archive(u64),
}

impl From<&DumpRange> for Range {
    fn from(range: &DumpRange) -> Self {
        Range(serde_json::to_value(range).expect("numbers and names are JSON"))
    }
}

impl From<DumpCursor> for Cursor {
    fn from(cursor: DumpCursor) -> Self {
        Cursor(serde_json::to_value(cursor).expect("numbers and names are JSON"))
    }
}

/// Reads a range or a cursor that this adapter once made.
pub(crate) fn recall<T: DeserializeOwned>(value: &serde_json::Value, place: &str) -> Result<T> {
    T::deserialize(value).map_err(|_| {
        EndpointError::unsupported(
            format!("the range or cursor {value}"),
            place,
            "it was made by another kind of source",
        )
    })
}
