//! The binary itself: what its commands print, how they end, how the server starts and stops.

#![expect(clippy::unwrap_used, reason = "a test fails where a step of it does")]

mod alerts;
mod backup;
mod binary;
mod databases;
mod pipeline;
mod serving;
mod session;
mod work;
