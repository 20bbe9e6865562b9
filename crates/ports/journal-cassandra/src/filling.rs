//! Being filled with commits, many at a time.
//!
//! A bucket that is being filled says so in its static row: under the highest epoch there is, so that no append passes,
//! whoever had the log open before. Its rows are then written unconditionally, many at once, and count when the row says
//! where they end, which is one conditional step. A bucket is begun before the one before it is sealed: the chain
//! never ends in one that somebody else could open.

use crate::chain::Bucket;
use crate::log::Log;
use crate::rows::{Head, signed};
use crate::store::{Mode, Query};
use crate::{parts, takeover};
use capstan_ids::{Epoch, Position};
use capstan_journal::{Append, JournalError, Recorded, Refusal};
use futures::stream::{self, StreamExt, TryStreamExt};

/// What a bucket's static row has as its epoch while it is filled: no append is made under a higher one.
pub(crate) const FILLING: Epoch = Epoch::new(i64::MAX as u64);

const CLAIM: Query = Query {
    operation: "begin to fill a bucket",
    text: "UPDATE commits SET epoch = ? WHERE log = ? AND bucket = ? IF next = ? AND epoch <= ? AND successor = null",
    mode: Mode::Conditional,
};
const FILLED: Query = Query {
    operation: "seal a filled bucket",
    text: "UPDATE commits SET next = ?, epoch = ?, bytes = ?, successor = ? WHERE log = ? AND bucket = ? \
           IF next = ? AND epoch = ? AND successor = null",
    mode: Mode::Conditional,
};
const PUT: Query = Query {
    operation: "restore commits",
    text: "INSERT INTO commits (log, bucket, position, id, made_under, at, events, parts, body) \
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    mode: Mode::Write,
};

/// Rows and bytes of one request, all in one partition; a request may be half a segment of the commit log.
const ROWS_MAX: usize = 128;
const REQUEST_BYTES: usize = 256 << 10;
const REQUESTS_AT_ONCE: usize = 8;

/// A commit as the columns of its row.
type Row = (String, i64, i64, Vec<u8>, i64, i64, i32, i32, Vec<u8>);

/// Rows that go together, and how much they weigh.
#[derive(Default)]
struct Requests {
    all: Vec<Vec<Row>>,
    bytes: usize,
}

impl Requests {
    fn add(&mut self, row: Row) {
        let weight = row.8.len();
        let is_full = self.all.last().is_none_or(|rows| rows.len() >= ROWS_MAX);
        if is_full || self.bytes + weight > REQUEST_BYTES {
            self.all.push(Vec::new());
            self.bytes = 0;
        }
        self.bytes += weight;
        self.all.last_mut().expect("one was added where there was none").push(row);
    }
}

impl Log {
    /// Makes a log in which nothing stands yet begin elsewhere, to be filled.
    pub async fn begin_at(&mut self, first: Position, epoch: Epoch) -> Result<(), JournalError> {
        let mut last = self.look().await?;
        self.claim(first).await?;
        // The first bucket stays behind, sealed, as one that was trimmed does.
        if first > last.next {
            if !last.is_open {
                last.open(&self.store).await?;
            }
            if !last.seal(&self.store, epoch, first).await? {
                return Err(self.written_by_others("begin a restore"));
            }
        }
        self.filling = Some(Bucket { is_open: true, ..Bucket::unopened(first, epoch) });
        Ok(())
    }

    /// Puts commits into the bucket that is being filled, and into those after it.
    pub async fn put(&mut self, commits: &[Recorded]) -> Append {
        let largest = commits.iter().map(|recorded| recorded.commit.size()).max().unwrap_or(0);
        if let Err(refusal @ Refusal::TooLarge { .. }) = self.reserve(largest) {
            return Append::Refused(refusal);
        }
        match self.put_all(commits).await {
            Ok(true) => Append::Committed,
            Ok(false) => Append::Fenced,
            Err(error @ JournalError::Damaged { .. }) => Append::Broken(error),
            Err(error) => Append::Unknown(error),
        }
    }

