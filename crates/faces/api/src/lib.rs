//! REST and gRPC over one coordinator: the console's contract, `/api/v1`, health and metrics.

pub mod codes;
pub mod problem;
pub mod wire;

pub use problem::{Class, Problem, Retry};
