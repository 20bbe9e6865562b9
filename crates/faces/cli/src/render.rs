//! What the server said, as JSON with stable fields and as tables.
//!
//! The fields are those of the REST API: whoever has read the one can read the other.

mod change;
mod chunks;
mod item;
mod lease;
mod pipeline;
mod session;
mod time;

pub use change::{change, change_line};
pub use chunks::{ChunkMap, cells, columns};
pub use item::{added, item, items, state_name};
pub use lease::{acquired, leases, nothing, told};
pub use pipeline::{
    availability, fact, fact_line, limits_table, outcome, pipeline, pipeline_sheet, pipelines, registry_limits,
    reservation, reservations, room, system, system_table,
};
pub use session::{session, sessions, status, status_of_all, workers};
pub use time::{age, length, text, timestamp};

use serde_json::Value;
use serde_json::value::RawValue;

/// JSON text as the value it is; text that is none, which no server gives out, as a string.
fn opaque(text: Option<&str>) -> Value {
    match text {
        None => Value::Null,
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
    }
}

/// JSON text on one line.
fn compact(text: &str) -> String {
    serde_json::from_str::<&RawValue>(text).map_or_else(|_| text.to_owned(), |raw| raw.get().replace('\n', " "))
}

#[cfg(test)]
mod tests;
