//! Streams commits back, page by page, beside the writer and without holding it up.
//!
//! The end was read serially when the reader was made: everything below it has been finished on a quorum by then, so a
//! quorum is asked for the rows, and a position that is missing among them is damage.

use crate::chain::{self, Bucket};
use crate::log::low;
use crate::parts;
use crate::rows::{Head, position, signed};
use crate::store::{Mode, Query, Store};
use capstan_ids::{Epoch, Position, WallTime};
use capstan_journal::{Commit, JournalError, Names, Recorded};
use scylla::response::{PagingState, PagingStateResponse};
use std::collections::VecDeque;
use std::sync::Arc;

const COMMITS: Query = Query {
    operation: "read the log",
    text: "SELECT position, id, made_under, at, events, parts, body FROM commits \
           WHERE log = ? AND bucket = ? AND position >= ? AND position < ?",
    mode: Mode::Read,
};
const HOLDING: Query = Query {
    operation: "find the commit that holds a position",
    text: "SELECT position FROM commits WHERE log = ? AND bucket = ? AND position <= ? ORDER BY position DESC LIMIT 1",
    mode: Mode::Read,
};
/// Rows are 64 KiB at most.
const ROWS_A_PAGE: i32 = 200;

type Row = (i64, Option<Vec<u8>>, Option<i64>, Option<i64>, Option<i32>, Option<i32>, Option<Vec<u8>>);

/// The commits from a position on, up to the end as it was when the reader was made.
pub(crate) struct Reader {
    store: Arc<Store>,
    bucket: Bucket,
    /// Where reading this bucket began: the same for all its pages.
    begun: Position,
    /// Where the next commit begins, if none is missing.
    expected: Position,
    end: Position,
    page: VecDeque<Row>,
    /// Where the bucket's next page begins; none after its last.
    following: Option<PagingState>,
    names: Names,
    /// Nothing is read beyond the first failure.
    failed: bool,
}

impl Reader {
    /// The commits from the one that holds `from` on. `last` is the log's last bucket, as it was just read.
    pub async fn new(store: Arc<Store>, from: Position, last: Bucket) -> Result<Self, JournalError> {
        let begins = low(&store).await?.first;
        if from < begins {
            return Err(JournalError::Dropped { asked: from, first: begins });
        }
        if from >= last.next {
            return Ok(Self::over(store, last, last.next, last.next));
        }
        let bucket = if from >= last.first { last } else { chain::holding(&store, from, begins).await? };
        let mut reader = Self::over(store, bucket, from.max(bucket.first), last.next);
        if from > bucket.first && from < bucket.next {
            let values = (&reader.store.log, signed(bucket.first.get()), signed(from.get()));
            let found: Option<(i64,)> = reader.store.row(&HOLDING, values).await?;
            match found {
                Some((at,)) => (reader.begun, reader.expected) = (position(at), position(at)),
                None => return Err(reader.missing(bucket.first).await),
            }
        } else if from >= bucket.next {
            // Between a bucket and the one that a leap put after it.
            reader.expected = bucket.next;
            reader.following = None;
        }
        Ok(reader)
    }

    /// The commits of `bucket` from `from` on, which one of them begins at, and of those after it.
    pub fn over(store: Arc<Store>, bucket: Bucket, from: Position, end: Position) -> Self {
        Self {
            store,
            bucket,
            begun: from,
            expected: from,
            end,
            page: VecDeque::new(),
            following: Some(PagingState::start()),
            names: Names::default(),
            failed: false,
        }
    }

    pub async fn read(&mut self) -> Result<Option<Recorded>, JournalError> {
        loop {
            if let Some(row) = self.page.pop_front() {
                return self.commit(row).await.map(Some);
            }
            if self.expected >= self.end {
                return Ok(None);
            }
            if let Some(from) = self.following.take() {
                self.turn(from).await?;
                continue;
            }
            let ends = self.bucket.next.min(self.end);
            if self.expected < ends {
                return Err(self.missing(self.expected).await);
            }
            // Behind a leap there is no bucket before something was put into it.
            let Some(successor) = self.bucket.successor.filter(|successor| *successor < self.end) else {
                return Ok(None);
            };
            match Bucket::read(&self.store, successor).await? {
                Some(bucket) => self.bucket = bucket,
                None => return Err(self.missing(successor).await),
            }
            (self.begun, self.expected, self.following) = (successor, successor, Some(PagingState::start()));
        }
    }

    async fn turn(&mut self, from: PagingState) -> Result<(), JournalError> {
        let (begins, ends) = (signed(self.begun.get()), signed(self.bucket.next.min(self.end).get()));
        let values = (&self.store.log, signed(self.bucket.first.get()), begins, ends);
        let (rows, next) = self.store.page(&COMMITS, values, ROWS_A_PAGE, from).await?;
        self.page = rows.into();
        if let PagingStateResponse::HasMorePages { state } = next {
            self.following = Some(state);
        }
        Ok(())
    }

    async fn commit(&mut self, row: Row) -> Result<Recorded, JournalError> {
        let (at, id, epoch, made, events, parts, body) = row;
        let found = position(at);
        if found != self.expected {
            return Err(self.missing(self.expected).await);
        }
        // A column that is gone leaves a commit that does not have its name.
        let id = id.unwrap_or_default();
        let mut body = body.unwrap_or_default();
        if parts.unwrap_or_default() > 0 {
            body = parts::read(&self.store, self.bucket.first, found, &id).await?;
        }
        let head = Head {
            position: found,
            epoch: Epoch::new(epoch.unwrap_or_default().unsigned_abs()),
            at: WallTime(made.unwrap_or_default()),
            events: u64::from(events.unwrap_or_default().unsigned_abs()),
        };
        if id != head.id(&self.store.log, &body) {
            // Retention may have taken the parts away after the row was read.
            return Err(self.lost(found, "its bytes are not those that its name was made of").await);
        }
        let (commit, taken) =
            Commit::decode(head.at, &body, &mut self.names).map_err(|error| self.damaged(found, &error.to_string()))?;
        if taken != body.len() || commit.events() != head.events || head.events == 0 {
            return Err(self.damaged(found, "it holds more or less than its row says"));
        }
        self.expected = found.plus(head.events);
        Ok(Recorded { position: found, epoch: head.epoch, commit })
    }

    async fn missing(&self, at: Position) -> JournalError {
        self.lost(at, "no commit stands there, and one did").await
    }

    /// What is not there was dropped, or it is damage.
    async fn lost(&self, at: Position, what: &str) -> JournalError {
        match low(&self.store).await {
            Ok(low) if low.first > at => JournalError::Dropped { asked: at, first: low.first },
            Ok(_) => self.damaged(at, what),
            Err(error) => error,
        }
    }

    fn damaged(&self, at: Position, what: &str) -> JournalError {
        JournalError::Damaged {
            position: at,
            place: format!("table commits, bucket {}, of {}", self.bucket.first, self.store.place),
            offset: 0,
            what: what.to_owned(),
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Recorded, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let store = Arc::clone(&self.store);
        let read = store.wait(self.read());
        self.failed = read.is_err();
        read.transpose()
    }
}
