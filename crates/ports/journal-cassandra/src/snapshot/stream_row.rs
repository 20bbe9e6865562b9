//! A stream's row: which snapshots count, and which lists of pages do not.
//!
//! All rows of a log are one partition, whose static row holds the highest epoch that has written a snapshot. Each change
//! is conditional on that epoch and on what the row said before, so a deposed leader's snapshot never comes to count, and
//! what it has left can be deleted by its successor without asking.

use crate::pages::{Binding, Id};
use crate::rows::{position, signed};
use crate::store::{Mode, Query, Store};
use capstan_ids::{Epoch, StreamName, WallTime};
use capstan_journal::{JournalError, SnapshotInfo};

const FIRST_FENCE: Query = Query {
    operation: "begin a snapshot",
    text: "INSERT INTO snapshots (log, epoch) VALUES (?, ?) IF NOT EXISTS",
    mode: Mode::Conditional,
};
const FENCE: Query = Query {
    operation: "begin a snapshot",
    text: "UPDATE snapshots SET epoch = ? WHERE log = ? IF epoch <= ?",
    mode: Mode::Conditional,
};
const EPOCH: Query = Query {
    operation: "read who writes snapshots",
    text: "SELECT DISTINCT log, epoch FROM snapshots WHERE log = ?",
    mode: Mode::Serial,
};
const READ: Query = Query {
    operation: "read a stream's snapshots",
    text: "SELECT kept, unswept FROM snapshots WHERE log = ? AND stream = ?",
    mode: Mode::Serial,
};
const ALL: Query = Query {
    operation: "list the snapshots",
    text: "SELECT stream, kept, unswept FROM snapshots WHERE log = ?",
    mode: Mode::Read,
};
const CHANGE: Query = Query {
    operation: "change a stream's snapshots",
    text: "UPDATE snapshots SET kept = ?, unswept = ? WHERE log = ? AND stream = ? \
           IF kept = ? AND unswept = ? AND epoch <= ?",
    mode: Mode::Conditional,
};
const ROWS_A_PAGE: i32 = 500;
/// Only one server writes here: more tries than these mean that something is wrong.
const TRIES_MAX: usize = 16;

/// Position, epoch, time, bytes, list, pages and sum.
type Column = (i64, i64, i64, i64, Vec<u8>, i32, Vec<u8>);

/// A snapshot that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    pub info: SnapshotInfo,
    pub binding: Binding,
}

/// What a stream's row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StreamRow {
    pub stream: StreamName,
    /// Newest first.
    pub kept: Vec<Kept>,
    /// Lists that do not count, and under which epoch they were made: unfinished, or no longer wanted.
    pub unswept: Vec<(Id, Epoch)>,
}

/// What became of a change.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// The row says what it should.
    Yes,
    /// There is nothing to change; or there is no longer what was to be changed.
    No,
}

impl StreamRow {
    pub async fn read(store: &Store, stream: &StreamName) -> Result<Self, JournalError> {
        type Row = (Option<Vec<Column>>, Option<Vec<(Vec<u8>, i64)>>);
        let row: Option<Row> = store.row(&READ, (&store.log, stream.as_str())).await?;
        let (kept, unswept) = row.unwrap_or_default();
        Self::of(store, stream.clone(), kept, unswept)
    }

    /// The rows of all streams.
    pub async fn all(store: &Store) -> Result<Vec<Self>, JournalError> {
        // Finishes what was begun in the partition; a quorum has everything then.
        highest_epoch(store).await?;
        type Row = (Option<String>, Option<Vec<Column>>, Option<Vec<(Vec<u8>, i64)>>);
        let rows: Vec<Row> = store.all(&ALL, (&store.log,), ROWS_A_PAGE).await?;
        let mut all = Vec::new();
        for (stream, kept, unswept) in rows {
            // A partition with nothing but its static row is answered as one row without a stream.
            let Some(stream) = stream else { continue };
            let stream = StreamName::new(&stream).map_err(|_| damaged(store, &stream, "it is no stream's name"))?;
            all.push(Self::of(store, stream, kept, unswept)?);
        }
        Ok(all)
    }

