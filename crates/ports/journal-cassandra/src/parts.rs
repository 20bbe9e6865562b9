//! Commits that are too large for one row: their bytes in several, which count where the commit's own row stands.
//!
//! The parts are written first. A part whose commit never came to stand counts for nothing: it lies below a position
//! that another commit holds, is found there and deleted, or goes with its bucket.

use crate::chain::Bucket;
use crate::rows::{position, signed};
use crate::store::{Mode, Query, Store};
use capstan_ids::Position;
use capstan_journal::JournalError;
use futures::stream::{self, StreamExt, TryStreamExt};
use std::collections::BTreeSet;

/// The most bytes that are in a commit's own row. A conditional write is written three times, so rows are kept small.
pub(crate) const INLINE_BYTES_MAX: usize = 64 << 10;
/// A mutation may be half a segment of the commit log, and segments are at least 2 MiB.
const PART_BYTES: usize = 512 << 10;
const PARTS_AT_ONCE: usize = 4;
const PARTS_A_PAGE: i32 = 8;
const KEYS_A_PAGE: i32 = 1000;

const WRITE: Query = Query {
    operation: "write a part of a commit",
    text: "INSERT INTO parts (log, bucket, position, id, part, body) VALUES (?, ?, ?, ?, ?, ?)",
    mode: Mode::Write,
};
const READ: Query = Query {
    operation: "read the parts of a commit",
    text: "SELECT part, body FROM parts WHERE log = ? AND bucket = ? AND position = ? AND id = ?",
    mode: Mode::Read,
};
const KEYS: Query = Query {
    operation: "look for parts of commits that do not stand",
    text: "SELECT position, id FROM parts WHERE log = ? AND bucket = ? AND position < ?",
    mode: Mode::Read,
};
const STANDING: Query = Query {
    operation: "look for parts of commits that do not stand",
    text: "SELECT id FROM commits WHERE log = ? AND bucket = ? AND position = ?",
    mode: Mode::Read,
};
const DELETE: Query = Query {
    operation: "delete parts of a commit that does not stand",
    text: "DELETE FROM parts WHERE log = ? AND bucket = ? AND position = ? AND id = ?",
    mode: Mode::Write,
};

/// How many parts so many bytes are in; none where they are in the commit's own row.
pub(crate) fn count(bytes: usize) -> usize {
    if bytes <= INLINE_BYTES_MAX { 0 } else { bytes.div_ceil(PART_BYTES) }
}

/// Writes all parts of a commit.
pub(crate) async fn write(
    store: &Store,
    bucket: Position,
    at: Position,
    id: &[u8; 16],
    body: &[u8],
) -> Result<(), JournalError> {
    let (bucket, at) = (signed(bucket.get()), signed(at.get()));
    let writes = (0_i32..).zip(body.chunks(PART_BYTES)).map(async |(number, part)| {
        store.run(&WRITE, (&store.log, bucket, at, &id[..], number, part)).await.map(|_| ())
    });
    stream::iter(writes).buffer_unordered(PARTS_AT_ONCE).try_collect::<()>().await
}

/// Reads the parts of a commit in their order, as far as they are there.
pub(crate) async fn read(store: &Store, bucket: Position, at: Position, id: &[u8]) -> Result<Vec<u8>, JournalError> {
    let values = (&store.log, signed(bucket.get()), signed(at.get()), id);
    let parts: Vec<(i32, Option<Vec<u8>>)> = store.all(&READ, values, PARTS_A_PAGE).await?;
    Ok(parts.into_iter().filter_map(|(_, body)| body).flatten().collect())
}

/// Deletes the parts in a bucket that can no longer come to count.
///
/// Only below the bucket's next position: what stands there is decided for ever, while parts above it may belong to a
/// commit that its leader is about to offer.
pub(crate) async fn sweep(store: &Store, bucket: &Bucket) -> Result<(), JournalError> {
    let first = signed(bucket.first.get());
    let keys: Vec<(i64, Vec<u8>)> =
        store.all(&KEYS, (&store.log, first, signed(bucket.next.get())), KEYS_A_PAGE).await?;
    for (at, id) in keys.into_iter().collect::<BTreeSet<_>>() {
        let standing: Option<(Option<Vec<u8>>,)> = store.row(&STANDING, (&store.log, first, at)).await?;
        if standing.and_then(|(id,)| id).as_ref() != Some(&id) {
            tracing::info!(position = %position(at), "deleting the parts of a commit that never came to stand");
            store.run(&DELETE, (&store.log, first, at, &id)).await?;
        }
    }
    Ok(())
}
