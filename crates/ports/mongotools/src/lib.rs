//! The engine `mongo-tools`: `mongodb://` endpoints that are read by mongodump and written by mongorestore.
//!
//! For those who must move data with the vendor's programs. Listing, splitting, creating collections, building indexes and
//! reading back for verification stay with the native endpoint; documents go through the programs, one process for each
//! stretch of a range that is read and for each part of a chunk that is written.
//!
//! # Promises
//! - P1 A range counts as read only when its mongodump ended with 0, said how many documents it dumped, that is how many
//!   arrived, and its output ended between two documents.
//! - P2 A part counts as written only when its mongorestore ended with 0 and confirmed as many documents as it was given, with
//!   none failed; or when the native writer has settled it document by document: see `sink.rs`.
//! - P3 Secrets are in a file of mode 0600 in a folder of mode 0700 while a program runs, and gone when it has ended; or, after
//!   SIGKILL, when the next process of the same user starts ([`sweep()`]). They are in no argument, no environment and no
//!   error; variables `CAPSTAN_…` are not handed on.
//! - P4 Each program is in a process group of its own. That group is signalled while its leader is ours and not collected,
//!   and nothing else ever is. No program outlives the reader or writer it works for.
//! - P5 A program that gives nothing and takes nothing for [`ToolsOptions::silence_max`] is ended, and that is a failure that
//!   may pass.
//!
//! # Never
//! Runs a shell, or takes what a program prints for proof where bytes can be
//! compared.
//!
//! ```no_run
//! # async fn example() -> capstan_endpoint::Result<()> {
//! use std::sync::Arc;
//! use capstan_endpoint::Adapters;
//! use capstan_mongodb::MongoAdapter;
//! use capstan_mongotools::{ToolsAdapter, ToolsOptions};
//!
//! let tools = ToolsAdapter::new(Arc::new(MongoAdapter), ToolsOptions::from_environment());
//! let adapters = Adapters::of_files().with(Arc::new(tools));
//! # Ok(())
//! # }
//! ```

mod adapter;
mod address;
mod frames;
mod heard;
mod options;
mod part;
mod private;
mod program;
mod reader;
mod running;
mod sink;
mod source;
mod writer;

pub use adapter::{ToolsAdapter, sink, source};
pub use options::{MONGODUMP_VARIABLE, MONGORESTORE_VARIABLE, ToolsOptions};
pub use private::sweep;
pub use program::{Program, Tool, Unusable, VERSION_MIN, check};
