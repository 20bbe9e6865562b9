//! Why a history cannot be told.

use super::Problem;
use crate::codes;
use crate::wire::time;
use capstan_coordinator::HistoryError;
use capstan_ids::WallTime;
use std::time::Duration;

impl Problem {
    /// As many histories are being read as may be at once.
    pub fn too_many_readers() -> Self {
        let detail = "other histories are being read; try again in a second";
        Self::new(&codes::SERVER_OVERLOADED, detail).retry_after(Duration::from_secs(1))
    }
}

impl From<HistoryError> for Problem {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Failure(failure) => failure.into(),
            HistoryError::TooOld { first } => {
                let first = first.map(|micros| time::text(WallTime(micros)));
                let before = first.as_deref().unwrap_or("the oldest event");
                let detail = format!("what was before {before} is no longer kept; ask for a later time");
                let problem = Self::new(&codes::HISTORY_GONE, detail);
                match first {
                    Some(first) => problem.with("first", first),
                    None => problem,
                }
            }
            // What the journal says names files: it stays in the server's log.
            other @ (HistoryError::Journal(_) | HistoryError::Unreadable { .. } | HistoryError::Cut) => {
                tracing::error!(error = %other, "a history could not be read");
                let detail = "the history could not be read; try again, and see the server's log";
                Self::new(&codes::JOURNAL_AWAY, detail).retry_after(Duration::from_secs(1))
            }
        }
    }
}
