//! Letting go: whole buckets, the oldest first.
//!
//! Where the log begins is moved on before anything is deleted, so a reader that finds a commit missing can tell that it
//! was dropped. No read ever goes below that mark, and so over what was deleted there.

use crate::archive;
use crate::chain::Bucket;
use crate::log::{Low, low};
use crate::rows::{position as from_column, signed};
use crate::store::{Mode, Query, Store};
use capstan_ids::{Position, StreamName, WallTime};
use capstan_journal::JournalError;
use std::sync::Arc;

const RAISE: Query = Query {
    operation: "move the beginning of the log on",
    text: "UPDATE journals SET low = ?, low_at = ? WHERE log = ? IF low = ?",
    mode: Mode::Conditional,
};
const LAST_AT: Query = Query {
    operation: "read when a bucket's last commit was made",
    text: "SELECT at FROM commits WHERE log = ? AND bucket = ? ORDER BY position DESC LIMIT 1",
    mode: Mode::Read,
};
const LEFT: Query = Query {
    operation: "look for buckets that were not deleted",
    text: "SELECT bucket FROM buckets WHERE log = ? AND bucket < ?",
    mode: Mode::Read,
};
/// Leaves the static row.
const EMPTY: Query = Query {
    operation: "delete a bucket's commits",
    text: "DELETE FROM commits WHERE log = ? AND bucket = ? AND position >= 0",
    mode: Mode::Write,
};
const EMPTY_PARTS: Query = Query {
    operation: "delete a bucket's parts",
    text: "DELETE FROM parts WHERE log = ? AND bucket = ?",
    mode: Mode::Write,
};
const UNLIST: Query = Query {
    operation: "forget deleted buckets",
    text: "DELETE FROM buckets WHERE log = ? AND bucket < ?",
    mode: Mode::Write,
};
const ROWS_A_PAGE: i32 = 1000;

/// Lets go of buckets that lie below `position` as a whole; `look_for_left` also of what an earlier server left.
pub(crate) async fn trim(
    store: &Arc<Store>,
    position: Position,
    audited: &[StreamName],
    look_for_left: bool,
) -> Result<(), JournalError> {
    let mut begins = low(store).await?;
    if look_for_left {
        let left: Vec<(i64,)> = store.all(&LEFT, (&store.log, signed(begins.first.get())), ROWS_A_PAGE).await?;
        for (bucket,) in left {
            empty(store, from_column(bucket)).await?;
        }
    }
    let mut dropped = Vec::new();
    while let Some(bucket) = Bucket::read(store, begins.first).await? {
        let Some(successor) = bucket.successor.filter(|successor| *successor <= position) else { break };
        let at: Option<(Option<i64>,)> = store.row(&LAST_AT, (&store.log, signed(bucket.first.get()))).await?;
        for stream in audited {
            archive::keep(store, &bucket, stream).await?;
        }
        let before = at.and_then(|(at,)| at).map_or(begins.before, WallTime);
        let values = (signed(successor.get()), before.micros(), &store.log, signed(begins.first.get()));
        if !store.applied(&RAISE, values).await? {
            // Another server trims; or this one has, and the answer was lost.
            begins = low(store).await?;
            continue;
        }
        begins = Low { first: successor, before };
        dropped.push(bucket.first);
    }
    for bucket in dropped {
        empty(store, bucket).await?;
    }
    store.run(&UNLIST, (&store.log, signed(begins.first.get()))).await.map(|_| ())
}

async fn empty(store: &Store, bucket: Position) -> Result<(), JournalError> {
    let values = (&store.log, signed(bucket.get()));
    store.run(&EMPTY, values).await?;
    store.run(&EMPTY_PARTS, values).await.map(|_| ())
}
