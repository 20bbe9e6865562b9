//! What the registry core refuses.

use super::Problem;
use crate::codes;
use capstan_registry::Rejection;
use std::time::Duration;

/// How long to leave it where there is no room.
const PAUSE: Duration = Duration::from_secs(5);

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        let detail = rejection.to_string();
        match rejection {
            Rejection::PipelineExists(id) => Self::new(&codes::PIPELINE_EXISTS, detail).with("pipeline", id.as_str()),
            Rejection::PipelineUnknown(id) => Self::new(&codes::PIPELINE_UNKNOWN, detail).with("pipeline", id.as_str()),
            Rejection::OutOfRange { field, expected, found } => Self::new(&codes::VALUE_OUT_OF_RANGE, detail)
                .with("field", field)
                .with("expected", expected)
                .with("found", found),
            Rejection::LimitReached { limit, .. } => Self::new(&codes::LIMIT_REACHED, detail).with("limit", limit),
            Rejection::NoRoom { free, waiting, .. } => Self::new(&codes::PIPELINE_NO_ROOM, detail)
                .with("free_cpu_percent", free.cpu.as_percent().to_string())
                .with("free_memory_mb", free.memory_mb)
                .with("waiting", waiting)
                .retry_after(PAUSE),
            Rejection::LargerThanLimits { limits, .. } => Self::new(&codes::PIPELINE_TOO_LARGE, detail)
                .with("limit_cpu_percent", limits.cpu.as_percent().to_string())
                .with("limit_memory_mb", limits.memory_mb),
            Rejection::RulesDiffer => Self::new(&codes::LIMITS_CHANGED, detail),
            Rejection::ReservationUnknown(id) => {
                Self::new(&codes::RESERVATION_UNKNOWN, detail).with("pipeline", id.as_str())
            }
        }
    }
}
