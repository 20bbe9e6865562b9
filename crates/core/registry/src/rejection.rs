//! Why a command was refused: nothing has changed.

use crate::name::PipelineId;
use crate::resources::Resources;

/// One variant for each thing the caller could do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is one of that id.
    #[error("pipeline {0} is registered already; choose another id, or unregister it first")]
    PipelineExists(PipelineId),
    /// No such pipeline.
    #[error("pipeline {0} is not registered; register it first, or check the id")]
    PipelineUnknown(PipelineId),
    /// A figure is out of its range, or no number.
    #[error("{field} must be {expected}, found {found}")]
    OutOfRange {
        /// Which field.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What came.
        found: String,
    },
    /// A stated limit is reached.
    #[error("{what} would exceed the limit of {limit}; {advice}")]
    LimitReached {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: u64,
        /// What to do.
        advice: &'static str,
    },
    /// There is no room now.
    #[error(
        "there is no room for {asked}: {free} are free and {waiting} others wait; try again later, or say how long to wait"
    )]
    NoRoom {
        /// What was asked for.
        asked: Resources,
        /// What is free.
        free: Resources,
        /// How many reservations wait for room already.
        waiting: u64,
    },
    /// There is never room: it is more than the limits.
    #[error("{asked} are more than the limits of {limits}; ask for less, or raise the limits")]
    LargerThanLimits {
        /// What was asked for.
        asked: Resources,
        /// What all pipelines together may have.
        limits: Resources,
    },
    /// The rules are not those that whoever asked had seen.
    #[error("the limits have been changed since they were read; read them again, and decide anew")]
    RulesDiffer,
    /// No such reservation.
    #[error("pipeline {0} has no reservation; it was released, has run out, or never was")]
    ReservationUnknown(PipelineId),
}
