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
    /// The worker stops: the item goes back with its checkpoint.
    Stopped,
    /// The spool has no room: the item goes back, and nothing is dumped until there is some.
    NoRoom { spool: String, reason: String },
    /// The lease may have ended.
    LeaseOver,
}

/// What was throttled waits longer than what merely failed.
const THROTTLED_PAUSE: Duration = Duration::from_secs(30);
const FULL_PAUSE: Duration = Duration::from_secs(30);
/// An error's text is for people.
const TEXT_MAX: usize = 4_000;

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
            ErrorClass::Throttled => fault(Some(THROTTLED_PAUSE)),
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
