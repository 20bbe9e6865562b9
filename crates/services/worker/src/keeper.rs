//! Keeps a lease while its task runs.

use crate::clock::Since;
use crate::desk::Desk;
use capstan_coordination::{Coordination, CoordinationError};
use std::time::Duration;

/// Renewals are never further apart: they carry what people see of the progress, and bring a revocation, which ends a
/// task within a second, whatever its endpoints do.
const RENEW_EVERY_MAX: Duration = Duration::from_millis(500);
const RETRY_MIN: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// Why a lease is not kept any longer.
#[derive(Debug)]
pub(crate) enum Ended {
    /// Over by our clock or by the coordinator's: nothing more is written or said.
    Lost(String),
    /// Taken back: release it.
    Revoked(String),
    /// What was told cannot be told: a bug of the task.
    Refused(String),
}

/// Renews until the lease is lost, taken back, or its end has come by our own clock.
pub(crate) async fn keep(desk: &Desk, coordination: &dyn Coordination) -> Ended {
    let every = (desk.leased.lease / 3).min(RENEW_EVERY_MAX);
    let mut pause = every;
    loop {
        tokio::select! {
            () = desk.noted() => {}
            () = tokio::time::sleep(pause) => {}
            () = over(desk) => return Ended::Lost("its end has come by this worker's clock".into()),
        }
        let news = desk.news();
        let asked = Since::now();
        let answer = tokio::select! {
            answer = coordination.renew(&desk.leased.holding, &news) => answer,
            () = over(desk) => return Ended::Lost("no renewal was answered before its end".into()),
        };
        pause = match answer {
            Ok(length) => {
                desk.renewed(asked, length);
                every
            }
            Err(CoordinationError::Unavailable { retry_after, .. }) => {
                desk.untell(&news);
                retry_after.clamp(RETRY_MIN, RETRY_MAX)
            }
            Err(CoordinationError::LeaseLost { reason }) => return Ended::Lost(reason),
            Err(CoordinationError::Revoked { reason }) => return Ended::Revoked(reason),
            Err(CoordinationError::Refused { reason }) => return Ended::Refused(reason),
        };
    }
}

/// Waits until nothing may be written any more. A renewal moves that on.
async fn over(desk: &Desk) {
    loop {
        let left = desk.deadline().left();
        if left.is_zero() {
            return;
        }
        // The timer stands still while the machine sleeps; our clock does not, and is asked again.
        tokio::time::sleep(left.min(Duration::from_secs(1))).await;
    }
}
