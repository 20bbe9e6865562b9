//! A journal as one file: taken while it is written to, restored into any adapter.
//!
//! A backup holds what a journal's readers can see at one moment: where it begins and ends, every snapshot with its
//! rows, the archives of the audited streams, and all commits of the log. It is written and read as a stream, with a
//! commit or row in memory, or the few MiB that a restore hands over together.
//!
//! # Promises
//! - B1 A backup is whole or is found not to be: every frame is checksummed together with its place, and the last one
//!   counts all others. [`verify`] reads it through before [`restore()`] changes anything.
//! - B2 What is restored has the same positions, epochs, times and bytes, whatever adapter it came from.
//! - B3 A target that is not empty is refused, and one that was left half restored is refused by everybody.
//!
//! # Format
//! All numbers are little-endian.
//!
//! ```text
//!  0  magic     "CAPSTANB"
//!  8  version   u32   1
//! 12  checksum  u32   CRC-32C of the twelve bytes before
//! 16  frames, each:
//!     checksum  u32   CRC-32C of all that follows in the frame, begun with the checksum before it
//!     kind      u32
//!     length    u32   of the body
//!     body
//! ```
//!
//! | kind | body | |
//! |---|---|---|
//! | 1 beginning | first u64, epoch u64, before i64, taken i64 | once, before all others |
//! | 2 snapshot | position u64, epoch u64, at i64, stream | those of a lower epoch first |
//! | 3 row | bytes | of the snapshot before it |
//! | 4 archive | stream | |
//! | 5 run | position u64, epoch u64, at i64, encoded commit | of the archive before it |
//! | 6 commit | position u64, epoch u64, at i64, encoded commit | of the log |
//! | 7 end | next u64, epoch u64, then how many snapshots, rows, runs, commits, events, u64 each, and the size of the largest commit u64 | once, and nothing after it |
//!
//! Times are microseconds since 1970 UTC. A stream is its name to the end of the body.

mod frame;
mod piece;
mod read;
mod restore;
mod write;

pub use read::verify;
pub use restore::restore;
pub use write::{Look, write};

use crate::JournalError;
use capstan_ids::{Epoch, Position, WallTime};
use std::io;

/// The version of the format that is written; the only one so far.
pub const VERSION: u32 = 1;

/// What a backup holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// When it was begun, by the clock of whoever took it.
    pub taken: WallTime,
    /// The first position of the log in it.
    pub first: Position,
    /// The position that the next event would have taken.
    pub next: Position,
    /// The highest epoch.
    pub epoch: Epoch,
    /// How many snapshots.
    pub snapshots: u64,
    /// How many rows they have in all.
    pub rows: u64,
    /// How many runs of archived events.
    pub archived: u64,
    /// How many commits of the log.
    pub commits: u64,
    /// How many events they have in all.
    pub events: u64,
    /// How many bytes the events of the largest commit have.
    pub largest: u64,
    /// The size of the backup itself.
    pub bytes: u64,
}

/// Why there is no backup, or why it was not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// What should be a backup is none, or not a whole one.
    #[error("the backup is not whole: at byte {offset}, {what}; nothing was restored from it, take another copy of it")]
    Damaged {
        /// The first byte that cannot be trusted.
        offset: u64,
        /// What was expected and what was found.
        what: String,
    },
    /// A format this version does not know.
    #[error(
        "the backup has format version {found}, this program knows {known}; restore it with the program that made it"
    )]
    Version {
        /// Its version.
        found: u32,
        /// The known one.
        known: u32,
    },
    /// It is not the backup that was verified before.
    #[error("the backup was changed while it was restored; delete what was restored, and restore it from a copy")]
    Changed,
    /// The target takes no commit as large as the backup holds.
    #[error("the target does not take all of the backup")]
    Refused(#[source] crate::Refusal),
    /// The target answered anything but *committed*.
    #[error("restore the commits from position {position} on: {what}")]
    Stopped {
        /// Where.
        position: Position,
        /// What the target said.
        what: String,
    },
    /// The backup cannot be read.
    #[error("read the backup")]
    Read(#[source] io::Error),
    /// The backup cannot be written.
    #[error("write the backup")]
    Write(#[source] io::Error),
    /// The journal cannot be read or written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl BackupError {
    /// Whether retention let go of something while it was copied: a new backup holds what replaced it.
    pub fn was_overtaken(&self) -> bool {
        match self {
            Self::Journal(JournalError::Dropped { .. }) => true,
            Self::Journal(JournalError::Store { source, .. }) => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }
}
