//! Where dumped chunks lie, as sealed parts, between being read and being written.
//!
//! A part is one object of framed, compressed blocks of raw BSON documents. It is written by one lease, counts from the
//! moment it is sealed, and never changes afterwards. What sealing answers, the [`PartFacts`], goes to the journal;
//! whoever reads the part proves it against them.
//!
//! # Promises
//! - S1 A part that was sealed is durable: it is read back byte for byte after any crash, or it is reported.
//! - S2 Nothing is handed out that is not what was written: a truncation at any byte, a flipped bit, a missing or an
//!   exchanged part ends in [`SpoolError::Damaged`] or [`SpoolError::Missing`], which say that the chunk must be dumped
//!   again. A reader never ends early without an error.
//! - S3 A part's name carries the token of the lease that wrote it. Two writers never share a name, a sealed part is
//!   never overwritten, and what a stale worker left is read by nobody, because readers follow facts.
//! - S4 What was not sealed is never listed and never read. A sweep removes it from a folder; an upload that a crash left
//!   unfinished in a bucket is no object, and a rule of the bucket's own removes it.
//! - S5 Memory is bounded: a writer holds at most four blocks, a reader three; a block is about 1 MiB, or one batch
//!   where that is larger. For a bucket a writer holds three pieces of 8 MiB besides.
//! - S6 A folder keeps as much room free as [`Opening::reserve`] says: looked at before a part and before each block, so
//!   what is written past it is at most one block for each part in work.
//!
//! # Never
//! Looks into a document, decides what is kept (the caller does), draws a random number, or compresses on a thread that
//! serves async tasks.
//!
//! # Limits
//! A batch holds at most [`BATCH_BYTES_MAX`] bytes, a part [`PART_BYTES_MAX`]; names are bounded by [`PartName`].
//!
//! ```
//! use bytes::Bytes;
//! use capstan_ids::{SessionName, Token};
//! use capstan_spool::{FileSpool, Marker, PartName, Spool};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
//! # let folder = tempfile::tempdir()?;
//! # let folder = folder.path();
//! # runtime.block_on(async {
//! let spool = FileSpool::open(folder, Marker::new(0x51ab)).await?;
//! let name = PartName::new(SessionName::new("nightly")?, "4fa3c1d2e5b60718", 7, 1, Token::from_wire(42), 0)?;
//!
//! let mut part = spool.begin_part(name).await?;
//! part.write(Bytes::from_static(b"\x05\0\0\0\0"), 1).await?;
//! let facts = part.seal().await?;
//!
//! let mut blocks = spool.open_part(&facts).await?;
//! assert_eq!(blocks.next().await?.map(|block| block.documents), Some(1));
//! assert!(blocks.next().await?.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(missing_docs)]

mod ahead;
mod blocking;
pub mod conformance;
mod decode;
mod encode;
mod error;
mod facts;
mod file;
mod format;
mod gather;
mod name;
#[cfg(feature = "objects")]
mod object;
mod open;
mod port;
#[cfg_attr(not(feature = "objects"), allow(dead_code, reason = "the URL of a folder has no options"))]
mod url;

pub use error::{SpoolError, SpoolFault};
pub use facts::{Checksum, PartFacts};
pub use file::FileSpool;
pub use format::{BATCH_BYTES_MAX, BLOCK_BYTES, Compression, PART_BYTES_MAX};
pub use name::{PartName, PartNameError};
#[cfg(feature = "objects")]
pub use object::{BucketStore, ObjectSpool};
pub use open::{Lookup, Opening, open};
pub use port::{Block, Keep, Listed, Marker, PartReader, PartWriter, Spool, Swept};
