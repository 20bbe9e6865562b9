//! What a restore asks of a journal besides the port: to become what another one was.

use crate::port::{Append, Journal, JournalError, Recorded, SnapshotInfo, SnapshotWriter};
use capstan_ids::{Epoch, Position, StreamName, WallTime};

/// A journal that can be filled with what another journal held, in this order: [`Takeover::begin`], snapshots, archives,
/// the log by [`Takeover::put`] and [`Takeover::go_on_at`], [`Takeover::complete`].
///
/// From `begin` to `complete` the journal is refused to everybody who opens it, also after a crash: half of a history
/// would be taken for a whole one. Whoever had it open before adds nothing to it from `begin` on. What a restore has left
/// unfinished is deleted as that refusal says, and never mended.
pub trait Takeover: Journal {
    /// Makes an empty journal begin at another position, as if everything before had been trimmed.
    ///
    /// [`JournalError::Unfit`] where anything was ever written; nothing is changed then. No other process may have the
    /// journal open.
    fn begin(&mut self, beginning: &Beginning) -> Result<(), JournalError>;

    /// Starts a snapshot that says of itself what `info` says, however old it is; its size is the store's own.
    ///
    /// One is written at a time, and those of a lower epoch before those of a higher one.
    fn adopt_snapshot(&mut self, info: &SnapshotInfo) -> Result<Box<dyn SnapshotWriter>, JournalError>;

    /// Puts events of an audited stream into its archive, durably.
    ///
    /// Everything in `runs` is older than the log and younger than what was archived before, holds events of `stream`
    /// only, and is later let go of together: a few MiB at a time are right.
    fn archive(&mut self, stream: &StreamName, runs: &[Recorded]) -> Result<(), JournalError>;

    /// Puts commits of the log where they stood, durably, in as few round trips as the store can; positions that lie
    /// between two of them are left out, as a leap left them.
    ///
    /// They come in order, the first at the next position or above it, none under a lower epoch than the one before. A few
    /// MiB at a time are right. After [`Append::Unknown`] the same ones are offered again until that is settled, and
    /// [`Append::Fenced`] says that somebody else has written. Some of them may stand after any answer but *committed*.
    fn put(&mut self, commits: &[Recorded]) -> Append;

    /// Leaves positions out, as a leap did: the next event takes `position`, which is not lower than the next one.
    fn go_on_at(&mut self, position: Position) -> Result<(), JournalError>;

    /// Leaps 2^44 positions on, so that no token given after the backup was taken can be given again, and lets the
    /// journal be opened from now on. Answers the position that the next event takes.
    fn complete(&mut self) -> Result<Position, JournalError>;
}

/// Where a log begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// The first position that can be read.
    pub first: Position,
    /// No commit from there on was made under a lower epoch.
    pub epoch: Epoch,
    /// When the last commit before it was made, as far as that is known.
    pub before: WallTime,
}
