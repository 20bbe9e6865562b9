//! All snapshots of a log.

use super::stream_row::{Changed, Kept, StreamRow};
use super::writer::{Begun, Pen};
use crate::pages::{self, Id};
use crate::reader::Reader;
use crate::store::Store;
use capstan_ids::{Epoch, Position};
use capstan_journal::{JournalError, SnapshotInfo, SnapshotRows, SnapshotWriter};
use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

/// The snapshots of a log, as one server sees them.
pub(crate) struct Shelf {
    store: Arc<Store>,
    backlog_max: usize,
    /// Whether lists that earlier leaderships left may still be there.
    may_need_sweeping: bool,
    /// Lists that were read and proved, or written, by this server.
    proved: Arc<Mutex<HashSet<Id>>>,
}

impl Shelf {
    pub fn new(store: Arc<Store>, backlog_max: usize) -> Self {
        Self { store, backlog_max, may_need_sweeping: true, proved: Arc::default() }
    }

    /// Starts a snapshot; `log` begins with the commit at its position, where that is still in the log.
    pub fn begin(&mut self, info: SnapshotInfo, log: Option<Reader>) -> Result<Box<dyn SnapshotWriter>, JournalError> {
        let begun = Begun {
            store: Arc::clone(&self.store),
            info,
            log,
            sweep_all: std::mem::take(&mut self.may_need_sweeping),
            proved: Arc::clone(&self.proved),
        };
        Ok(Box::new(Pen::begin(begun, self.backlog_max)?))
    }

    /// Every snapshot that counts and proves itself, newest first within a stream. `first` and `next` are where the log
    /// begins and ends.
    ///
    /// One that is ahead of the log is passed over. So is a damaged one, where an older one and the log, or the log
    /// alone, make the same state; elsewhere it is an error.
    pub async fn whole(&self, first: Position, next: Position) -> Result<Vec<SnapshotInfo>, JournalError> {
        let mut whole = Vec::new();
        for row in StreamRow::all(&self.store).await? {
            let mut damage = None;
            let mut found: Vec<SnapshotInfo> = Vec::new();
            for kept in &row.kept {
                if kept.info.position >= next {
                    let (stream, position) = (&kept.info.stream, kept.info.position);
                    tracing::warn!(%stream, %position, %next, "a snapshot is ahead of the log and is passed over");
                    continue;
                }
                match self.prove(kept).await {
                    Ok(()) => found.push(kept.info.clone()),
                    Err(error @ JournalError::Damaged { .. }) => {
                        let now = StreamRow::read(&self.store, &row.stream).await?;
                        if now.kept.contains(kept) {
                            tracing::warn!(%error, "a snapshot is damaged and is passed over");
                            damage = damage.or(Some(error));
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
            let stands_in = first == Position::new(1) || found.iter().any(|info| info.position.plus(1) >= first);
            match damage {
                Some(error) if !stands_in => return Err(error),
                _ => whole.append(&mut found),
            }
        }
        Ok(whole)
    }

    /// Whether no snapshot was ever begun here.
    pub async fn is_bare(&self) -> Result<bool, JournalError> {
        Ok(StreamRow::all(&self.store).await?.is_empty())
    }

    async fn prove(&self, kept: &Kept) -> Result<(), JournalError> {
        if locked(&self.proved).contains(&kept.binding.id) {
            return Ok(());
        }
        let mut reader = pages::Reader::new(Arc::clone(&self.store), kept.binding.clone(), kept.info.position);
        while reader.record().await?.is_some() {}
        locked(&self.proved).insert(kept.binding.id);
        Ok(())
    }

    pub async fn rows(&self, snapshot: &SnapshotInfo) -> Result<SnapshotRows, JournalError> {
        let row = StreamRow::read(&self.store, &snapshot.stream).await?;
        let Some(kept) = row.kept.into_iter().find(|kept| kept.info == *snapshot) else {
            let text = format!("there is no snapshot of {} at {}", snapshot.stream, snapshot.position);
            let (place, source) = (self.store.place.clone(), io::Error::new(io::ErrorKind::NotFound, text));
            return Err(JournalError::Store { operation: "read a snapshot", place, source });
        };
        Ok(Box::new(pages::Reader::new(Arc::clone(&self.store), kept.binding, snapshot.position)))
    }

    pub async fn remove(&self, snapshot: &SnapshotInfo) -> Result<(), JournalError> {
        let (store, stream) = (&self.store, &snapshot.stream);
        // Whatever the epoch: what is dropped was put there by whoever drops it, or by a leader before.
        let any = Epoch::new(i64::MAX.unsigned_abs());
        let mut dropped = None;
        StreamRow::change(store, stream, any, |row| {
            let Some(at) = row.kept.iter().position(|kept| kept.info == *snapshot) else { return Changed::No };
            let kept = row.kept.remove(at);
            dropped = Some(kept.binding.id);
            // Under no epoch: whoever comes next may delete it, if this server dies before it has.
            row.unswept.push((kept.binding.id, Epoch::ZERO));
            Changed::Yes
        })
        .await?;
        match dropped {
            Some(id) => sweep(store, stream, any, &[id]).await,
            None => Ok(()),
        }
    }
}

/// Deletes lists that do not count, and then the record of them.
pub(super) async fn sweep(
    store: &Store,
    stream: &capstan_ids::StreamName,
    epoch: Epoch,
    lists: &[Id],
) -> Result<(), JournalError> {
    for id in lists {
        pages::delete(store, id).await?;
    }
    StreamRow::change(store, stream, epoch, |row| {
        row.unswept.retain(|(id, _)| !lists.contains(id));
        Changed::Yes
    })
    .await
    .map(|_| ())
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
