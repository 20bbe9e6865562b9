//! What a pipeline says it is doing.

use minicbor::{Decode, Encode};
use std::fmt;
use std::str::FromStr;

/// What a pipeline says it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum PipelineStatus {
    /// Made, and not started.
    #[n(0)]
    Configured,
    /// Moving data.
    #[n(1)]
    Running,
    /// Stopped for a while.
    #[n(2)]
    Paused,
    /// Ended, as intended.
    #[n(3)]
    Stopped,
    /// Ended by an error.
    #[n(4)]
    Failed,
}

impl PipelineStatus {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Configured, Self::Running, Self::Paused, Self::Stopped, Self::Failed];

    /// As people and programs write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }

    /// Whether the pipeline is over: it uses nothing, need not send heartbeats, and is kept only for a time.
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed)
    }
}

impl fmt::Display for PipelineStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that is no status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("status must be configured, running, paused, stopped or failed, found {0:?}")]
pub struct StatusUnknown(pub String);

impl FromStr for PipelineStatus {
    type Err = StatusUnknown;

    fn from_str(text: &str) -> Result<Self, StatusUnknown> {
        let found = Self::ALL.into_iter().find(|status| status.name() == text);
        found.ok_or_else(|| StatusUnknown(text.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_reads_back_from_its_name_and_nothing_else_does() {
        for status in PipelineStatus::ALL {
            assert_eq!(status.to_string().parse(), Ok(status));
        }
        for bad in ["Running", "", "done", " running"] {
            assert!(bad.parse::<PipelineStatus>().is_err(), "{bad:?}");
        }
    }
}
