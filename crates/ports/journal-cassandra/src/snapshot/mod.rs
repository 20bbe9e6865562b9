//! Snapshots: lists of pages, and per stream one row that says which of them count.

mod shelf;
mod stream_row;
mod writer;

pub(crate) use shelf::Shelf;
