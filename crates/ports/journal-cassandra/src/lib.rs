//! The journal and the register of leadership in Apache Cassandra, which several servers share.
//!
//! # Promises
//! Those of [`capstan_journal`], J1 to J5, and besides:
//! - C1 A commit's row is inserted in one conditional batch with what fences it: the next position and the epoch stand in
//!   the static row of the same partition. A lower epoch, a taken position and a position that is not next change nothing.
//! - C2 A position that was ever taken stays taken: a static row outlives everything in its partition, and is sealed.
//! - C3 What an append said *unknown* of is settled by offering it again: a commit's name is a sum over all that is in it,
//!   so it finds itself, or something else, or is put there.
//! - C4 Where the log ends is read serially, by followers too; a position that is missing below it is damage.
//! - C5 A commit of many parts counts when its row stands, and never before.
//!
//! # Never
//! Compares clocks, rests on when something was written, or shows a password.
//!
//! ```no_run
//! use capstan_ids::{Epoch, StreamName, WallTime};
//! use capstan_journal::{Append, Commit, Journal};
//! use capstan_journal_cassandra::{CassandraJournal, CassandraOptions};
//!
//! let url = "cassandra://127.0.0.1:9042/capstan";
//! let mut journal = CassandraJournal::connect(url, CassandraOptions::default())?;
//! let next = journal.tail()?.next;
//! let mut commit = Commit::new(WallTime(1_790_000_000_000_000));
//! commit.push(&StreamName::new("work/shop")?, |bytes| bytes.extend_from_slice(b"opened"));
//! assert!(matches!(journal.append(Epoch::new(1), next, &commit), Append::Committed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod archive;
mod chain;
mod election;
mod fault;
mod filling;
mod fitness;
mod journal;
mod log;
mod options;
mod pages;
mod parts;
mod reader;
mod retention;
mod rows;
mod schema;
mod snapshot;
mod store;
mod takeover;
mod tls;

pub use election::CassandraElection;
pub use journal::CassandraJournal;
pub use options::CassandraOptions;

use capstan_journal::JournalError;

/// Why a journal in Cassandra could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What was typed is no address. What it says is not repeated: it may hold a password.
    #[error("{what}; write cassandra://user:secret@host1:9042,host2/keyspace?log=main")]
    Address {
        /// What is wrong with it.
        what: String,
    },
    /// The database does not answer, is not fit, or is not as it should be.
    #[error(transparent)]
    Journal(#[from] JournalError),
}
