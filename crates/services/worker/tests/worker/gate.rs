//! A real dump behind a gate: its readers stop at a chosen batch until they are let on, or panic there.

use crate::through::OnTheWay;
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{Notify, Semaphore};

/// Where readers stop.
#[derive(Clone)]
pub struct Gate(Arc<State>);

struct State {
    /// Batches that may pass before the gate is reached.
    free: AtomicU64,
    panics: bool,
    reached: Notify,
    open: Semaphore,
    /// Readers that were dropped while they stood at the gate.
    dropped: Arc<Semaphore>,
}

impl Gate {
    /// Lets so many batches pass.
    pub fn after(batches: u64) -> Self {
        Self::new(batches, false)
    }

    /// The task that comes next panics; later ones pass.
    pub fn that_panics_once() -> Self {
        Self::new(0, true)
    }

    fn new(batches: u64, panics: bool) -> Self {
        Self(Arc::new(State {
            free: AtomicU64::new(batches),
            panics,
            reached: Notify::new(),
            open: Semaphore::new(0),
            dropped: Arc::new(Semaphore::new(0)),
        }))
    }

    /// Waits until a reader stands at the gate.
    pub async fn reached(&self) {
        self.0.reached.notified().await;
    }

    /// Lets everybody pass from now on.
    pub fn open(&self) {
        self.0.free.store(u64::MAX / 2, Ordering::SeqCst);
        self.0.open.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// Waits until a reader was dropped that stood at the gate.
    pub async fn dropped(&self) {
        self.0.dropped.acquire().await.unwrap().forget();
    }

    async fn pass(&self) {
        let passes = |free: u64| free.checked_sub(1);
        if self.0.free.fetch_update(Ordering::SeqCst, Ordering::SeqCst, passes).is_ok() {
            return;
        }
        if self.0.panics {
            self.open();
            panic!("at the gate");
        }
        struct Standing(Arc<Semaphore>);
        impl Drop for Standing {
            fn drop(&mut self) {
                self.0.add_permits(1);
            }
        }
        let standing = Standing(Arc::clone(&self.0.dropped));
        self.0.reached.notify_one();
        self.0.open.acquire().await.unwrap().forget();
        std::mem::forget(standing);
    }
}

#[async_trait]
impl OnTheWay for Gate {
    async fn before_next(&self) {
        self.pass().await;
    }
}