    fn of(
        store: &Store,
        stream: StreamName,
        kept: Option<Vec<Column>>,
        unswept: Option<Vec<(Vec<u8>, i64)>>,
    ) -> Result<Self, JournalError> {
        let short = |_| damaged(store, stream.as_str(), "a name or a sum is not 16 bytes long");
        let kept = kept.unwrap_or_default().into_iter().map(|(at, epoch, made, bytes, id, pages, sum)| {
            let info = SnapshotInfo {
                stream: stream.clone(),
                position: position(at),
                epoch: Epoch::new(epoch.unsigned_abs()),
                at: WallTime(made),
                bytes: bytes.unsigned_abs(),
            };
            let binding = Binding { id: id.try_into().map_err(short)?, pages, sum: sum.try_into().map_err(short)? };
            Ok(Kept { info, binding })
        });
        let kept = kept.collect::<Result<_, JournalError>>()?;
        let unswept = unswept.unwrap_or_default().into_iter();
        let unswept = unswept.map(|(id, epoch)| Ok((id.try_into().map_err(short)?, Epoch::new(epoch.unsigned_abs()))));
        let unswept = unswept.collect::<Result<_, JournalError>>()?;
        Ok(Self { stream, kept, unswept })
    }

    /// Changes the row by `alter`, under an epoch that is not over. `alter` answers whether it changed anything; it is
    /// called again where somebody else was faster, or where it is not known whether it was done.
    pub async fn change(
        store: &Store,
        stream: &StreamName,
        epoch: Epoch,
        mut alter: impl FnMut(&mut Self) -> Changed,
    ) -> Result<Changed, JournalError> {
        let mut failure = None;
        for _ in 0..TRIES_MAX {
            let before = Self::read(store, stream).await?;
            let mut after = before.clone();
            if alter(&mut after) == Changed::No {
                return Ok(Changed::No);
            }
            if after == before {
                return Ok(Changed::Yes);
            }
            let limit = signed(epoch.get());
            let ((kept, unswept), (was_kept, was_unswept)) = (after.columns(), before.columns());
            let values = (kept, unswept, &store.log, stream.as_str(), was_kept, was_unswept, limit);
            match store.applied(&CHANGE, values).await {
                Ok(true) => return Ok(Changed::Yes),
                Ok(false) => {
                    let seen = highest_epoch(store).await?;
                    if seen > epoch {
                        return Err(JournalError::Deposed { epoch, seen });
                    }
                }
                Err(error) => failure = Some(error),
            }
        }
        let text = || crate::fault::store(&store.place, CHANGE.operation, "others change it all the time".to_owned());
        Err(failure.unwrap_or_else(text))
    }

    /// What the columns hold; null where there is nothing, so that a stream without snapshots leaves no row.
    #[allow(clippy::type_complexity, reason = "two columns, as the driver takes them")]
    fn columns(&self) -> (Option<Vec<Column>>, Option<Vec<(Vec<u8>, i64)>>) {
        let kept = self.kept.iter().map(|Kept { info, binding }| {
            let (at, epoch) = (signed(info.position.get()), signed(info.epoch.get()));
            let (id, sum) = (binding.id.to_vec(), binding.sum.to_vec());
            (at, epoch, info.at.micros(), signed(info.bytes), id, binding.pages, sum)
        });
        let kept: Vec<Column> = kept.collect();
        let unswept: Vec<_> = self.unswept.iter().map(|(id, epoch)| (id.to_vec(), signed(epoch.get()))).collect();
        (Some(kept).filter(|kept| !kept.is_empty()), Some(unswept).filter(|unswept| !unswept.is_empty()))
    }
}

/// Lets no leadership before `epoch` finish a snapshot any more.
pub(super) async fn fence(store: &Store, epoch: Epoch) -> Result<(), JournalError> {
    let number = signed(epoch.get());
    if store.applied(&FIRST_FENCE, (&store.log, number)).await?
        || store.applied(&FENCE, (number, &store.log, number)).await?
    {
        return Ok(());
    }
    Err(JournalError::Deposed { epoch, seen: highest_epoch(store).await? })
}

/// The highest epoch that has begun a snapshot.
pub(super) async fn highest_epoch(store: &Store) -> Result<Epoch, JournalError> {
    let row: Option<(String, Option<i64>)> = store.row(&EPOCH, (&store.log,)).await?;
    Ok(row.and_then(|(_, epoch)| epoch).map_or(Epoch::ZERO, |epoch| Epoch::new(epoch.unsigned_abs())))
}

fn damaged(store: &Store, stream: &str, what: &str) -> JournalError {
    JournalError::Damaged {
        position: capstan_ids::Position::ZERO,
        place: format!("table snapshots, stream {stream}, of {}", store.place),
        offset: 0,
        what: what.to_owned(),
    }
}
