//! Writes a snapshot in a thread of its own, so that the owner of the state never waits for the database.

use super::shelf::{locked, sweep};
use super::stream_row::{Changed, Kept, StreamRow, fence, highest_epoch};
use crate::pages::{Id, Writer};
use crate::reader::Reader;
use crate::rows::drawn;
use crate::store::Store;
use capstan_ids::Epoch;
use capstan_journal::{JournalError, SnapshotInfo, SnapshotProgress, SnapshotWriter};
use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

/// Rows are handed over in batches: a message for each would cost more than the row.
const BATCH_BYTES: usize = 64 << 10;

/// A snapshot that was asked for.
pub(super) struct Begun {
    pub store: Arc<Store>,
    pub info: SnapshotInfo,
    /// Begins with the commit at its position.
    pub log: Option<Reader>,
    /// Whether to look for what earlier leaderships left.
    pub sweep_all: bool,
    pub proved: Arc<Mutex<HashSet<Id>>>,
}

enum Message {
    Rows(Vec<Vec<u8>>),
    Finish,
}

/// What both threads look at.
#[derive(Default)]
struct Desk {
    /// Of rows that were handed over and are not written.
    waiting: AtomicUsize,
    given_up: AtomicBool,
    outcome: Mutex<Option<Result<SnapshotInfo, JournalError>>>,
}

/// The owner's end.
pub(super) struct Pen {
    desk: Arc<Desk>,
    /// None once it was finished.
    rows: Option<Sender<Message>>,
    batch: Vec<Vec<u8>>,
    batch_bytes: usize,
    backlog_max: usize,
    place: String,
}

impl Pen {
    pub fn begin(begun: Begun, backlog_max: usize) -> Result<Self, JournalError> {
        let (desk, place) = (Arc::new(Desk::default()), begun.store.place.clone());
        let (sender, receiver) = mpsc::channel();
        let theirs = Arc::clone(&desk);
        let spawned = thread::Builder::new().name("journal-snapshot".to_owned()).spawn(move || {
            let outcome = begun.write(&theirs, &receiver);
            locked(&theirs.outcome).get_or_insert(outcome);
        });
        let operation = "start a thread that writes a snapshot";
        spawned.map_err(|source| JournalError::Store { operation, place: place.clone(), source })?;
        Ok(Self { desk, rows: Some(sender), batch: Vec::new(), batch_bytes: 0, backlog_max, place })
    }

    fn hand_over(&mut self) {
        let (batch, bytes) = (std::mem::take(&mut self.batch), std::mem::take(&mut self.batch_bytes));
        let waiting = self.desk.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if waiting > self.backlog_max {
            self.desk.given_up.store(true, Ordering::Relaxed);
            let text = format!("{waiting} bytes wait for the database, the limit is {}", self.backlog_max);
            locked(&self.desk.outcome).get_or_insert(Err(JournalError::Store {
                operation: "keep up with a snapshot's rows; hand them over more slowly",
                place: self.place.clone(),
                source: io::Error::new(io::ErrorKind::OutOfMemory, text),
            }));
        }
        if let Some(rows) = &self.rows
            && !self.desk.given_up.load(Ordering::Relaxed)
        {
            // A thread that has ended has said why.
            let _ = rows.send(Message::Rows(batch));
        }
    }
}

impl SnapshotWriter for Pen {
    fn row(&mut self, row: Vec<u8>) {
        self.batch_bytes += row.len() + size_of::<Vec<u8>>();
        self.batch.push(row);
        if self.batch_bytes >= BATCH_BYTES {
            self.hand_over();
        }
    }

    fn backlog(&self) -> usize {
        self.batch_bytes + self.desk.waiting.load(Ordering::Relaxed)
    }

    fn finish(&mut self) {
        self.hand_over();
        if let Some(rows) = self.rows.take() {
            let _ = rows.send(Message::Finish);
        }
    }

    fn progress(&mut self) -> SnapshotProgress {
        let mut outcome = locked(&self.desk.outcome);
        match outcome.take() {
            None => SnapshotProgress::Writing,
            Some(Ok(info)) => {
                *outcome = Some(Ok(info.clone()));
                SnapshotProgress::Done(info)
            }
            Some(Err(error)) => {
                // It may be asked for again, and an error cannot be told twice.
                let source = io::Error::other(error.to_string());
                let operation = "write a snapshot";
                *outcome = Some(Err(JournalError::Store { operation, place: self.place.clone(), source }));
                SnapshotProgress::Failed(error)
            }
        }
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        // Not finished: the thread deletes what it has written.
        if self.rows.is_some() {
            self.desk.given_up.store(true, Ordering::Relaxed);
        }
    }
}

