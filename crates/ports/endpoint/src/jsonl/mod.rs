//! Extended JSON in files: what mongoexport writes and mongoimport reads.

mod base64;
mod date;
mod parse;
mod wrapper;

pub use parse::{NESTING_MAX, TextError, parse_document};
