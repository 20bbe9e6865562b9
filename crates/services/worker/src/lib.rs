//! Executes leased items over endpoints: lists, plans, dumps, restores, copies, completes, verifies and mends.
//!
//! A worker keeps no state of its own. It asks a coordinator for work, does each item as a task, says how far it has got
//! while it renews the lease, and gives the item back exactly one way. Killed at any instant it leaves nothing that
//! another cannot go on from.
//!
//! # Promises
//! - K1 Nothing is written for an item after its lease may have ended: a task stops by the worker's own clock, which
//!   counts sleep, a margin before that.
//! - K2 A lease that is lost or taken back ends its task at once. What was taken back is released, with its checkpoint.
//! - K3 A checkpoint says only what is durable: sealed parts, and what the target has confirmed.
//! - K4 Nothing is restored that its part does not prove; a part that is missing or damaged is dumped again.
//! - K5 A part is deleted only after the completion of its restore has been answered.
//! - K6 When it is told to stop, it takes nothing new, and gives back what it holds within seconds.
//! - K7 An endpoint that gives nothing for a stated time fails its item; a lease that was taken back ends its task within
//!   a second, whatever its endpoints do.
//! - K8 A kept dump is visible whole or not at all, and nobody but its own job changes it.
//! - K9 Memory is bounded whatever the sizes of documents: some megabytes for each item, and three of its documents.
//! - K10 A task that panics fails its own item and nothing else.
//!
//! # Never
//! Writes a journal, decides what follows from what it found, or lets a secret into a checkpoint, a result or an error.
//!
//! ```no_run
//! # async fn example(coordination: std::sync::Arc<dyn capstan_coordination::Coordination>) -> Result<(), capstan_worker::WorkerError> {
//! use capstan_ids::WorkerId;
//! use capstan_worker::{Options, Worker};
//! use tokio_util::sync::CancellationToken;
//!
//! let options = Options::new(WorkerId::new("worker-1").expect("a valid id"));
//! let worker = Worker::new(coordination, options);
//! let shutdown = CancellationToken::new();
//! worker.run(shutdown).await
//! # }
//! ```

#![warn(missing_docs)]

mod activity;
mod clock;
mod desk;
mod engine;
mod halt;
mod holds;
mod keeper;
mod kept;
mod meter;
mod options;
mod pace;
mod patience;
mod places;
mod scans;
mod secrets;
mod slots;
mod tasks;
mod wishes;
mod worker;

pub use activity::{Activity, Running, Totals};
pub use engine::Engine;
pub use options::Options;
pub use secrets::{SecretError, Secrets};
pub use worker::{Worker, WorkerError};
