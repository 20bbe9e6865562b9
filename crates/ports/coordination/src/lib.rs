//! What a worker asks of a coordinator, whoever answers: the server in the same process, or one behind a network.
//!
//! A worker asks for work, keeps its leases while it works, and gives each back exactly one way: completed, failed or
//! released. Every call that speaks for a lease carries its token, so a worker that was away too long changes nothing.
//!
//! # Promises
//! - C1 What was answered with `Ok` is durable.
//! - C2 A lease is given to one worker at a time, with a token higher than that of every lease given before.
//! - C3 Every call may be repeated after [`Unavailable`](CoordinationError::Unavailable): an acquire with a key hands
//!   back the leases it had given, a completion answers as it did; a failure or release that was taken before answers so,
//!   or [`LeaseLost`](CoordinationError::LeaseLost) once the item is held anew, and nothing is counted twice.
//! - C4 A lease lasts at least `lease + waited` from the moment the worker asked; a renewed one at least its new
//!   length from the moment the worker asked for that. The worker counts by its own clock.
//! - C5 After [`Revoked`](CoordinationError::Revoked) nobody else is granted the item until its holder has given it
//!   back or its lease has ended.
//! - C6 A completion and its successors are one step: never the one without the other.
//!
//! # Never
//! Knows what the work is: payloads, checkpoints and results are text that only workers and their jobs understand.

#![warn(missing_docs)]

#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod lease;
mod outcome;
mod port;

pub use error::CoordinationError;
pub use lease::{Acquire, Holding, Leased, Progress, Usage};
pub use outcome::{Await, Brief, Fault, News, Outcome, Successor};
pub use port::Coordination;
