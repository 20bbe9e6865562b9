//! Every call, over a real socket, against a real server in this process.

#![expect(clippy::unwrap_used, reason = "a test fails where a step of it does")]

mod conformance;
mod exchange;
mod leases;
mod registry;
mod server;
mod sessions;
mod standard;
mod standby;
mod watching;
