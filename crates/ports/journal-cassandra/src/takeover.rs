//! Being filled by a restore.
//!
//! What the servers of a log agree about says meanwhile that a restore is under way, so that whoever joins refuses.

use crate::journal::CassandraJournal;
use crate::rows::signed;
use crate::store::{Mode, Query, Store};
use crate::{archive, fault};
use capstan_ids::{Epoch, Position, StreamName};
use capstan_journal::{Append, Beginning, JournalError, Recorded, SnapshotInfo, SnapshotWriter, Takeover};
use std::sync::Arc;

const BEGIN: Query = Query {
    operation: "begin a restore",
    text: "UPDATE journals SET low = ?, low_at = ?, agreement = ? WHERE log = ? IF low = 1 AND agreement = ?",
    mode: Mode::Conditional,
};
const COMPLETE: Query = Query {
    operation: "end a restore",
    text: "UPDATE journals SET agreement = ? WHERE log = ? IF agreement = ?",
    mode: Mode::Conditional,
};

/// Stands in the place of the agreement from the beginning of a restore to its end.
const RESTORING: &str = "a restore is under way";

/// Refuses a log that a restore has left half filled; `agreement` is what stands there.
pub(crate) fn see_finished(store: &Store, agreement: &str) -> Result<(), JournalError> {
    if agreement == RESTORING { Err(unfinished(store)) } else { Ok(()) }
}

/// What is said of a log that a restore has not filled to its end.
pub(crate) fn unfinished(store: &Store) -> JournalError {
    let what = format!(
        "a restore into its log {} was begun and has not ended; restore into another log (?log=NAME), or drop the \
         keyspace if nothing else is in it, and restore again",
        store.log
    );
    fault::unfit(&store.place, what)
}

impl CassandraJournal {
    async fn begin_restore(&mut self, beginning: &Beginning) -> Result<(), JournalError> {
        let Beginning { first, epoch, before } = *beginning;
        let store = Arc::clone(&self.store);
        let last = self.log.look().await?;
        let values = (signed(first.get()), before.micros(), RESTORING, &store.log, &self.log.agreement);
        let bare = last.next == Position::new(1) && last.epoch == Epoch::ZERO && self.shelf.is_bare().await?;
        if !bare || !store.applied(&BEGIN, values).await? {
            let what = format!(
                "its log {} is not empty (its next position is {}), and a backup is restored into an empty one only; \
                 choose another log (?log=NAME)",
                store.log, last.next
            );
            return Err(fault::unfit(&store.place, what));
        }
        self.log.begin_at(first, epoch).await
    }

    async fn complete_restore(&mut self) -> Result<Position, JournalError> {
        let next = self.log.leap().await?;
        let store = Arc::clone(&self.store);
        if !store.applied(&COMPLETE, (&self.log.agreement, &store.log, RESTORING)).await? {
            let text = "somebody else has ended it; look what was restored, and restore again".to_owned();
            return Err(fault::store(&store.place, COMPLETE.operation, text));
        }
        Ok(next)
    }
}

impl Takeover for CassandraJournal {
    fn begin(&mut self, beginning: &Beginning) -> Result<(), JournalError> {
        let store = Arc::clone(&self.store);
        store.wait(self.begin_restore(beginning))
    }

    fn adopt_snapshot(&mut self, info: &SnapshotInfo) -> Result<Box<dyn SnapshotWriter>, JournalError> {
        self.shelf.begin(info.clone(), None)
    }

    fn archive(&mut self, stream: &StreamName, runs: &[Recorded]) -> Result<(), JournalError> {
        let store = Arc::clone(&self.store);
        store.wait(archive::put(&store, stream, runs))
    }

    fn put(&mut self, commits: &[Recorded]) -> Append {
        let store = Arc::clone(&self.store);
        store.wait(self.log.put(commits))
    }

    fn go_on_at(&mut self, position: Position) -> Result<(), JournalError> {
        let store = Arc::clone(&self.store);
        store.wait(self.log.go_on_at(position))
    }

    fn complete(&mut self) -> Result<Position, JournalError> {
        let store = Arc::clone(&self.store);
        store.wait(self.complete_restore())
    }
}
