//! How the whole is doing, from how many of its parts have failed.

use minicbor::{Decode, Encode};
use std::fmt;

/// How all pipelines together are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum Health {
    /// There are none.
    #[n(0)]
    Idle,
    /// None has failed.
    #[n(1)]
    Healthy,
    /// Some have failed, fewer than half. A warning.
    #[n(2)]
    Degraded,
    /// Half of them have failed, or more. An alert.
    #[n(3)]
    Critical,
}

impl Health {
    /// The health of `total` pipelines of which `failed` have failed: exactly half is critical.
    pub const fn of(total: u64, failed: u64) -> Self {
        match (total, failed) {
            (0, _) => Self::Idle,
            (_, 0) => Self::Healthy,
            _ if failed.saturating_mul(2) >= total => Self::Critical,
            _ => Self::Degraded,
        }
    }

    /// Whether nothing is wrong.
    pub const fn is_well(self) -> bool {
        matches!(self, Self::Idle | Self::Healthy)
    }

    /// As people and programs write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_turns_critical_at_exactly_half() {
        let table = [
            (0, 0, Health::Idle),
            (1, 0, Health::Healthy),
            (1, 1, Health::Critical),
            (2, 1, Health::Critical),
            (3, 1, Health::Degraded),
            (3, 2, Health::Critical),
            (4, 2, Health::Critical),
            (5, 2, Health::Degraded),
            (11, 1, Health::Degraded),
            (101, 50, Health::Degraded),
            (100, 50, Health::Critical),
            (100_000, 0, Health::Healthy),
            (7, 7, Health::Critical),
        ];
        for (total, failed, health) in table {
            assert_eq!(Health::of(total, failed), health, "{failed} of {total}");
        }
    }
}