    async fn put_all(&mut self, commits: &[Recorded]) -> Result<bool, JournalError> {
        let mut filling = self.filled("restore commits")?;
        let mut requests = Requests::default();
        for Recorded { position, epoch, commit } in commits {
            let mut body = Vec::with_capacity(commit.encoded_max());
            commit.encode(&mut body);
            let head = Head { position: *position, epoch: *epoch, at: commit.at(), events: commit.events() };
            let id = head.id(&self.store.log, &body);
            if *position < filling.next {
                // It was put before an answer was lost, or it is another.
                if self.stands(&head, &id).await? {
                    continue;
                }
                return Ok(false);
            }
            if *epoch < filling.epoch {
                return Ok(false);
            }
            if *position > filling.next || filling.bytes >= self.bucket_bytes() {
                self.flow(std::mem::take(&mut requests), filling).await?;
                self.roll(*position).await?;
                filling = self.filled("restore commits")?;
            }
            let (parts, bucket) = (parts::count(body.len()), signed(filling.first.get()));
            let weight = body.len();
            if parts > 0 {
                parts::write(&self.store, filling.first, *position, &id, &body).await?;
                body.clear();
            }
            let events = i32::try_from(head.events).expect("a commit below 256 MiB has fewer than 2^31 events");
            let (at, made_under, made) = (signed(position.get()), signed(epoch.get()), head.at.micros());
            let log = self.store.log.clone();
            requests.add((log, bucket, at, id.to_vec(), made_under, made, events, parts as i32, body));
            filling.next = position.plus(head.events);
            filling.epoch = *epoch;
            filling.bytes += weight as u64 + crate::log::ROW_BYTES;
        }
        self.flow(requests, filling).await?;
        Ok(true)
    }

    /// Writes rows; once all of them are on a quorum the bucket is filled so far.
    async fn flow(&mut self, requests: Requests, filled: Bucket) -> Result<(), JournalError> {
        let store = &self.store;
        let writes = requests.all.into_iter().map(async |rows| store.run_all(&PUT, rows).await);
        stream::iter(writes).buffer_unordered(REQUESTS_AT_ONCE).try_collect::<()>().await?;
        self.filling = Some(filled);
        Ok(())
    }

    /// Goes on filling in a bucket that begins at `first`.
    pub async fn roll(&mut self, first: Position) -> Result<(), JournalError> {
        let filling = self.filled("leave positions out")?;
        if first == filling.first {
            return Ok(());
        }
        self.claim(first).await?;
        self.seal_filled(first).await?;
        self.filling = Some(Bucket { is_open: true, ..Bucket::unopened(first, filling.epoch) });
        Ok(())
    }

    /// Ends the filling: the log goes on at `first`, by appends.
    pub async fn end_filling(&mut self, first: Position) -> Result<(), JournalError> {
        self.seal_filled(first).await?;
        self.filling = None;
        self.look().await.map(drop)
    }

    /// Makes what was put into the bucket count, and lets nothing more come into it.
    async fn seal_filled(&mut self, successor: Position) -> Result<(), JournalError> {
        let Bucket { first, next, epoch, bytes, .. } = self.filled(FILLED.operation)?;
        let (bucket, ends) = (signed(first.get()), signed(next.get()));
        let (log, filling) = (&self.store.log, signed(FILLING.get()));
        let (epoch_column, after) = (signed(epoch.get()), signed(successor.get()));
        let values = (ends, epoch_column, signed(bytes), after, log, bucket, bucket, filling);
        if self.store.applied(&FILLED, values).await? {
            return Ok(());
        }
        // The answer of an earlier try may have been lost.
        let stands = Bucket::read(&self.store, first).await?;
        let filled = |stands: &Bucket| (stands.next, stands.epoch, stands.successor) == (next, epoch, Some(successor));
        if stands.as_ref().is_some_and(filled) { Ok(()) } else { Err(self.written_by_others(FILLED.operation)) }
    }

    /// Opens a bucket that only this restore puts anything into.
    async fn claim(&self, first: Position) -> Result<(), JournalError> {
        Bucket::unopened(first, FILLING).open(&self.store).await?;
        let (bucket, filling) = (signed(first.get()), signed(FILLING.get()));
        if self.store.applied(&CLAIM, (filling, &self.store.log, bucket, bucket, filling)).await? {
            return Ok(());
        }
        Err(self.written_by_others(CLAIM.operation))
    }

    fn filled(&self, operation: &'static str) -> Result<Bucket, JournalError> {
        let text = "no restore was begun here".to_owned();
        self.filling.ok_or_else(|| crate::fault::store(&self.store.place, operation, text))
    }

    /// Refuses a log whose last bucket is being filled by a restore.
    pub fn see_not_filling(&self, last: &Bucket) -> Result<(), JournalError> {
        if last.epoch == FILLING { Err(takeover::unfinished(&self.store)) } else { Ok(()) }
    }
}
