//! The suite that every adapter passes: what the ports promise, and what the adapter declares.
//!
//! A failing promise panics with its number and the place. Run [`source_conforms`] on a source that holds several units,
//! and [`sink_conforms`] on a maker of fresh places to write to.

pub mod fixtures;
mod mending;
mod sinks;
mod sources;

pub use sinks::{SinkMaker, sink_conforms};
pub use sources::{read_all, source_conforms};
