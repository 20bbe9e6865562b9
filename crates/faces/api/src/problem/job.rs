//! What the migration core refuses.

use super::Problem;
use crate::codes;
use capstan_migration::{JobName, Rejection};

impl Problem {
    /// The job is there, and moves no such collection.
    pub fn no_unit(job: &JobName, unit: &str) -> Self {
        let unit: String = unit.chars().take(512).collect();
        let detail = format!("job {job} has no unit {unit:?}; `capstan job status {job}` lists its units");
        Self::new(&codes::JOB_UNIT_UNKNOWN, detail).with("job", job.as_str()).with("unit", unit)
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            Rejection::SpecInvalid(faults) => {
                let fields: Vec<String> = faults.into_iter().map(|fault| fault.field).collect();
                Self::new(&codes::JOB_SPEC_INVALID, detail).with("fields", fields)
            }
            Rejection::JobUnknown(job) => Self::new(&codes::JOB_UNKNOWN, detail).with("job", job.as_str()),
            Rejection::JobDiffers { job, field } => {
                Self::new(&codes::JOB_DIFFERS, detail).with("job", job.as_str()).with("field", field)
            }
            Rejection::JobEnded { job, end } => {
                Self::new(&codes::JOB_ENDED, detail).with("job", job.as_str()).with("end", end)
            }
            Rejection::JobUnfinished(job) => Self::new(&codes::JOB_UNFINISHED, detail).with("job", job.as_str()),
            Rejection::NotTaken { job, what, problem } => Self::new(&codes::JOB_STATE, detail)
                .with("job", job.as_str())
                .with("what", what)
                .with("problem", problem),
            Rejection::TooManyJobs { limit } => Self::new(&codes::JOB_TOO_MANY, detail).with("limit", limit as u64),
            Rejection::PoolSize { kind, size } => {
                Self::new(&codes::VALUE_OUT_OF_RANGE, detail).with("field", kind).with("found", u64::from(size))
            }
            Rejection::BadResult { item, problem, .. } => {
                Self::new(&codes::RESULT_REFUSED, detail).with("item", &*item).with("problem", problem)
            }
            Rejection::SpoolUnreliable { chunk, reason, .. } => {
                Self::new(&codes::RESULT_REFUSED, detail).with("item", &*chunk).with("problem", &*reason)
            }
            Rejection::NoBrief { item, problem, .. } => {
                Self::new(&codes::ITEM_UNKNOWN, detail).with("item", &*item).with("problem", problem)
            }
        }
    }
}
