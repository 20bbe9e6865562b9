//! The clocks the owner reads, in one place so that a simulation can turn them.

use capstan_ids::{Moment, Monotonic, WallTime};
use rustix::time::{ClockId, clock_gettime};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Both clocks, read together.
    fn now(&self) -> Moment;
}

/// The machine's clocks: `CLOCK_BOOTTIME`, which counts sleep, and `CLOCK_REALTIME`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        let boot = clock_gettime(ClockId::Boottime);
        let real = clock_gettime(ClockId::Realtime);
        Moment {
            monotonic: Monotonic(boot.tv_sec as u64 * 1_000 + boot.tv_nsec as u64 / 1_000_000),
            wall: WallTime(real.tv_sec * 1_000_000 + real.tv_nsec / 1_000),
        }
    }
}
