//! Dumps that are kept in a spool: what mode `dump-only` leaves there and mode `restore-only` reads.
//!
//! Beside the parts of its chunks a kept dump has a *catalogue*: what was dumped, when, from where, with the definition of
//! each collection and the facts of each part. It lies in parts itself, in the folder of the job that made the dump:
//!
//! ```text
//! JOB/catalogue_0.g0.tTOKEN.s0       BSON documents: each unit, and behind it its chunks
//! JOB/catalogue_1.g0.tTOKEN.s1       one BSON document: the head, with the facts of the part before
//! JOB/headFACTS_D.gB.tTOKEN.s2       an empty part, whose name says the facts of the head
//! ```
//!
//! The last one makes the dump visible, at once and as a whole. A part is only read by its facts, and whoever comes to a
//! spool with nothing in hand finds them in that name: whatever of a dump is changed afterwards is found out.

mod catalogue;
mod entry;
mod source;

pub(crate) use catalogue::{Catalogue, CatalogueWriter, dumps, facts};
pub(crate) use entry::ChunkEntry;
pub(crate) use source::{SpoolSource, lies_in};