impl Begun {
    fn write(mut self, desk: &Desk, rows: &Receiver<Message>) -> Result<SnapshotInfo, JournalError> {
        let (store, id) = (Arc::clone(&self.store), drawn());
        // Looked up here and not by the owner: it may be far back in the log.
        if let Some(recorded) = self.log.take().and_then(|mut log| log.next()) {
            self.info.at = recorded?.commit.at();
        }
        let written = store.wait(self.fill(id, desk, rows));
        if written.is_err() {
            let left = store.wait(sweep(&store, &self.info.stream, self.info.epoch, &[id]));
            if let Err(error) = left {
                tracing::warn!(%error, "what an unfinished snapshot left is deleted under the next leadership");
            }
        }
        written
    }

    async fn fill(&self, id: Id, desk: &Desk, rows: &Receiver<Message>) -> Result<SnapshotInfo, JournalError> {
        let (store, stream, epoch) = (&*self.store, &self.info.stream, self.info.epoch);
        fence(store, epoch).await?;
        self.sweep_what_was_left(epoch).await?;
        // Written down before anything is, so that whatever happens it can be found and deleted.
        StreamRow::change(store, stream, epoch, |row| {
            if row.unswept.iter().all(|(known, _)| *known != id) {
                row.unswept.push((id, epoch));
            }
            Changed::Yes
        })
        .await?;

        let mut writer = Writer::new(store, id);
        loop {
            // Waiting here blocks no task of the runtime: this thread is the snapshot's own.
            let message = rows.recv();
            if desk.given_up.load(Ordering::Relaxed) {
                return Err(self.given_up());
            }
            match message {
                Ok(Message::Rows(batch)) => {
                    for row in batch {
                        writer.add(&row).await?;
                        desk.waiting.fetch_sub(row.len() + size_of::<Vec<u8>>(), Ordering::Relaxed);
                    }
                }
                Ok(Message::Finish) => break,
                Err(_) => return Err(self.given_up()),
            }
        }
        let (binding, bytes) = writer.finish().await?;
        let info = SnapshotInfo { bytes, ..self.info.clone() };
        let kept = Kept { info: info.clone(), binding };
        self.count(&kept).await?;
        locked(&self.proved).insert(id);
        Ok(info)
    }

    /// From here on it counts, in place of any at the same position.
    async fn count(&self, kept: &Kept) -> Result<(), JournalError> {
        let (store, stream, epoch, id) = (&self.store, &self.info.stream, self.info.epoch, kept.binding.id);
        let mut replaced = Vec::new();
        let counted = StreamRow::change(store, stream, epoch, |row| {
            if row.kept.contains(kept) {
                return Changed::Yes;
            }
            let Some(at) = row.unswept.iter().position(|(known, _)| *known == id) else { return Changed::No };
            row.unswept.remove(at);
            let (same, others) = row.kept.drain(..).partition(|other| other.info.position == kept.info.position);
            row.kept = others;
            row.kept.push(kept.clone());
            row.kept.sort_by_key(|kept| std::cmp::Reverse(kept.info.position));
            let same: Vec<Kept> = same;
            replaced = same.iter().map(|kept| kept.binding.id).collect();
            row.unswept.extend(replaced.iter().map(|id| (*id, Epoch::ZERO)));
            Changed::Yes
        });
        if counted.await? == Changed::No {
            // Only a later leadership deletes what another was about to finish.
            return Err(JournalError::Deposed { epoch, seen: highest_epoch(store).await? });
        }
        if replaced.is_empty() { Ok(()) } else { sweep(store, stream, epoch, &replaced).await }
    }

    /// Deletes what earlier leaderships have not finished, and what they no longer wanted.
    async fn sweep_what_was_left(&self, epoch: Epoch) -> Result<(), JournalError> {
        if !self.sweep_all {
            return Ok(());
        }
        for row in StreamRow::all(&self.store).await? {
            let left: Vec<Id> = row.unswept.iter().filter(|(_, made)| *made < epoch).map(|(id, _)| *id).collect();
            if !left.is_empty() {
                sweep(&self.store, &row.stream, epoch, &left).await?;
            }
        }
        Ok(())
    }

    fn given_up(&self) -> JournalError {
        JournalError::Store {
            operation: "write a snapshot",
            place: self.store.place.clone(),
            source: io::Error::new(io::ErrorKind::Interrupted, "it was given up before it was finished"),
        }
    }
}
