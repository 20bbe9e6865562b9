//! Pages of lists: so many at once, and a cursor to go on from.

use crate::problem::{Part, Problem};
use crate::request::Parameters;
use serde::Serialize;

/// Entries of a page where nobody asked for a number.
pub const PAGE_DEFAULT: u64 = 100;
/// The most entries of a page.
pub const PAGE_MAX: u64 = 1_000;

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// How many entries were asked for.
pub fn limit(parameters: &Parameters<'_>) -> Result<usize, Problem> {
    Ok(parameters.number("limit", 1, PAGE_MAX)?.unwrap_or(PAGE_DEFAULT) as usize)
}

/// A cursor that is a number.
pub fn numbered(parameters: &Parameters<'_>) -> Result<u64, Problem> {
    match parameters.get("cursor") {
        None => Ok(0),
        Some(text) => text
            .parse()
            .map_err(|_| Problem::parameter(Part::Query, "cursor", "the next_cursor of an earlier page", text)),
    }
}
