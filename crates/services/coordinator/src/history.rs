//! What an audited stream was told, and what it was like at some time: read beside the owner.

mod facts;

pub(crate) use facts::Parked;
pub use facts::{FACTS_MAX, FactFilter, FactPage};

use crate::failure::Failure;
use crate::handle::Handle;
use crate::message::{Log, Message};
use crate::streams;
use capstan_ids::{Moment, Position, StreamName, WallTime};
use capstan_journal::{Journal, JournalError, SnapshotRows};
use capstan_registry::{Event, Registry};
use tokio::sync::oneshot;

/// An event as it stands in the log: where, when it was made, and what it says.
type Kept = (Position, WallTime, Vec<u8>);

/// What is to be read.
pub(crate) struct HistoryLook {
    stream: StreamName,
    /// Events from there on.
    from: Position,
    /// As it was then: from the newest snapshot that is not younger.
    at: Option<WallTime>,
}

/// What there is, opened.
pub(crate) struct History {
    snapshot: Option<SnapshotRows>,
    /// The oldest snapshot that is there, where none is old enough and the beginning may be gone.
    oldest: Option<WallTime>,
    archive: Log,
    log: Log,
}

impl HistoryLook {
    /// On the owner's thread: opens, and reads nothing yet. Up to `edge` retention may have let go of what snapshots hold.
    pub fn open(self, journal: &mut dyn Journal, edge: WallTime) -> Result<History, JournalError> {
        let mut from = self.from;
        let (mut snapshot, mut oldest) = (None, None);
        if let Some(at) = self.at {
            let mut infos = journal.snapshots()?;
            infos.retain(|info| info.stream == self.stream);
            match infos.iter().filter(|info| info.at <= at).max_by_key(|info| info.position) {
                Some(info) => {
                    snapshot = Some(journal.read_snapshot(info)?);
                    from = info.position.plus(1);
                }
                None => oldest = infos.iter().map(|info| info.at).min().filter(|at| *at <= edge),
            }
        }
        let archive = journal.read_archive(&self.stream, from)?;
        let tail = journal.tail()?;
        let first = from.max(tail.first);
        let log: Log = if first < tail.next { journal.read(first)? } else { Box::new(std::iter::empty()) };
        Ok(History { snapshot, oldest, archive, log })
    }
}

impl History {
    /// Every event of the stream, with its position and when it was made, in order.
    fn events(self, stream: StreamName, from: Position) -> impl Iterator<Item = Result<Kept, JournalError>> {
        let mut reached = from;
        self.archive.chain(self.log).flat_map(move |recorded| match recorded {
            Err(error) => vec![Err(error)],
            Ok(recorded) => {
                let at = recorded.commit.at();
                let mine = recorded.commit.entries(recorded.position).filter(|entry| *entry.stream == stream);
                // What was archived may still be in the log.
                let new: Vec<_> = mine
                    .filter(|entry| entry.position >= reached)
                    .map(|entry| Ok((entry.position, at, entry.event.to_vec())))
                    .collect();
                reached = reached.max(recorded.position.plus(recorded.commit.events()));
                new
            }
        })
    }
}

/// Why a history cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The server does not answer now.
    #[error(transparent)]
    Failure(#[from] Failure),
    /// It cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// An event or a snapshot is not of this version, or is damaged.
    #[error("the history cannot be read at position {position}: {what}")]
    Unreadable {
        /// Where.
        position: Position,
        /// What is wrong.
        what: String,
    },
    /// Nothing is kept from so far back.
    #[error("what was before {first:?} is no longer kept")]
    TooOld {
        /// The oldest moment that can be told of, in microseconds.
        first: Option<i64>,
    },
    /// The reading thread ended.
    #[error("the history could not be read to its end")]
    Cut,
}

impl Handle {
    /// The registry as it was at a time.
    pub async fn registry_at(&self, at: WallTime) -> Result<Registry, HistoryError> {
        let mut history = self.open_history(Position::new(1), Some(at)).await?;
        read(move || {
            let moment = |wall| Moment { wall, ..Moment::default() };
            let whole = |what: String| HistoryError::Unreadable { position: Position::new(1), what };
            let mut registry = Registry::new();
            let mut begins = history.snapshot.is_some();
            let oldest = history.oldest;
            if let Some(mut rows) = history.snapshot.take() {
                let header = rows.next().transpose()?.ok_or_else(|| whole("the snapshot has no rows".into()))?;
                let mut restore = Registry::restore(&header, moment(at)).map_err(|error| whole(error.to_string()))?;
                for row in rows {
                    restore.row(&row?).map_err(|error| whole(error.to_string()))?;
                }
                registry = restore.finish().map_err(|error| whole(error.to_string()))?;
            }
            for event in history.events(streams::named(streams::REGISTRY), Position::new(1)) {
                let (position, made, bytes) = event?;
                let event = decode(position, &bytes)?;
                if !begins {
                    // Without a snapshot to begin with, the first event that is kept must be the first of all.
                    if oldest.is_some() || !is_beginning(&event) {
                        return Err(HistoryError::TooOld { first: Some(oldest.unwrap_or(made).micros()) });
                    }
                    begins = true;
                }
                if made > at {
                    break;
                }
                registry.apply(moment(made), &event);
            }
            match oldest {
                Some(told_from) if !begins => Err(HistoryError::TooOld { first: Some(told_from.micros()) }),
                _ => Ok(registry),
            }
        })
        .await
    }

    async fn open_history(&self, from: Position, at: Option<WallTime>) -> Result<History, HistoryError> {
        let (reply, answer) = oneshot::channel();
        let look = HistoryLook { stream: streams::named(streams::REGISTRY), from, at };
        self.send(Message::ReadHistory { look, reply })?;
        Ok(answer.await.map_err(|_| self.gone())???)
    }
}

/// What a registry that has never known anything is told first.
fn is_beginning(event: &Event) -> bool {
    matches!(event, Event::PipelineRegistered { .. } | Event::Reserved { .. } | Event::LimitsChanged { .. })
}

fn decode(position: Position, bytes: &[u8]) -> Result<Event, HistoryError> {
    Event::decode(bytes).map_err(|error| HistoryError::Unreadable { position, what: error.to_string() })
}

/// Files and databases are read on a thread that may wait.
async fn read<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, HistoryError> + Send + 'static,
) -> Result<T, HistoryError> {
    tokio::task::spawn_blocking(read).await.map_err(|_| HistoryError::Cut)?
}
