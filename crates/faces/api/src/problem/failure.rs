//! What the coordinator could not answer.

use super::Problem;
use crate::codes;
use capstan_coordinator::Failure;
use capstan_journal::Refusal;
use std::time::Duration;

/// How long to leave a server that does not lead or is stopping.
const PAUSE: Duration = Duration::from_secs(1);

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        let detail = failure.to_string();
        match failure {
            Failure::Rejected(rejection) => rejection.into(),
            Failure::JobRejected(rejection) => rejection.into(),
            Failure::PipelineRejected(rejection) => rejection.into(),
            Failure::Overloaded { retry_after } => {
                Self::new(&codes::SERVER_OVERLOADED, detail).retry_after(retry_after)
            }
            Failure::Full(refusal) => refusal.into(),
            Failure::Away { retry_after } => Self::new(&codes::JOURNAL_AWAY, detail).retry_after(retry_after),
            Failure::NotLeader { leader } => {
                let problem = Self::new(&codes::SERVER_NOT_LEADER, detail).retry_after(PAUSE);
                match leader {
                    Some(leader) => problem.with("leader", leader),
                    None => problem,
                }
            }
            Failure::JournalBroken => Self::new(&codes::JOURNAL_BROKEN, detail),
            Failure::Stopped => Self::new(&codes::SERVER_STOPPING, detail).retry_after(PAUSE),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            // Where the journal lies is the operator's to know: it stays in the server's log.
            Refusal::Full { needed, free, .. } => Self::new(
                &codes::JOURNAL_FULL,
                format!("the journal has no room: {needed} bytes needed, {free} free; changes are taken again once there is space"),
            )
            .with("needed_bytes", needed)
            .with("free_bytes", free),
            Refusal::TooLarge { size, limit } => {
                Self::new(&codes::JOURNAL_COMMIT_TOO_LARGE, detail).with("size_bytes", size).with("limit_bytes", limit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_ids::SessionName;
    use capstan_work::Rejection;

    #[test]
    fn every_failure_has_its_code_its_status_and_its_pause() {
        let pause = Duration::from_millis(250);
        let full = Refusal::Full { needed: 10, free: 1, place: "/secret/place".into() };
        let unknown = Rejection::SessionUnknown(SessionName::new("shop").unwrap());
        let led = Failure::NotLeader { leader: Some("http://10.0.0.2:8000".into()) };
        let table = [
            (Failure::Rejected(unknown), "session.unknown", 404, None),
            (Failure::Overloaded { retry_after: pause }, "server.overloaded", 429, Some(pause)),
            (Failure::Full(full), "journal.full", 507, None),
            (Failure::Full(Refusal::TooLarge { size: 9, limit: 8 }), "journal.commit_too_large", 413, None),
            (Failure::Away { retry_after: pause }, "journal.away", 503, Some(pause)),
            (led, "server.not_leader", 503, Some(PAUSE)),
            (Failure::JournalBroken, "journal.broken", 503, None),
            (Failure::Stopped, "server.stopping", 503, Some(PAUSE)),
        ];
        for (failure, code, status, retry_after) in table {
            let problem = Problem::from(failure);
            assert_eq!((problem.code.name, problem.class().http().as_u16()), (code, status));
            assert_eq!(problem.retry_after, retry_after, "{code}");
            assert!(!problem.detail.contains("secret"), "{code} tells where the journal lies");
        }
    }
}
