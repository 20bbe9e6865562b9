//! What is measured.

use std::str::FromStr;

/// One kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// One item a request.
    Enqueue,
    /// One item a request, then its completion in another; counted in jobs.
    AcquireComplete,
    /// Completion and the next item in one request; counted in jobs.
    CompleteAndAcquire,
    /// Fifty items a request, then their completion and the next fifty; counted in jobs.
    Batch50,
    /// Renewals with progress of many leases in one request; counted in leases.
    Renew,
    /// From the acknowledgement of an added item until a worker that waits holds it.
    Handover,
    /// Ten thousand items a request; counted in items.
    Bulk,
}

impl Case {
    /// Every case, in the order they are shown.
    pub const ALL: [Self; 7] = [
        Self::Enqueue,
        Self::AcquireComplete,
        Self::CompleteAndAcquire,
        Self::Batch50,
        Self::Renew,
        Self::Handover,
        Self::Bulk,
    ];

    /// Its name in rows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue",
            Self::AcquireComplete => "acquire_complete",
            Self::CompleteAndAcquire => "complete_and_acquire",
            Self::Batch50 => "batch_50",
            Self::Renew => "renew",
            Self::Handover => "handover",
            Self::Bulk => "bulk",
        }
    }

    /// How many items a second it might take at the most: so many are prepared.
    pub(crate) const fn appetite(self, clients: usize, stream: bool) -> u64 {
        match self {
            Self::AcquireComplete | Self::CompleteAndAcquire if stream => 400_000,
            Self::AcquireComplete | Self::CompleteAndAcquire if clients > 8 => 120_000,
            Self::AcquireComplete | Self::CompleteAndAcquire => 40_000,
            Self::Batch50 => 700_000,
            Self::Enqueue | Self::Renew | Self::Handover | Self::Bulk => 0,
        }
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|case| case.name() == text);
        found.ok_or_else(|| format!("case must be one of {}, found {text:?}", Self::ALL.map(Self::name).join(", ")))
    }
}
