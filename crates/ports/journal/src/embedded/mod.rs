//! The embedded adapter: a log of our own in one directory, for one process.
//!
//! ```text
//! LOCK                                        held while a process has the journal
//! log/00000000000000000001.segment            frames of commits, named after their first position
//! log/next.prepared                           zeros, the next segment to be
//! log/restore.unfinished                      there while a restore is under way, or after one that was cut short
//! snapshots/work.shop@00000000000000004711.snapshot
//! archive/registry/00000000000000000001.archive
//! ```
//!
//! An append is one frame: one positional write into blocks that were written before, one `fdatasync`. Each frame says
//! what was durable when it was written, so that mark costs no flush. docs/journal.md draws the formats and says what
//! recovery can and cannot tell apart.

mod archive;
pub mod faulty;
pub mod files;
mod frame;
mod log;
mod options;
mod prepare;
mod reader;
mod recovery;
mod scan;
mod segment;
mod snapshot;
mod takeover;

pub use options::EmbeddedOptions;

use crate::{
    Append, Commit, Durability, Journal, JournalError, Recorded, Refusal, SnapshotInfo, SnapshotRows, SnapshotWriter,
    Tail,
};
use capstan_ids::{Epoch, Position, StreamName, WallTime};
use files::{Files, OsFiles};
use log::{Halt, Log};
use reader::Reader;
use segment::{LOG_DIR, failed};
use snapshot::Shelf;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::sync::Arc;

/// The journal of a single server, in a directory of its own.
///
/// Dropping it writes the durable mark, waits for snapshots that were finished and gives up those that were not.
pub struct EmbeddedJournal {
    // Fields are dropped in this order: the lock goes last.
    shelf: Shelf,
    log: Log,
    files: Arc<dyn Files>,
    _lock: Box<dyn Send + Sync>,
}

impl EmbeddedJournal {
    /// Opens the journal in `dir`, made if there is none, and proves all of it.
    ///
    /// [`JournalError::Locked`] if another process has it, [`JournalError::Damaged`] if something durable is missing,
    /// [`JournalError::Version`] if a newer program has written there; nothing is changed then.
    pub fn open(dir: &Path, options: EmbeddedOptions) -> Result<Self, JournalError> {
        Self::open_in(Arc::new(OsFiles::new(dir)?), options)
    }

    /// Opens the journal on a file layer, which tests can make fail.
    pub fn open_in(files: Arc<dyn Files>, options: EmbeddedOptions) -> Result<Self, JournalError> {
        let options = options.within_limits();
        let lock = files.lock()?;
        files.make_dir(LOG_DIR).map_err(failed("create", &*files, LOG_DIR))?;
        let log = match recovery::recover(&files)? {
            Some(mut log) => {
                log.configure(&options);
                log
            }
            None if Shelf::any(&*files)? => {
                return Err(JournalError::Damaged {
                    position: Position::new(1),
                    place: files.place(LOG_DIR),
                    offset: 0,
                    what: "there are snapshots but no segment of the log".to_owned(),
                });
            }
            None => {
                Log::begin(Arc::clone(&files), &options, options.identity.unwrap_or_else(drawn), recovery::beginning())?
            }
        };
        let shelf = Shelf::open(Arc::clone(&files), (log.first(), log.place().next), options.snapshot_backlog_max)?;
        archive::sweep(&*files)?;
        Ok(Self { shelf, log, files, _lock: lock })
    }

    /// Goes on so much higher that no token given after a backup was taken can be given again; once, right after the
    /// backup was restored. Answers the position that the next event takes.
    pub fn leap(&mut self) -> Result<Position, JournalError> {
        let next = self.log.place().next;
        let first = next.plus(Position::RESTORE_LEAP);
        if first.plus(Position::RESTORE_LEAP) > Position::MAX {
            return Err(self.store("leap, the positions below 2^53 are used up (start a new journal),"));
        }
        match self.log.broken() {
            Some(error) => Err(error),
            None => self.log.roll(0, first).map(|()| first).map_err(|halt| self.halted(halt)),
        }
    }

    /// Leaves the journal as a process that is killed would: without the mark that a clean close writes.
    pub fn abandon(mut self) {
        self.log.abandon();
    }

    fn store(&self, operation: &'static str) -> JournalError {
        JournalError::Store { operation, place: self.files.place(LOG_DIR), source: std::io::ErrorKind::Other.into() }
    }

    fn halted(&self, halt: Halt) -> JournalError {
        match halt {
            Halt::Broken(error) => error,
            Halt::Refused(refusal) => JournalError::Store {
                operation: "write",
                place: self.files.place(LOG_DIR),
                source: std::io::Error::new(std::io::ErrorKind::StorageFull, refusal),
            },
        }
    }

    fn reader(&self, from: Position) -> Reader {
        Reader::new(Arc::clone(&self.files), self.log.identity(), self.log.segments(), from)
    }

    /// Whether this very commit stands at `position`.
    fn stands(&self, epoch: Epoch, position: Position, commit: &Commit) -> Result<bool, JournalError> {
        if position < self.log.first() {
            return Ok(false);
        }
        let found = self.read(position)?.next().transpose()?;
        Ok(found.is_some_and(|f| f.position == position && f.epoch == epoch && f.commit == *commit))
    }
}

