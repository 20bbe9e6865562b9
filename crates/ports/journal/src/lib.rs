//! The durable event log: the port, its embedded adapter and the suite every adapter passes.
//!
//! One ordered log of commits. A commit is a list of (stream, event), atomic as a whole; a stream is a tag that says
//! what a snapshot, a replay or a retention rule is about, and never a separate place.
//!
//! # Promises
//! - J1 A commit that was answered [`Append::Committed`] is read back, whole and in its place, after any crash.
//! - J2 One commit holds a position: an append under an epoch lower than the log has seen, or at a taken position,
//!   changes nothing.
//! - J3 Below the durable mark every frame is whole, or the journal names the damaged position and stops. Above it,
//!   everything from the first broken frame on is cut off before anything new is appended.
//! - J4 A snapshot counts once it is whole and the log is durable up to its position; a damaged one is passed over
//!   where an older one and the log, or the log alone, make the same state, and is an error where they do not.
//! - J5 Nothing is dropped that a kept snapshot or a stream's audit retention still needs.
//!
//! # Never
//! Knows what an event means, looks at a clock on its own, or guesses: after a failed flush it is [`Append::Broken`]
//! until it is opened again.
//!
//! ```
//! use capstan_ids::{Epoch, Position, StreamName, WallTime};
//! use capstan_journal::{Append, Commit, EmbeddedJournal, EmbeddedOptions, Journal};
//!
//! # let dir = tempfile::tempdir()?;
//! let mut journal = EmbeddedJournal::open(dir.path(), EmbeddedOptions::default())?;
//! let next = journal.tail()?.next;
//! let mut commit = Commit::new(WallTime(1_790_000_000_000_000));
//! commit.push(&StreamName::new("work/shop")?, |bytes| bytes.extend_from_slice(b"opened"));
//! assert!(matches!(journal.append(Epoch::new(1), next, &commit), Append::Committed));
//!
//! for recorded in journal.read(next)? {
//!     assert_eq!(recorded?.commit, commit);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod backup;
mod commit;
pub mod conformance;
pub mod election;
pub mod embedded;
mod encoding;
mod port;
pub mod retention;
mod takeover;

pub use commit::{Commit, Entry};
pub use election::{Candidate, Election, Replaced, Standing};
pub use embedded::{EmbeddedJournal, EmbeddedOptions};
pub use encoding::{Names, Undecodable};
pub use port::{
    Append, Durability, Journal, JournalError, Recorded, Refusal, SnapshotInfo, SnapshotProgress, SnapshotRows,
    SnapshotWriter, Tail,
};
pub use takeover::{Beginning, Takeover};
