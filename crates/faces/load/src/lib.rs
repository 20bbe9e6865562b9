//! Puts a server under load and measures it: what `capstan bench work` runs.
//!
//! Closed loops: each of so many clients sends a request, waits for its answer, sends the next. Over HTTP a client is a
//! connection with prepared bytes and nothing in between; over gRPC it is a task on a shared channel; on the stream one
//! connection carries everybody's requests in frames. One thread drives all of them, as a lean client for any peer.
//!
//! # Promises
//! - Every request counts once, in the rate and in the histogram, and only if its answer says it was done.
//! - A run is bounded in time and in items, and leaves no session behind.

mod case;
mod measure;
mod row;
mod run;
mod transport;

pub use case::Case;
pub use row::Row;
pub use run::{LoadError, Plan, run};
pub use transport::Transport;
