//! The port: what the coordinator asks of a journal.
//!
//! Calls block, and are made by one thread, the owner's. An adapter over a network bounds each call in time and
//! answers [`Append::Unknown`] where it cannot tell; the owner then offers the same commit again.

use crate::commit::Commit;
use capstan_ids::{Epoch, Position, StreamName, WallTime};
use std::path::PathBuf;

/// A durable, ordered log with one writer at a time.
pub trait Journal: Send {
    /// Where the log ends and whose it was last.
    fn tail(&mut self) -> Result<Tail, JournalError>;

    /// How the store keeps what it acknowledges; checked, not assumed.
    fn durability(&self) -> Durability;

    /// Sees that there is room for the next commit if its events have about `bytes` in all, so that *full* is refused
    /// before anything is decided. A commit that is filled in steps is reserved for with its size so far and to come.
    fn reserve(&mut self, bytes: usize) -> Result<(), Refusal>;

    /// Makes `commit` durable at `position`, its events taking that position and those after it.
    ///
    /// Stands only if the position is the next one and no higher epoch has been seen. Offering the same commit again
    /// at its position after [`Append::Unknown`] settles it. An empty commit is a bug of the caller.
    fn append(&mut self, epoch: Epoch, position: Position, commit: &Commit) -> Append;

    /// The commits from the one that holds `from` on, in order, up to the end as it is now.
    ///
    /// [`JournalError::Dropped`] if retention has passed `from`. The reader may be sent to another thread and does not
    /// hold the journal up.
    fn read(
        &self,
        from: Position,
    ) -> Result<Box<dyn Iterator<Item = Result<Recorded, JournalError>> + Send>, JournalError>;

    /// Starts a snapshot of `stream` as it was once every event up to `at` was applied.
    ///
    /// The caller has made sure that `at` is durable. [`JournalError::Dropped`] if the log no longer holds what comes
    /// after `at`, [`JournalError::Deposed`] if the epoch is over.
    fn begin_snapshot(
        &mut self,
        epoch: Epoch,
        stream: &StreamName,
        at: Position,
    ) -> Result<Box<dyn SnapshotWriter>, JournalError>;

    /// Every whole snapshot there is, newest first within a stream.
    fn snapshots(&self) -> Result<Vec<SnapshotInfo>, JournalError>;

    /// The rows of one snapshot, in the order they were written, each checked.
    fn read_snapshot(&self, snapshot: &SnapshotInfo) -> Result<SnapshotRows, JournalError>;

    /// Deletes one snapshot.
    fn drop_snapshot(&mut self, snapshot: &SnapshotInfo) -> Result<(), JournalError>;

    /// Lets go of events below `position`, copying those of the `audited` streams to their archives first.
    ///
    /// May keep more than it has to (whole segments); never drops `position` itself or anything after it.
    fn trim(&mut self, position: Position, audited: &[StreamName]) -> Result<(), JournalError>;

    /// The archived events of an audited stream from `from` on; what is still in the log is not among them.
    fn read_archive(
        &self,
        stream: &StreamName,
        from: Position,
    ) -> Result<Box<dyn Iterator<Item = Result<Recorded, JournalError>> + Send>, JournalError>;

    /// Lets go of archived events of `stream` made before `before`.
    fn trim_archive(&mut self, stream: &StreamName, before: WallTime) -> Result<(), JournalError>;

    /// A quiet moment: writes the durable mark, so that later damage to the last flush can be told from a torn write.
    fn idle(&mut self) -> Result<(), JournalError>;
}

/// Where a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The position that the next event takes.
    pub next: Position,
    /// The first position that can still be read.
    pub first: Position,
    /// The highest epoch any commit was made under.
    pub epoch: Epoch,
}

/// How a store keeps what it acknowledges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On the medium before the answer.
    BeforeAck,
    /// Some time after it, and why: a power cut can lose acknowledged commits.
    Later(String),
}

/// What became of an append.
#[derive(Debug)]
pub enum Append {
    /// Durable. The only answer after which anything may be acknowledged.
    Committed,
    /// Somebody with a higher epoch writes here, or the position is taken by another commit: step down at once.
    Fenced,
    /// Nothing was written, and nothing is wrong with what stands.
    Refused(Refusal),
    /// The answer was lost: it may stand or not. Offer the same commit again until that is settled.
    Unknown(JournalError),
    /// A flush failed or damage was found: nobody may guess what the medium holds. Stop serving.
    Broken(JournalError),
}

