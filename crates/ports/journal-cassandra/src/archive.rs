//! Audited events that have left the log: per stream a row for each bucket that held events of it, which names a list.
//!
//! Events of one commit that stood apart in the log stand apart here too: each run of neighbours is a commit of its
//! own under its first event's position.

use crate::chain::Bucket;
use crate::pages::{self, Binding, Id};
use crate::reader;
use crate::rows::{position, signed};
use crate::store::{Mode, Query, Store};
use capstan_ids::{Epoch, Position, StreamName, WallTime};
use capstan_journal::{Commit, JournalError, Names, Recorded};
use std::collections::VecDeque;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_128;

const KEEP: Query = Query {
    operation: "archive a bucket",
    text: "INSERT INTO archives (log, stream, bucket, last, last_at, id, pages, sum, dropped) \
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, false)",
    mode: Mode::Write,
};
const LIST: Query = Query {
    operation: "list the archive",
    text: "SELECT bucket, last, last_at, id, pages, sum, dropped FROM archives WHERE log = ? AND stream = ?",
    mode: Mode::Read,
};
const DROP: Query = Query {
    operation: "let go of an archived bucket",
    text: "UPDATE archives SET dropped = true WHERE log = ? AND stream = ? AND bucket = ?",
    mode: Mode::Write,
};
const FORGET: Query = Query {
    operation: "forget an archived bucket",
    text: "DELETE FROM archives WHERE log = ? AND stream = ? AND bucket = ?",
    mode: Mode::Write,
};
const ROWS_A_PAGE: i32 = 1000;

/// An archived bucket of a stream.
struct Archived {
    bucket: i64,
    /// The position after its last event.
    end: Position,
    last_at: WallTime,
    binding: Binding,
    dropped: bool,
}

/// Copies what `bucket` holds of `stream` to the stream's archive. May be repeated: it writes the same again.
pub(crate) async fn keep(store: &Arc<Store>, bucket: &Bucket, stream: &StreamName) -> Result<(), JournalError> {
    let mut sheet = Sheet::begin(store, bucket.first, stream);
    let mut reader = reader::Reader::over(Arc::clone(store), *bucket, bucket.first, bucket.next);
    while let Some(recorded) = reader.read().await? {
        for run in runs(&recorded, stream) {
            sheet.add(&run).await?;
        }
    }
    sheet.finish().await
}

/// Puts runs of `stream` into its archive as they are; the first one's position stands for a bucket.
pub(crate) async fn put(store: &Store, stream: &StreamName, runs: &[Recorded]) -> Result<(), JournalError> {
    let Some(first) = runs.first() else { return Ok(()) };
    let mut sheet = Sheet::begin(store, first.position, stream);
    for run in runs {
        sheet.add(run).await?;
    }
    sheet.finish().await
}

/// A list of runs as it is written.
struct Sheet<'a> {
    store: &'a Store,
    bucket: Position,
    stream: &'a StreamName,
    writer: pages::Writer<'a>,
    record: Vec<u8>,
    /// Where the last run ended, and when the newest of all was made.
    last: Option<(Position, WallTime)>,
}

impl<'a> Sheet<'a> {
    fn begin(store: &'a Store, bucket: Position, stream: &'a StreamName) -> Self {
        let writer = pages::Writer::new(store, list_of(store, bucket, stream));
        Self { store, bucket, stream, writer, record: Vec::new(), last: None }
    }

    async fn add(&mut self, run: &Recorded) -> Result<(), JournalError> {
        self.record.clear();
        let made = run.commit.at();
        for number in [run.position.get(), run.epoch.get(), made.micros() as u64] {
            self.record.extend_from_slice(&number.to_le_bytes());
        }
        run.commit.encode(&mut self.record);
        self.writer.add(&self.record).await?;
        let at = self.last.map_or(made, |(_, at)| at.max(made));
        self.last = Some((run.position.plus(run.commit.events()), at));
        Ok(())
    }

    /// From here on it counts, unless there is nothing in it.
    async fn finish(self) -> Result<(), JournalError> {
        let Some((end, at)) = self.last else { return Ok(()) };
        let (binding, _) = self.writer.finish().await?;
        let (bucket, end) = (signed(self.bucket.get()), signed(end.get()));
        let (log, stream) = (&self.store.log, self.stream.as_str());
        let values = (log, stream, bucket, end, at.micros(), &binding.id[..], binding.pages, &binding.sum[..]);
        self.store.run(&KEEP, values).await.map(|_| ())
    }
}

/// The same whenever it is archived: a server that died while it did so has left nothing that is not written over.
fn list_of(store: &Store, bucket: Position, stream: &StreamName) -> Id {
    xxh3_128(format!("archive {} {} {}", store.log, bucket, stream.as_str()).as_bytes()).to_le_bytes()
}

