//! The journal in PostgreSQL, which several servers share, and the register of who leads.
//!
//! # Promises
//! - P1 An append is one statement that first changes the one row saying where the log ends, on the condition that the
//!   position is the next one and no higher epoch was seen. However late a statement arrives, it changes nothing that
//!   has gone on without it.
//! - P2 A commit that stands and is offered again is answered *committed*, after a change of its own that waits for
//!   whatever the lost one's waited for.
//! - P3 A reader sees every commit up to the end as it was when the reader was made, or says what is missing.
//! - P4 Every row carries a sum over all that it says: what was changed in the tables is found when it is read.
//! - P5 No call takes longer than its time, whatever the database or the network does.
//! - P6 A password is in no error, no log line and no `Debug`.
//!
//! # Never
//! Leaves a lock behind between two statements, decides by a clock of the database's, or needs more of it than tables:
//! no functions, triggers or extensions.
//!
//! # Measured
//! PostgreSQL 15.18 on loopback, synchronous, its defaults, one writer, events of 200 bytes, on two cores that other
//! builds kept busy (load 4 to 6): 502 commits a second of one event (231 to 1,238 in seven runs of 4 s), 601 of 100
//! (244 to 2,910), 334 of 1,000 (132 to 718). `examples/postgres_append_rate.rs` measures again.
//!
//! docs/journal-postgres.md says what it needs, how it is sized, and what happens when it is away.
//!
//! ```no_run
//! use capstan_ids::{Epoch, StreamName, WallTime};
//! use capstan_journal::{Append, Commit, Journal};
//! use capstan_journal_postgres::{PostgresJournal, PostgresOptions};
//!
//! let url = "postgres://capstan@db.example/capstan?sslmode=verify-full";
//! let mut journal = PostgresJournal::connect(url, PostgresOptions::default())?;
//! let next = journal.tail()?.next;
//! let mut commit = Commit::new(WallTime(1_790_000_000_000_000));
//! commit.push(&StreamName::new("work/shop")?, |bytes| bytes.extend_from_slice(b"opened"));
//! assert!(matches!(journal.append(Epoch::new(1), next, &commit), Append::Committed));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod archive;
mod election;
mod fault;
mod fitness;
mod head;
mod journal;
mod line;
mod options;
mod pages;
mod reader;
mod retention;
mod row;
mod schema;
mod snapshot;
mod takeover;
#[cfg(feature = "tls")]
mod tls;

pub use election::PostgresElection;
pub use journal::PostgresJournal;
pub use options::PostgresOptions;

use capstan_journal::JournalError;
use journal::no_line;
use line::{Line, Server};
use std::sync::Arc;

/// Why a journal or a register in PostgreSQL could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// What was given is no address of a journal. Nothing of it is repeated: it may hold a password.
    #[error("{what}; expected postgres://USER:PASSWORD@HOST:PORT/DATABASE?schema=capstan")]
    Address {
        /// What is wrong with it.
        what: String,
    },
    /// The database cannot be reached, cannot be used as it is, or does not hold what it should.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A line to a server whose settings make sense.
fn line_to(server: Result<Server, String>) -> Result<Line, OpenError> {
    let server = Arc::new(server.map_err(|what| OpenError::Address { what })?);
    Ok(Line::new(Arc::clone(&server)).map_err(|source| no_line(&server.place, source))?)
}