/// Why room was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The store has no room.
    #[error(
        "the journal is full: {needed} bytes needed, {free} free in {place}; free some space, and changes are taken again"
    )]
    Full {
        /// How much was asked for.
        needed: u64,
        /// How much there is.
        free: u64,
        /// Where.
        place: String,
    },
    /// One commit is larger than the store takes.
    #[error("a commit of {size} bytes exceeds the limit of {limit}; send smaller batches")]
    TooLarge {
        /// Its size.
        size: u64,
        /// The most there may be.
        limit: u64,
    },
}

/// A commit as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Its first event's position.
    pub position: Position,
    /// The leadership it was made under.
    pub epoch: Epoch,
    /// The events.
    pub commit: Commit,
}

/// A whole snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// What it is of.
    pub stream: StreamName,
    /// The last position whose event it holds.
    pub position: Position,
    /// The leadership it was written under.
    pub epoch: Epoch,
    /// When the commit at its position was made.
    pub at: WallTime,
    /// Its size.
    pub bytes: u64,
}

/// The rows of a snapshot.
pub type SnapshotRows = Box<dyn Iterator<Item = Result<Vec<u8>, JournalError>> + Send>;

/// Writes a snapshot in the background: no call waits for a disk.
pub trait SnapshotWriter: Send {
    /// Hands over one row; rows come back as they were handed over.
    fn row(&mut self, row: Vec<u8>);
    /// How many handed-over bytes are not written yet; the caller slows down when this grows.
    fn backlog(&self) -> usize;
    /// No more rows: what was handed over becomes durable, then counts. Ask [`SnapshotWriter::progress`] for when.
    fn finish(&mut self);
    /// How far it is. Dropping a writer that has not finished leaves nothing behind.
    fn progress(&mut self) -> SnapshotProgress;
}

/// How far a snapshot is.
#[derive(Debug)]
pub enum SnapshotProgress {
    /// Rows are coming or being written.
    Writing,
    /// Whole and durable.
    Done(SnapshotInfo),
    /// It will not come to be; the older ones stand.
    Failed(JournalError),
}

/// What a journal cannot do, and why.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process has it.
    #[error("{place} is in use by another process ({holder}); stop that one, or choose another directory")]
    Locked {
        /// Where.
        place: PathBuf,
        /// What is known of the holder.
        holder: String,
    },
    /// Something below the durable mark is not what was written.
    #[error(
        "damage at position {position} in {place}, byte {offset}: {what}; nothing was changed, restore a backup or ask for help"
    )]
    Damaged {
        /// The first position that cannot be trusted.
        position: Position,
        /// Which file or table.
        place: String,
        /// Where in it.
        offset: u64,
        /// What was expected and what was found.
        what: String,
    },
    /// A format this version does not know.
    #[error("{place} has format version {found}, this program knows up to {known}; use a newer program")]
    Version {
        /// Which file or table.
        place: String,
        /// Its version.
        found: u32,
        /// The newest known one.
        known: u32,
    },
    /// Retention has passed this position.
    #[error("position {asked} is no longer kept; the log begins at {first}")]
    Dropped {
        /// What was asked for.
        asked: Position,
        /// Where to begin.
        first: Position,
    },
    /// A leadership that is over asked for something only a leader may do.
    #[error("epoch {epoch} is over, epoch {seen} has begun; step down")]
    Deposed {
        /// Whose call it was.
        epoch: Epoch,
        /// The highest epoch seen.
        seen: Epoch,
    },
    /// A store that several servers share cannot be reached at the moment; calls may be made again.
    #[error("{place} cannot be reached; see that it runs and that the network lets this server through")]
    Away {
        /// Its address, without secrets.
        place: String,
        /// What came of the last try.
        source: std::io::Error,
    },
    /// A store that is there and cannot be used as it is: too old, a right is missing, a setting does not fit.
    #[error("{place} cannot hold a journal as it is: {what}")]
    Unfit {
        /// Its address, without secrets, or the part of it.
        place: String,
        /// What was expected, what was found, and what to do.
        what: String,
    },
    /// The store did not answer, or answered with a failure that may pass.
    #[error("{operation} in {place}")]
    Store {
        /// What was tried.
        operation: &'static str,
        /// Where.
        place: String,
        /// Why it failed.
        source: std::io::Error,
    },
}