impl Journal for EmbeddedJournal {
    fn tail(&mut self) -> Result<Tail, JournalError> {
        let place = self.log.place();
        Ok(Tail { next: place.next, first: self.log.first(), epoch: place.epoch })
    }

    fn durability(&self) -> Durability {
        Durability::BeforeAck
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), Refusal> {
        match self.log.reserve(bytes as u64) {
            Err(Halt::Refused(refusal)) => Err(refusal),
            // Anything worse is told by the append, which has the words for it.
            Ok(()) | Err(Halt::Broken(_)) => Ok(()),
        }
    }

    fn append(&mut self, epoch: Epoch, position: Position, commit: &Commit) -> Append {
        assert!(!commit.is_empty(), "an empty commit takes no position");
        if let Some(error) = self.log.broken() {
            return Append::Broken(error);
        }
        let place = self.log.place();
        if position < place.next {
            return match self.stands(epoch, position, commit) {
                Ok(true) => Append::Committed,
                Ok(false) => Append::Fenced,
                Err(error) => Append::Broken(error),
            };
        }
        if position != place.next || epoch < place.epoch {
            return Append::Fenced;
        }
        match self.log.append(epoch, commit) {
            Ok(()) => Append::Committed,
            Err(Halt::Refused(refusal)) => Append::Refused(refusal),
            Err(Halt::Broken(error)) => Append::Broken(error),
        }
    }

    fn read(
        &self,
        from: Position,
    ) -> Result<Box<dyn Iterator<Item = Result<Recorded, JournalError>> + Send>, JournalError> {
        let first = self.log.first();
        let from = from.max(Position::new(1));
        if from < first {
            return Err(JournalError::Dropped { asked: from, first });
        }
        Ok(Box::new(reader::Reader::new(Arc::clone(&self.files), self.log.identity(), self.log.segments(), from)))
    }

    fn begin_snapshot(
        &mut self,
        epoch: Epoch,
        stream: &StreamName,
        at: Position,
    ) -> Result<Box<dyn SnapshotWriter>, JournalError> {
        let place = self.log.place();
        assert!(at < place.next, "a snapshot of events that are not durable");
        if epoch < place.epoch {
            return Err(JournalError::Deposed { epoch, seen: place.epoch });
        }
        let first = self.log.first();
        if at.plus(1) < first {
            // What comes after it is gone: nothing could be made of such a snapshot.
            return Err(JournalError::Dropped { asked: at, first });
        }
        let before_first = self.log.segments()[0].before;
        let at_first = if at < first { None } else { Some(self.reader(at)) };
        let info = SnapshotInfo { stream: stream.clone(), position: at, epoch, at: before_first, bytes: 0 };
        self.shelf.begin(info, at_first)
    }

    fn snapshots(&self) -> Result<Vec<SnapshotInfo>, JournalError> {
        Ok(self.shelf.whole())
    }

    fn read_snapshot(&self, snapshot: &SnapshotInfo) -> Result<SnapshotRows, JournalError> {
        self.shelf.rows(snapshot)
    }

    fn drop_snapshot(&mut self, snapshot: &SnapshotInfo) -> Result<(), JournalError> {
        self.shelf.remove(snapshot)
    }

    fn trim(&mut self, position: Position, audited: &[StreamName]) -> Result<(), JournalError> {
        while let Some(segment) = self.log.oldest().filter(|s| s.end <= position).cloned() {
            for stream in audited {
                archive::keep(&self.files, self.log.identity(), &segment, stream)?;
            }
            self.log.delete_oldest()?;
        }
        Ok(())
    }

    fn read_archive(
        &self,
        stream: &StreamName,
        from: Position,
    ) -> Result<Box<dyn Iterator<Item = Result<Recorded, JournalError>> + Send>, JournalError> {
        archive::read(&self.files, stream, from, self.log.first())
    }

    fn trim_archive(&mut self, stream: &StreamName, before: WallTime) -> Result<(), JournalError> {
        archive::trim(&*self.files, stream, before)
    }

    fn idle(&mut self) -> Result<(), JournalError> {
        if let Some(error) = self.log.broken() {
            return Err(error);
        }
        match self.log.mark() {
            // A full disk has room for no mark; the commits below it are as durable as before.
            Ok(()) | Err(Halt::Refused(_)) => Ok(()),
            Err(Halt::Broken(error)) => Err(error),
        }
    }
}

impl Drop for EmbeddedJournal {
    fn drop(&mut self) {
        if self.log.broken().is_none()
            && let Err(error) = self.idle()
        {
            tracing::error!(%error, "the durable mark could not be written while closing");
        }
    }
}

impl fmt::Debug for EmbeddedJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedJournal")
            .field("files", &self.files)
            .field("place", &self.log.place())
            .finish_non_exhaustive()
    }
}

/// A number that no other journal has: each of the standard library's hash states is seeded by the system.
fn drawn() -> u64 {
    RandomState::new().build_hasher().finish()
}
