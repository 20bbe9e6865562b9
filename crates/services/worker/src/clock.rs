//! The worker's own clock: it never goes back and counts sleep, as leases do.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Time since the machine was started, the time it slept included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Since(Duration);

impl Since {
    /// Now. `Instant` would stand still while the machine sleeps, and a lease would seem to live on.
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
        let nanos = u32::try_from(time.tv_nsec).unwrap_or_default();
        Self(Duration::new(seconds, nanos))
    }

    pub fn plus(self, length: Duration) -> Self {
        Self(self.0.saturating_add(length))
    }

    pub fn minus(self, length: Duration) -> Self {
        Self(self.0.saturating_sub(length))
    }

    /// How long it is until then; nothing once it has come.
    pub fn left(self) -> Duration {
        self.0.saturating_sub(Self::now().0)
    }

    pub fn has_come(self) -> bool {
        Self::now() >= self
    }

    pub fn as_nanos(self) -> u128 {
        self.0.as_nanos()
    }
}
