//! The way to the coordinator, on which a worker dies: at a chosen durable step, right before it or right after it.

use crate::stage::Line;
use async_trait::async_trait;
use capstan_coordination::{Acquire, Brief, Coordination, CoordinationError, Fault, Holding, Leased, News, Outcome};
use std::future::pending;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// On which side of a step the worker dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The coordinator never hears of it: what the worker made durable elsewhere is not known of.
    Before,
    /// The coordinator has it, and the worker never hears of that: what follows from it is not done.
    After,
}

/// Steps are checkpoints that are told, and completions. Whatever was made durable in the spool or at the target before
/// one is there, and known to nobody.
pub struct Trap {
    line: Line,
    left: AtomicI64,
    side: Side,
    sprung: Notify,
}

impl Trap {
    /// Springs at that step, counted from 1.
    pub fn at(line: Line, step: i64, side: Side) -> Self {
        Self { line, left: AtomicI64::new(step), side, sprung: Notify::new() }
    }

    /// Waits until the worker stands in it.
    pub async fn sprung(&self) {
        self.sprung.notified().await;
    }

    async fn step<T>(&self, call: impl Future<Output = T>) -> T {
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        if left < 1 {
            // A call that was cut off in the middle of its step, by the end of its task, was the last all the same.
            return self.die().await;
        }
        let here = left == 1;
        if here && self.side == Side::Before {
            return self.die().await;
        }
        let answer = call.await;
        if here { self.die().await } else { answer }
    }

    async fn die<T>(&self) -> T {
        self.sprung.notify_one();
        pending().await
    }
}

#[async_trait]
impl Coordination for Trap {
    async fn acquire(&self, wish: &Acquire) -> Result<Vec<Leased>, CoordinationError> {
        Coordination::acquire(&self.line, wish).await
    }
    async fn renew(&self, holding: &Holding, news: &News) -> Result<Duration, CoordinationError> {
        let call = self.line.renew(holding, news);
        if news.checkpoint.is_some() { self.step(call).await } else { call.await }
    }
    async fn complete(&self, holding: &Holding, outcome: &Outcome) -> Result<(), CoordinationError> {
        self.step(self.line.complete(holding, outcome)).await
    }
    async fn fail(&self, holding: &Holding, fault: &Fault) -> Result<(), CoordinationError> {
        self.line.fail(holding, fault).await
    }
    async fn release(&self, holding: &Holding, news: &News) -> Result<(), CoordinationError> {
        self.line.release(holding, news).await
    }
    async fn brief(&self, holding: &Holding, from: u32) -> Result<Brief, CoordinationError> {
        self.line.brief(holding, from).await
    }
}
