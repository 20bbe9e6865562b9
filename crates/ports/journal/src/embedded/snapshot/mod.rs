//! Snapshots: one file each, written beside the log.

mod file;
mod shelf;
mod writer;

pub(super) use shelf::Shelf;
