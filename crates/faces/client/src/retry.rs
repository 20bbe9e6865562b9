//! Trying again: which errors, how long, and how far apart.

use crate::error::{Class, Error};
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;
use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Whether a call that was perhaps carried out may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// It does nothing twice.
    Safe,
    /// Its repeat would be refused, or would do more: only when nothing has happened.
    OnlyIfNothingHappened,
}

/// The tries of one call.
#[derive(Debug)]
pub struct Retry {
    until: Instant,
    pause: Duration,
    repeat: Repeat,
}

impl Retry {
    /// Tries for so long.
    pub fn for_up_to(length: Duration, repeat: Repeat) -> Self {
        Self { until: Instant::now() + length, pause: FIRST_PAUSE, repeat }
    }

    /// Waits before the next try, or gives the error back where there is none.
    ///
    /// Pauses double, are spread over their upper half so that clients do not come back together, and are never
    /// shorter than the server asked for.
    pub async fn pause(&mut self, error: Error) -> Result<(), Error> {
        let worth_it = match error.class() {
            Class::Overloaded => true,
            Class::Unavailable => self.repeat == Repeat::Safe || nothing_happened(&error),
            Class::Invalid
            | Class::Unauthenticated
            | Class::Forbidden
            | Class::NotFound
            | Class::Conflict
            | Class::Changed
            | Class::Gone
            | Class::TooLarge
            | Class::Unsupported
            | Class::Exhausted
            | Class::Internal => false,
        };
        let pause = jittered(self.pause).max(error.retry_after().unwrap_or_default());
        if !worth_it || Instant::now() + pause > self.until {
            return Err(error);
        }
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// A server that does not lead has decided nothing: whoever does is found by asking again.
fn nothing_happened(error: &Error) -> bool {
    matches!(error, Error::Refused { code, .. } if code == "server.not_leader")
}

fn jittered(pause: Duration) -> Duration {
    let half = pause / 2;
    half + Duration::from_nanos(random() % (half.as_nanos() as u64 + 1))
}

/// A number nobody else has: the standard library seeds its hashers from the system's randomness.
pub fn random() -> u64 {
    RandomState::new().hash_one(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(class: Class, retry_after: Option<Duration>) -> Error {
        Error::Refused { code: "x".into(), class, message: "x".into(), retry_after, begin_at: None }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_is_not_tried_again() {
        for class in [Class::Conflict, Class::Changed, Class::Gone, Class::NotFound, Class::Invalid, Class::Exhausted] {
            let mut retry = Retry::for_up_to(Duration::from_secs(30), Repeat::Safe);
            assert!(retry.pause(refused(class, None)).await.is_err(), "{class:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_is_asked_for_again_only_if_that_is_safe() {
        let lost = Error::Unreachable { message: "reset".into() };
        let mut safe = Retry::for_up_to(Duration::from_secs(30), Repeat::Safe);
        let mut unsafe_ = Retry::for_up_to(Duration::from_secs(30), Repeat::OnlyIfNothingHappened);

        assert!(safe.pause(lost.clone()).await.is_ok());
        assert!(unsafe_.pause(lost).await.is_err());
        assert!(unsafe_.pause(refused(Class::Overloaded, None)).await.is_ok(), "overload means that nothing happened");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_lead_is_asked_again_whatever_is_asked() {
        let refused = |code: &str| Error::Refused {
            code: code.into(),
            class: Class::Unavailable,
            message: "x".into(),
            retry_after: None,
            begin_at: None,
        };
        let mut retry = Retry::for_up_to(Duration::from_secs(30), Repeat::OnlyIfNothingHappened);
        assert!(retry.pause(refused("server.not_leader")).await.is_ok());
        assert!(retry.pause(refused("server.outcome_unknown")).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_is_at_least_what_the_server_asked_for_and_ends_with_the_time() {
        let mut retry = Retry::for_up_to(Duration::from_secs(10), Repeat::Safe);
        let before = Instant::now();

        retry.pause(refused(Class::Overloaded, Some(Duration::from_secs(7)))).await.unwrap();

        assert!(before.elapsed() >= Duration::from_secs(7));
        assert!(
            retry.pause(refused(Class::Overloaded, Some(Duration::from_secs(7)))).await.is_err(),
            "10 s are over before"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_double_and_are_spread() {
        let lost = || Error::Unreachable { message: "reset".into() };
        let mut retry = Retry::for_up_to(Duration::from_secs(600), Repeat::Safe);
        let mut longest = FIRST_PAUSE;
        for _ in 0..12 {
            let before = Instant::now();
            retry.pause(lost()).await.unwrap();
            let pause = before.elapsed();
            assert!(pause >= longest / 2 && pause <= longest + Duration::from_millis(1), "{pause:?} of {longest:?}");
            longest = (longest * 2).min(LONGEST_PAUSE);
        }
    }
}
