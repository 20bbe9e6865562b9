//! The port.

use crate::error::CoordinationError;
use crate::lease::{Acquire, Holding, Leased};
use crate::outcome::{Brief, Fault, News, Outcome};
use async_trait::async_trait;
use std::time::Duration;

/// A coordinator as a worker sees it. The crate's page says what each call promises.
#[async_trait]
pub trait Coordination: Send + Sync {
    /// Asks for work. Nothing may be had: then the answer is empty, after the wait that was asked for.
    ///
    /// Dropping the future ends the waiting; a lease that was given at that very moment runs out by itself.
    async fn acquire(&self, wish: &Acquire) -> Result<Vec<Leased>, CoordinationError>;

    /// Keeps a lease, and says how far the work has got. Answers the lease's new length.
    ///
    /// A checkpoint is durable when this returns; progress alone may be forgotten by a coordinator that dies.
    async fn renew(&self, holding: &Holding, news: &News) -> Result<Duration, CoordinationError>;

    /// Ends an item well.
    async fn complete(&self, holding: &Holding, outcome: &Outcome) -> Result<(), CoordinationError>;

    /// Reports that an attempt failed. The item comes back by itself while it has attempts left.
    async fn fail(&self, holding: &Holding, fault: &Fault) -> Result<(), CoordinationError>;

    /// Gives a lease back unfinished; no attempt is counted.
    async fn release(&self, holding: &Holding, news: &News) -> Result<(), CoordinationError>;

    /// What the item's job keeps for whoever does this item: settings, definitions, facts of earlier stages. It is too
    /// large, or too often the same, to go with each payload; all items of one unit's chunks have the same.
    ///
    /// `from` is 0, then what the page before named. Refused for an item that belongs to no job.
    async fn brief(&self, holding: &Holding, from: u32) -> Result<Brief, CoordinationError>;
}
