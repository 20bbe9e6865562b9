//! How long a leadership lasts without a sign of life, and whether this process has one now.

use capstan_ids::{Millis, Monotonic};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The times of an election. The defaults give a fail-over in about three seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// A leader that could not give a sign of life for so long, counted from when it began to try, answers nothing more.
    pub length: Millis,
    /// How often a leader gives a sign of life.
    pub beat: Millis,
    /// How often a standby looks.
    pub look: Millis,
    /// How much longer than `length` a standby waits: clocks of two machines do not run equally fast.
    pub grace: Millis,
}

impl Default for Term {
    fn default() -> Self {
        Self { length: Millis(2_500), beat: Millis(500), look: Millis(200), grace: Millis(250) }
    }
}

/// Whether this process may answer as the leader. Shared by the owner, who asks, and the seat, which knows.
#[derive(Clone, Debug)]
pub struct Leadership(Arc<AtomicU64>);

impl Leadership {
    /// Of a journal that only one process can open.
    pub fn for_ever() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }

    /// Not held until it is extended.
    pub(crate) fn none() -> Self {
        Self(Arc::new(AtomicU64::new(0)))
    }

    /// Whether it is held at this moment of this machine's clock.
    pub fn holds(&self, now: Monotonic) -> bool {
        now.0 < self.0.load(Ordering::Acquire)
    }

    /// Whether it never ends by itself.
    pub(crate) fn is_for_ever(&self) -> bool {
        self.0.load(Ordering::Acquire) == u64::MAX
    }

    pub(crate) fn set_until(&self, until: Monotonic) {
        self.0.store(until.0, Ordering::Release);
    }

    pub(crate) fn end(&self) {
        self.0.store(0, Ordering::Release);
    }
}
