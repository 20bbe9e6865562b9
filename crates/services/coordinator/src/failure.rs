//! Why a request got no answer from the state.

use capstan_journal::Refusal;
use capstan_work::Rejection;
use std::time::Duration;

/// One variant for each thing the caller could do about it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// The command was refused; nothing has changed.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The same for a command about a job.
    #[error(transparent)]
    JobRejected(#[from] capstan_migration::Rejection),
    /// The same for a command about a pipeline.
    #[error(transparent)]
    PipelineRejected(#[from] capstan_registry::Rejection),
    /// Too many requests wait already; nothing has changed.
    #[error("the server has more requests than it can queue; try again in {} ms", retry_after.as_millis())]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// The journal has no room; nothing has changed, and reads go on.
    #[error(transparent)]
    Full(Refusal),
    /// The journal does not answer; what was asked may or may not have happened.
    #[error("the journal does not answer; try again in {} ms, with the same ids and tokens", retry_after.as_millis())]
    Away {
        /// When to try again.
        retry_after: Duration,
    },
    /// This server does not lead, or no longer.
    #[error("this server does not lead; ask {}", leader.as_deref().unwrap_or("again in a second"))]
    NotLeader {
        /// Who does, where known.
        leader: Option<String>,
    },
    /// A flush failed or the journal is damaged: the server stops, and nobody guesses.
    #[error("the journal failed and this server stops; see its log")]
    JournalBroken,
    /// The server is shutting down.
    #[error("the server is shutting down; try again in a moment, or ask another")]
    Stopped,
}
