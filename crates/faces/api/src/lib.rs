//! REST and gRPC over one coordinator: the console's contract, `/api/v1`, health and metrics.
//!
//! # Promises
//! - A request is read whole and checked before anything is asked of the coordinator; what is refused changed nothing.
//! - Every error has a stable [code](codes), and its [class](Class) alone decides how each face tells it.
//! - No body, batch, page, wait or list is without a stated limit, and none is held in memory beyond its own.
//!
//! # Never
//! Decides anything, keeps state of its own, or tells domain types to the outside: [`wire`] stands between.

mod answer;
pub mod codes;
mod console;
mod counted;
mod door;
pub mod grpc;
mod health;
mod look;
mod metrics;
mod openapi;
pub mod problem;
mod registry;
pub mod report;
mod request;
mod router;
mod scale;
mod serve;
mod standby;
mod v1;
pub mod wire;

pub use door::Door;
pub use metrics::alerts::AlertFigures;
pub use openapi::openapi;
pub use problem::{Class, Problem, Retry};
pub use router::{ServerInfo, route_paths, router, with_fallback};
pub use serve::serve;
pub use standby::{Lines, Standby, standby};
