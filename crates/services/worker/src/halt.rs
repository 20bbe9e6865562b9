//! Why a task ended without a result, and what is done about it.

use crate::secrets::SecretError;
use capstan_coordination::Fault;
use capstan_endpoint::{EndpointError, ErrorClass};
use capstan_spool::{SpoolError, SpoolFault};
use std::error::Error;
use std::time::Duration;

/// What a task ends with instead of a result.
#[derive(Debug)]
pub(crate) enum Halt {
    /// It failed.
    Failed(Fault),
    /// The endpoint asked to slow down, and did not say for how long.
    Throttled { error: Box<str> },
    /// The worker stops: the item goes back with its checkpoint.
    Stopped,
    /// The spool has no room: the item goes back, and nothing is dumped until there is some.
    NoRoom { spool: String, reason: String },
    /// The parts lie in a spool that this worker does not see: the item goes back untouched.
    Elsewhere { reason: String },
    /// The lease may have ended.
    LeaseOver,
}

/// What was throttled waits longer than what merely failed: as long as the endpoint says, or else this, and twice as
/// long with each attempt.
const THROTTLED_PAUSE: Duration = Duration::from_secs(30);
/// Whatever an endpoint says, and however often it throttles, the wait is at most this.
const THROTTLED_PAUSE_MAX: Duration = Duration::from_secs(15 * 60);
const FULL_PAUSE: Duration = Duration::from_secs(30);
/// An error's text is for people.
const TEXT_MAX: usize = 4_000;

/// How long what was throttled waits after that attempt, where the endpoint does not say.
pub(crate) fn throttled_pause(attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    THROTTLED_PAUSE.saturating_mul(1 << doublings).min(THROTTLED_PAUSE_MAX)
}

impl Halt {
    /// Trying again is of no use.
    pub fn permanent(error: impl Into<String>) -> Self {
        Self::Failed(Fault { error: shortened(error.into()), permanent: true, ..Fault::default() })
    }

    /// Trying again may help.
    pub fn transient(error: impl Into<String>) -> Self {
        Self::Failed(Fault { error: shortened(error.into()), ..Fault::default() })
    }

    /// Trying again from the beginning may help.
    pub fn start_over(error: impl Into<String>) -> Self {
        Self::Failed(Fault { error: shortened(error.into()), checkpoint: Some("".into()), ..Fault::default() })
    }
}

impl From<EndpointError> for Halt {
    fn from(error: EndpointError) -> Self {
        let text = told(&error);
        let fault =
            |retry_after| Self::Failed(Fault { error: shortened(text.clone()), retry_after, ..Fault::default() });
        match error.class() {
            ErrorClass::Permanent => Self::permanent(text),
            ErrorClass::Transient => fault(None),
            ErrorClass::Throttled => match error.advised_wait() {
                Some(wait) => fault(Some(wait.min(THROTTLED_PAUSE_MAX))),
                None => Self::Throttled { error: shortened(text) },
            },
            ErrorClass::Full => fault(Some(FULL_PAUSE)),
            ErrorClass::StartOver => Self::start_over(text),
        }
    }
}

impl Halt {
    /// A failure of the spool at that address. Parts that are gone are the restore's business, not a failure.
    pub fn of_spool(spool: &str, error: &SpoolError) -> Self {
        match error.fault() {
            SpoolFault::NoRoom => Self::NoRoom { spool: spool.into(), reason: told(error) },
            SpoolFault::Retry => Self::transient(told(error)),
            SpoolFault::DumpAgain => Self::start_over(told(error)),
            SpoolFault::Refused => Self::permanent(told(error)),
        }
    }
}

impl From<SecretError> for Halt {
    fn from(error: SecretError) -> Self {
        Self::transient(told(&error))
    }
}

/// An error with everything that lies behind it.
pub(crate) fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

fn shortened(text: String) -> Box<str> {
    match text.char_indices().find(|(at, _)| *at >= TEXT_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttled(wait: Option<Duration>) -> Halt {
        let (place, action, reason) = ("db1".into(), "reading".into(), "too many requests".into());
        EndpointError::Throttled { place, action, reason, wait }.into()
    }

    #[test]
    fn an_endpoint_that_says_how_long_to_wait_is_taken_at_its_word_within_a_limit() {
        for (advised, expected) in [(Duration::from_secs(7), 7), (Duration::from_secs(86_400), 900)] {
            let Halt::Failed(fault) = throttled(Some(advised)) else { panic!("it is a failure") };
            assert_eq!(fault.retry_after, Some(Duration::from_secs(expected)));
            assert!(!fault.permanent);
        }
    }

    #[test]
    fn without_advice_the_wait_doubles_with_each_attempt() {
        assert!(matches!(throttled(None), Halt::Throttled { .. }));
        let waits: Vec<_> = (1..=7).map(|attempt| throttled_pause(attempt).as_secs()).collect();
        assert_eq!(waits, [30, 60, 120, 240, 480, 900, 900]);
    }
}
