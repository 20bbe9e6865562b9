//! Snapshots: a row for each, and its rows in pages, written beside the log over connections of their own.

mod page;
mod shelf;
mod writer;

pub(crate) use shelf::{Shelf, whole};
