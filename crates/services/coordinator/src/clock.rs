//! The clocks the owner reads, in one place so that a simulation can turn them.

use capstan_ids::{Millis, Moment, Monotonic, WallTime};
use rustix::time::{ClockId, clock_gettime};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Both clocks, read together.
    fn now(&self) -> Moment;

    /// How much later than it says it may be, twice over: the end of a lease, and the wait that its holder adds to it, are
    /// both rounded. What runs out is ended so much later, when the holder's own count is over too.
    fn coarseness(&self) -> Millis {
        Millis::ZERO
    }
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

    fn coarseness(&self) -> Millis {
        // Read in whole milliseconds.
        Millis(2)
    }
}
