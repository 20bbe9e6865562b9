//! What goes over the wire: never the domain's own types.
//!
//! Requests are read straight into checked names, refuse fields they do not know, and are lowered to commands.
//! Answers borrow from what the coordinator gave.

pub mod alert;
pub mod fact;
pub mod grant;
pub mod item;
pub mod job;
pub mod lease;
mod object;
pub mod pipeline;
pub mod policy;
pub mod room;
pub mod session;
pub mod time;

pub use object::{Named, Object};

use crate::problem::Problem;
use serde_json::value::RawValue;

/// How deep arrays and objects may lie in each other inside a payload, a result or notes.
pub const DEPTH_MAX: usize = 128;

/// The text of opaque JSON, refused if it nests so deep that readers stumble over it.
pub(crate) fn opaque(field: &'static str, value: Option<Box<RawValue>>) -> Result<Option<Box<str>>, Problem> {
    let Some(text) = value.map(Box::<str>::from) else { return Ok(None) };
    // What is shorter than its brackets cannot nest that deep: most payloads are not looked at.
    if text.len() > 2 * DEPTH_MAX && depth(&text) > DEPTH_MAX {
        return Err(Problem::out_of_range(field, "at most 128 arrays and objects deep", format!("{}", depth(&text))));
    }
    Ok(Some(text))
}

/// Opaque JSON as it goes out again.
pub(crate) fn raw(text: Option<&str>) -> Option<&RawValue> {
    text.and_then(|text| serde_json::from_str(text).ok())
}

fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_that_nests_too_deep_is_refused_and_brackets_in_text_do_not_count() {
        let deep =
            |levels: usize| RawValue::from_string(format!("{}{}", "[".repeat(levels), "]".repeat(levels))).unwrap();
        assert!(opaque("payload", Some(deep(128))).is_ok());
        assert!(opaque("payload", Some(deep(129))).is_err());

        let quoted = RawValue::from_string(format!("\"\\\"{}\"", "[".repeat(1_000))).unwrap();
        assert!(opaque("payload", Some(quoted)).is_ok());
    }
}
