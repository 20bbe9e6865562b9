//! Why something was refused: nothing has changed.

use crate::name::JobName;
use std::fmt;

/// One variant for each thing the caller could do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The specification cannot be done; every fault in it is named.
    #[error("the job's specification has {} fault{}: {}", .0.len(), if .0.len() == 1 { "" } else { "s" }, Listed(.0))]
    SpecInvalid(Vec<SpecFault>),
    /// No such job.
    #[error("job {0} does not exist; `capstan job list` names those there are")]
    JobUnknown(JobName),
    /// There is a job of that name, going on or ended, that does something else.
    #[error("job {job} is there with another {field}; choose another name, or cancel it if it goes on and forget it")]
    JobDiffers {
        /// Its name.
        job: JobName,
        /// Which field of the specification differs first.
        field: &'static str,
    },
    /// The job of that name has ended.
    #[error("job {job} has ended: {end}; read its report, forget it, or choose another name")]
    JobEnded {
        /// Its name.
        job: JobName,
        /// How it ended.
        end: &'static str,
    },
    /// The job has not ended yet.
    #[error("job {0} has not ended; wait for it, or cancel it first")]
    JobUnfinished(JobName),
    /// There are too many jobs.
    #[error("there are {limit} jobs already; forget some that have ended")]
    TooManyJobs {
        /// How many there may be.
        limit: usize,
    },
    /// A pool is given a size it cannot have.
    #[error("the pool {kind} must be 1 to 4096 of plan, dump, restore, index or verify, found {size}")]
    PoolSize {
        /// Of which kind.
        kind: String,
        /// What came.
        size: u32,
    },
    /// The job takes no such change now.
    #[error("job {job} takes no {what} now: {problem}")]
    NotTaken {
        /// The job.
        job: JobName,
        /// What was asked for.
        what: &'static str,
        /// Why not, and what to do instead.
        problem: String,
    },
    /// A worker's result is not what such an item can end with.
    #[error("the result of {item:?} in job {job} {problem}")]
    BadResult {
        /// The job.
        job: JobName,
        /// The item.
        item: Box<str>,
        /// What was expected and what was found.
        problem: String,
    },
    /// What was dumped of a chunk is lost again and again.
    #[error(
        "chunk {chunk} of job {job} was dumped {times} times and its parts were lost or damaged each time, at last: {reason}; look after the spool"
    )]
    SpoolUnreliable {
        /// The job.
        job: JobName,
        /// The chunk.
        chunk: Box<str>,
        /// How often.
        times: u32,
        /// What was wrong with them last.
        reason: Box<str>,
    },
    /// There is nothing to be told about this item.
    #[error("item {item:?} of job {job} has no brief: {problem}")]
    NoBrief {
        /// The job.
        job: JobName,
        /// The item.
        item: Box<str>,
        /// Why.
        problem: &'static str,
    },
}

/// One thing that is wrong with a specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecFault {
    /// Which field, with its place in a list: `include[2]`.
    pub field: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

struct Listed<'a>(&'a [SpecFault]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, fault) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "; " };
            write!(f, "{comma}`{}` {}", fault.field, fault.problem)?;
        }
        Ok(())
    }
}
