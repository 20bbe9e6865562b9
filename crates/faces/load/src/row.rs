//! One measurement, as scripts read it.

use serde::Serialize;

/// A row of results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// `capstan`.
    pub system: &'static str,
    /// What was done.
    pub case: &'static str,
    /// How it was asked.
    pub transport: &'static str,
    /// How many closed loops.
    pub clients: usize,
    /// Requests outstanding over all clients.
    pub in_flight: usize,
    /// `before_ack` or `later`.
    pub durability: &'static str,
    /// Items, jobs or leases a second.
    pub per_second: f64,
    /// Median time of a request in milliseconds.
    pub p50_ms: f64,
    /// Time that 99 of 100 requests stay below, in milliseconds.
    pub p99_ms: f64,
    /// Requests that failed.
    pub errors: u64,
}
