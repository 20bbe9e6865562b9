//! Times, as arguments: nobody in the core asks a clock.

use minicbor::{Decode, Encode};
use std::ops::Add;

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct Millis(#[n(0)] pub u64);

impl Millis {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// So many seconds.
    pub const fn secs(seconds: u64) -> Self {
        Self(seconds * 1_000)
    }

    /// Its number of milliseconds.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A time on a clock that never goes back and counts sleep (`CLOCK_BOOTTIME`), in milliseconds.
///
/// Means nothing in another process: it is never journalled. Leases, back-off and leadership run on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// How long it is from `earlier` to this; nothing if it is not later.
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Millis> for Monotonic {
    type Output = Self;

    fn add(self, length: Millis) -> Self {
        Self(self.0.saturating_add(length.0))
    }
}

/// A wall-clock time in microseconds since 1970 UTC. Only shown to people, and used for not-before times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct WallTime(#[n(0)] pub i64);

impl WallTime {
    /// Its number of microseconds.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// How long it is from `earlier` to this; nothing if it is not later.
    pub fn since(self, earlier: Self) -> Millis {
        Millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0) / 1_000)
    }
}

impl Add<Millis> for WallTime {
    type Output = Self;

    fn add(self, length: Millis) -> Self {
        Self(self.0.saturating_add_unsigned(length.0.saturating_mul(1_000)))
    }
}

/// Both clocks, read together by whoever calls a core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// What decides.
    pub monotonic: Monotonic,
    /// What is shown.
    pub wall: WallTime,
}
