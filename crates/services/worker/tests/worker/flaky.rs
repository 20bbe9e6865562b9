//! A real dump that fails now and then, on either side.

use crate::through::OnTheWay;
use async_trait::async_trait;
use capstan_endpoint::{Batch, ChunkWriter, EndpointError, RefusedDocument, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How it fails.
#[derive(Clone, Copy)]
pub enum Way {
    /// It asks to slow down, and says for how long.
    Throttles,
    /// It is not there.
    Away,
}

/// Reads that fail, and writes that fail after a number that do not. Counted over all of them.
#[derive(Clone)]
pub struct Flaky {
    pub way: Way,
    pub reads_failing: Arc<AtomicU64>,
    pub writes_passing: Arc<AtomicU64>,
    pub writes_failing: Arc<AtomicU64>,
    /// Calls that failed.
    pub failed: Arc<AtomicU64>,
}

impl Flaky {
    pub fn reads(way: Way, failing: u64) -> Self {
        Self {
            way,
            reads_failing: Arc::new(AtomicU64::new(failing)),
            writes_passing: Arc::default(),
            writes_failing: Arc::default(),
            failed: Arc::default(),
        }
    }

    pub fn writes(way: Way, passing: u64, failing: u64) -> Self {
        let flaky = Self::reads(way, 0);
        flaky.writes_passing.store(passing, Ordering::SeqCst);
        flaky.writes_failing.store(failing, Ordering::SeqCst);
        flaky
    }

    fn fail(&self, left: &AtomicU64) -> Result<()> {
        if !counted_down(left) {
            return Ok(());
        }
        self.failed.fetch_add(1, Ordering::SeqCst);
        let (place, action) = ("a flaky place".into(), "trying".into());
        Err(match self.way {
            Way::Throttles => {
                let wait = Some(Duration::from_millis(10));
                EndpointError::Throttled { place, action, reason: "too many requests".into(), wait }
            }
            Way::Away => EndpointError::Unavailable { place, action, source: "nobody answers".into() },
        })
    }
}

fn counted_down(left: &AtomicU64) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
}

#[async_trait]
impl OnTheWay for Flaky {
    async fn before_read(&self) -> Result<()> {
        self.fail(&self.reads_failing)
    }
    async fn write(&self, writer: &mut dyn ChunkWriter, batch: Batch) -> Result<Vec<RefusedDocument>> {
        if !counted_down(&self.writes_passing) {
            self.fail(&self.writes_failing)?;
        }
        writer.write(batch).await
    }
}