/// The events of one stream in a commit, neighbours together.
fn runs(recorded: &Recorded, stream: &StreamName) -> Vec<Recorded> {
    let mut runs: Vec<Recorded> = Vec::new();
    for entry in recorded.commit.entries(recorded.position).filter(|entry| entry.stream == stream) {
        match runs.last_mut() {
            Some(run) if run.position.plus(run.commit.events()) == entry.position => {
                run.commit.push(stream, |bytes| bytes.extend_from_slice(entry.event));
            }
            _ => {
                let mut commit = Commit::new(recorded.commit.at());
                commit.push(stream, |bytes| bytes.extend_from_slice(entry.event));
                runs.push(Recorded { position: entry.position, epoch: recorded.epoch, commit });
            }
        }
    }
    runs
}

/// Reads the archived events of `stream` from `from` on, below `low`, where the log begins.
pub(crate) async fn read(
    store: &Arc<Store>,
    stream: &StreamName,
    from: Position,
    low: Position,
) -> Result<Reader, JournalError> {
    let archived = listed(store, stream).await?;
    let wanted = |archived: &Archived| !archived.dropped && archived.end > from && position(archived.bucket) < low;
    let lists = archived
        .into_iter()
        .filter(wanted)
        .map(|archived| pages::Reader::new(Arc::clone(store), archived.binding, position(archived.bucket)));
    Ok(Reader { lists: lists.collect(), from, low, names: Names::default(), failed: false })
}

/// Lets go of the archived buckets of `stream` whose last event was made before `before`.
pub(crate) async fn trim(store: &Store, stream: &StreamName, before: WallTime) -> Result<(), JournalError> {
    for archived in listed(store, stream).await? {
        if !archived.dropped && archived.last_at >= before {
            continue;
        }
        let values = (&store.log, stream.as_str(), archived.bucket);
        // First nobody reads it, then it goes: a server that dies in between leaves nothing that looks damaged.
        store.run(&DROP, values).await?;
        pages::delete(store, &archived.binding.id).await?;
        store.run(&FORGET, values).await?;
    }
    Ok(())
}

async fn listed(store: &Store, stream: &StreamName) -> Result<Vec<Archived>, JournalError> {
    type Row = (i64, Option<i64>, Option<i64>, Option<Vec<u8>>, Option<i32>, Option<Vec<u8>>, Option<bool>);
    let rows: Vec<Row> = store.all(&LIST, (&store.log, stream.as_str()), ROWS_A_PAGE).await?;
    let archived = rows.into_iter().map(|(bucket, last, last_at, id, pages, sum, dropped)| {
        let sixteen = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| Id::try_from(bytes).ok());
        let whole = last.zip(last_at).zip(pages).zip(sixteen(id).zip(sixteen(sum)));
        let Some((((end, last_at), pages), (id, sum))) = whole else {
            return Err(JournalError::Damaged {
                position: position(bucket),
                place: format!("table archives, stream {}, bucket {bucket}, of {}", stream.as_str(), store.place),
                offset: 0,
                what: "a column is empty".to_owned(),
            });
        };
        let binding = Binding { id, pages, sum };
        let dropped = dropped.unwrap_or(false);
        Ok(Archived { bucket, end: position(end), last_at: WallTime(last_at), binding, dropped })
    });
    archived.collect()
}

/// Archived commits in their order.
pub(crate) struct Reader {
    lists: VecDeque<pages::Reader>,
    from: Position,
    low: Position,
    names: Names,
    failed: bool,
}

impl Reader {
    fn read(&mut self) -> Result<Option<Recorded>, JournalError> {
        while let Some(list) = self.lists.front_mut() {
            let Some(record) = list.next().transpose()? else {
                self.lists.pop_front();
                continue;
            };
            let recorded =
                decoded(&record, &mut self.names).ok_or_else(|| list.damaged("it holds what is no commit"))?;
            let end = recorded.position.plus(recorded.commit.events());
            // What is still in the log is read from there: a server may have died between archiving and dropping.
            if end > self.from && recorded.position < self.low {
                return Ok(Some(recorded));
            }
        }
        Ok(None)
    }
}

fn decoded(record: &[u8], names: &mut Names) -> Option<Recorded> {
    let number = |at: usize| Some(u64::from_le_bytes(*record.get(at..)?.first_chunk()?));
    let (position, epoch, at) = (Position::new(number(0)?), Epoch::new(number(8)?), WallTime(number(16)? as i64));
    let (commit, taken) = Commit::decode(at, &record[24..], names).ok()?;
    (taken == record.len() - 24).then_some(Recorded { position, epoch, commit })
}

impl Iterator for Reader {
    type Item = Result<Recorded, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let read = self.read();
        self.failed = read.is_err();
        read.transpose()
    }
}
