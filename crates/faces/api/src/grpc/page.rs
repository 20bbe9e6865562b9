//! Paging: sizes and cursors.

use super::convert::Malformed;
use capstan_proto::{PAGE_DEFAULT, PAGE_MAX};

/// How many a page holds at most.
pub fn size(wished: u32) -> Result<usize, Malformed> {
    match wished {
        0 => Ok(PAGE_DEFAULT as usize),
        1..=PAGE_MAX => Ok(wished as usize),
        _ => Err(Malformed::new("page_size", format_args!("at most {PAGE_MAX}"), wished)),
    }
}

/// A cursor that no page ever ended with.
pub fn bad_cursor(found: &str) -> Malformed {
    let found: String = found.chars().take(64).collect();
    Malformed::new("cursor", "the next_cursor of an earlier page, or empty", format_args!("{found:?}"))
}
