//! What a call can end with, by what the worker does about it.

use std::time::Duration;

/// One variant for each thing a worker does. `reason` is text for people, complete in itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CoordinationError {
    /// The lease is over, or somebody else's by now: stop that work and write nothing more for it.
    #[error("the lease is lost: {reason}")]
    LeaseLost {
        /// What the coordinator said.
        reason: String,
    },
    /// The lease was taken back: stop that work at once and release it, with a checkpoint where there is one.
    #[error("the lease was revoked: {reason}")]
    Revoked {
        /// Who took it back, or why.
        reason: String,
    },
    /// The call itself is wrong, and would be every time: give the item back as failed, or correct the settings.
    #[error("the coordinator refused the call: {reason}")]
    Refused {
        /// What is wrong with it.
        reason: String,
    },
    /// No answer, or not now; it may or may not have been done. The same call again is harmless.
    #[error("the coordinator is not available: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
        /// When to try again.
        retry_after: Duration,
    },
}

impl CoordinationError {
    /// Whether the same call may succeed in a while.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
