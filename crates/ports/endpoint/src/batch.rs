//! Documents on their way: BSON back to back, never decoded, with a place to go on from.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::bson_frames::{Documents, walk};

/// Readers aim at batches of this many bytes. A batch may be larger by one document.
pub const BATCH_BYTES: usize = 1 << 20;
/// Readers aim at batches of at most this many documents.
pub const BATCH_DOCUMENTS: u32 = 1_000;

/// Some documents of a range, in its order.
#[derive(Clone, Debug)]
pub struct Batch {
    /// BSON documents back to back. Their framing (lengths, terminating zeros) has been checked, their content has not.
    pub bytes: Bytes,
    /// How many documents `bytes` holds; at least one.
    pub documents: u32,
    /// The place after the last document: reading from here gives exactly the rest of the range.
    pub cursor: Cursor,
}

impl Batch {
    /// The documents one by one.
    pub fn iter(&self) -> Documents<'_> {
        walk(&self.bytes)
    }
}

/// A place in a range, known only to the source that made it. At most about 1 KiB as JSON.
///
/// A value of which the order of fields matters (a document as `_id`) is held as text: JSON objects on their
/// way through a journal keep no order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub serde_json::Value);

/// Gives a range batch by batch. Dropping it ends the reading.
#[async_trait::async_trait]
pub trait BatchReader: Send {
    /// The next batch, or `None` once the range has been read to its end *and* found whole.
    ///
    /// After an error the reader gives nothing more; go on with a new one from the last good cursor.
    async fn next(&mut self) -> Result<Option<Batch>>;
}
