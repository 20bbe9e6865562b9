//! The log as a chain of buckets, each a partition of bounded size.
//!
//! A bucket is named after its first position. Its static row says which position is next, under which epoch the last
//! commit was made, and once it is **sealed**, which bucket follows. A commit's row is inserted in the same conditional
//! batch that moves `next` on, so a lower epoch, a taken position and a position that is not next all change nothing.
//!
//! The passage from one bucket to the next is two steps, and each may be repeated by anybody:
//! 1. *Seal*: `successor` is set where `next` is what the sealer has seen. Nothing comes into the bucket afterwards.
//! 2. *Open*: the successor's static row is inserted if there is none, with the `next` that its name says and the epoch
//!    of the sealed bucket.
//!
//! A static row is never deleted, also when retention has emptied its bucket: an append or an opening that was delayed
//! for days finds the bucket sealed.

use crate::rows::{position, signed};
use crate::store::{Mode, Query, Store};
use capstan_ids::{Epoch, Position};
use capstan_journal::JournalError;

const STATICS: Query = Query {
    operation: "read where a bucket ends",
    text: "SELECT DISTINCT log, bucket, next, epoch, bytes, successor FROM commits WHERE log = ? AND bucket = ?",
    mode: Mode::Serial,
};
const OPEN: Query = Query {
    operation: "open a bucket",
    text: "INSERT INTO commits (log, bucket, next, epoch, bytes) VALUES (?, ?, ?, ?, 0) IF NOT EXISTS",
    mode: Mode::Conditional,
};
const SEAL: Query = Query {
    operation: "seal a bucket",
    text: "UPDATE commits SET successor = ? WHERE log = ? AND bucket = ? IF next = ? AND epoch <= ? AND successor = null",
    mode: Mode::Conditional,
};
const LIST: Query =
    Query { operation: "list a bucket", text: "INSERT INTO buckets (log, bucket) VALUES (?, ?)", mode: Mode::Write };
const NEWEST: Query = Query {
    operation: "find the newest bucket",
    text: "SELECT bucket FROM buckets WHERE log = ? LIMIT 1",
    mode: Mode::Read,
};
const HOLDING: Query = Query {
    operation: "find a position's bucket",
    text: "SELECT bucket FROM buckets WHERE log = ? AND bucket <= ? AND bucket >= ? LIMIT 1",
    mode: Mode::Read,
};

/// The static row of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// Its first position, and its name.
    pub first: Position,
    pub next: Position,
    pub epoch: Epoch,
    /// About as much as its commits weigh.
    pub bytes: u64,
    /// The bucket after it; it is sealed then.
    pub successor: Option<Position>,
    /// Whether the row is there. Where it is not, this is what it will say.
    pub is_open: bool,
}

impl Bucket {
    /// What a bucket says before anything was put into it.
    pub fn unopened(first: Position, epoch: Epoch) -> Self {
        Self { first, next: first, epoch, bytes: 0, successor: None, is_open: false }
    }

    /// Reads a bucket, finishing what was begun in it.
    pub async fn read(store: &Store, first: Position) -> Result<Option<Self>, JournalError> {
        type Statics = (String, i64, Option<i64>, Option<i64>, Option<i64>, Option<i64>);
        let row: Option<Statics> = store.row(&STATICS, (&store.log, signed(first.get()))).await?;
        Ok(row.and_then(|(_, _, next, epoch, bytes, successor)| {
            Some(Self {
                first,
                next: position(next?),
                epoch: Epoch::new(epoch?.unsigned_abs()),
                bytes: bytes?.unsigned_abs(),
                successor: successor.map(position),
                is_open: true,
            })
        }))
    }

    /// Reads the last bucket, going along the chain from `first`, which is or was one.
    pub async fn last(store: &Store, first: Position) -> Result<Self, JournalError> {
        let mut bucket = match Self::read(store, first).await? {
            Some(bucket) => bucket,
            None if first == Position::new(1) => return Ok(Self::unopened(first, Epoch::ZERO)),
            None => return Err(missing(store, first)),
        };
        while let Some(successor) = bucket.successor {
            bucket = match Self::read(store, successor).await? {
                Some(next) => {
                    // Whoever opened it may have died before it listed it.
                    list(store, successor).await?;
                    next
                }
                None => Self::unopened(successor, bucket.epoch),
            };
        }
        Ok(bucket)
    }

    /// Opens it, if nobody has.
    pub async fn open(&mut self, store: &Store) -> Result<(), JournalError> {
        let first = signed(self.first.get());
        store.applied(&OPEN, (&store.log, first, first, signed(self.epoch.get()))).await?;
        list(store, self.first).await?;
        // Somebody else may have opened it first, and have put something into it: an append would find that out.
        self.is_open = true;
        Ok(())
    }

    /// Lets nothing more come into it; answers whether it was still as it is known here.
    pub async fn seal(&self, store: &Store, epoch: Epoch, successor: Position) -> Result<bool, JournalError> {
        let (next, successor) = (signed(self.next.get()), signed(successor.get()));
        let values = (successor, &store.log, signed(self.first.get()), next, signed(epoch.get()));
        store.applied(&SEAL, values).await
    }
}

/// The newest listed bucket; `low` where none is.
pub(crate) async fn newest(store: &Store, low: Position) -> Result<Position, JournalError> {
    let row: Option<(i64,)> = store.row(&NEWEST, (&store.log,)).await?;
    Ok(row.map_or(low, |(bucket,)| position(bucket).max(low)))
}

/// The bucket that holds `at`, or would: the last one that begins at or before it. `low` is where the log begins.
pub(crate) async fn holding(store: &Store, at: Position, low: Position) -> Result<Bucket, JournalError> {
    let row: Option<(i64,)> = store.row(&HOLDING, (&store.log, signed(at.get()), signed(low.get()))).await?;
    let mut first = row.map_or(low, |(bucket,)| position(bucket));
    loop {
        let Some(bucket) = Bucket::read(store, first).await? else {
            return if first == Position::new(1) {
                Ok(Bucket::unopened(first, Epoch::ZERO))
            } else {
                Err(missing(store, first))
            };
        };
        match bucket.successor {
            // A bucket that was not listed is found along the chain.
            Some(successor) if successor <= at => first = successor,
            _ => return Ok(bucket),
        }
    }
}

async fn list(store: &Store, bucket: Position) -> Result<(), JournalError> {
    store.run(&LIST, (&store.log, signed(bucket.get()))).await.map(|_| ())
}

fn missing(store: &Store, bucket: Position) -> JournalError {
    JournalError::Damaged {
        position: bucket,
        place: format!("table commits of {}", store.place),
        offset: 0,
        what: format!("bucket {bucket} is listed and its static row is not there"),
    }
}
