//! What a call can end with.

use capstan_proto::v1;
use capstan_proto::{BEGIN_METADATA, CLASS_METADATA, CODE_METADATA, RETRY_METADATA};
use std::time::Duration;
use tonic::{Code, Status};

/// An error, by what the caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The server answered no. The class says what helps.
    #[error("{message}")]
    Refused {
        /// Stable, such as `lease.expired`; docs/errors has a page for each.
        code: String,
        /// What sort of error it is.
        class: Class,
        /// What was expected, what was found, and what to do.
        message: String,
        /// When to try again, where the server said so.
        retry_after: Option<Duration>,
        /// Where a watch can begin, where that was the fault.
        begin_at: Option<u64>,
    },
    /// No server answered, or its answer was lost: what was asked may or may not have happened.
    #[error("no answer from the server: {message}")]
    Unreachable {
        /// What happened.
        message: String,
    },
    /// The call makes no sense, and was not sent.
    #[error("{field} must be {expected}, found {found}")]
    Invalid {
        /// Which argument.
        field: &'static str,
        /// What it must be.
        expected: String,
        /// What it was.
        found: String,
    },
}

/// The few sorts of errors, by what the caller can do about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// What was asked for cannot be.
    Invalid,
    /// The request does not say who asks.
    Unauthenticated,
    /// Who asks may not.
    Forbidden,
    /// What it names is not there.
    NotFound,
    /// What it names is not in a state for this.
    Conflict,
    /// It has been changed since it was read: read it again, and decide anew.
    Changed,
    /// It was, and is over.
    Gone,
    /// It is larger than a stated limit.
    TooLarge,
    /// It is not spoken here.
    Unsupported,
    /// Too much at once; the same request may succeed in a moment. Nothing has happened.
    Overloaded,
    /// There is no room; somebody has to make some.
    Exhausted,
    /// The server cannot answer now; what was asked may or may not have happened.
    Unavailable,
    /// A fault of the server.
    Internal,
}

impl Class {
    const ALL: [Self; 13] = [
        Self::Invalid,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::Changed,
        Self::Gone,
        Self::TooLarge,
        Self::Unsupported,
        Self::Overloaded,
        Self::Exhausted,
        Self::Unavailable,
        Self::Internal,
    ];

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Changed => "changed",
            Self::Gone => "gone",
            Self::TooLarge => "too_large",
            Self::Unsupported => "unsupported",
            Self::Overloaded => "overloaded",
            Self::Exhausted => "exhausted",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// What a status means that no Capstan server wrote, or one that is newer than this client.
    fn of_status(code: Code) -> Self {
        match code {
            Code::InvalidArgument | Code::OutOfRange => Self::Invalid,
            Code::Unauthenticated => Self::Unauthenticated,
            Code::PermissionDenied => Self::Forbidden,
            Code::NotFound => Self::NotFound,
            Code::AlreadyExists | Code::Aborted => Self::Conflict,
            Code::FailedPrecondition => Self::Gone,
            Code::Unimplemented => Self::Unsupported,
            Code::ResourceExhausted => Self::Exhausted,
            Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded => Self::Unavailable,
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => Self::Internal,
        }
    }
}

impl Error {
    /// What sort of error it is.
    pub fn class(&self) -> Class {
        match self {
            Self::Refused { class, .. } => *class,
            Self::Unreachable { .. } => Class::Unavailable,
            Self::Invalid { .. } => Class::Invalid,
        }
    }

    /// The server's stable code, where a server answered.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Unreachable { .. } | Self::Invalid { .. } => None,
        }
    }

    /// When to try again, where the server said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Unreachable { .. } | Self::Invalid { .. } => None,
        }
    }

    /// Whether nothing has happened and the same call may succeed in a moment.
    pub fn is_overload(&self) -> bool {
        self.class() == Class::Overloaded
    }

    /// Whether what was asked may or may not have happened.
    pub fn is_unknown(&self) -> bool {
        self.class() == Class::Unavailable
    }

    pub(crate) fn unexpected(what: &str) -> Self {
        Self::Refused {
            code: "client.answer".into(),
            class: Class::Internal,
            message: format!("the server answered without {what}; it may be of another version"),
            retry_after: None,
            begin_at: None,
        }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let text = |key: &str| status.metadata().get(key).and_then(|value| value.to_str().ok());
        let number = |key: &str| text(key).and_then(|text| text.parse::<u64>().ok());
        let Some(code) = text(CODE_METADATA) else { return Self::foreign(&status) };
        Self::Refused {
            code: code.to_owned(),
            class: text(CLASS_METADATA).and_then(Class::from_name).unwrap_or(Class::of_status(status.code())),
            retry_after: number(RETRY_METADATA).map(Duration::from_millis),
            begin_at: number(BEGIN_METADATA),
            message: status.message().to_owned(),
        }
    }
}

impl Error {
    /// A status that no handler wrote: the transport's, a proxy's, or the framework's.
    fn foreign(status: &Status) -> Self {
        let cause = std::error::Error::source(status).map(deepest);
        let message = match cause {
            Some(cause) if status.message().is_empty() || status.message() == "transport error" => cause,
            _ => status.message().to_owned(),
        };
        match status.code() {
            // A connection that broke in the middle of a call is told as unknown or internal by the transport.
            Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded | Code::Unknown => {
                Self::Unreachable { message }
            }
            Code::Internal if std::error::Error::source(status).is_some() => Self::Unreachable { message },
            code => Self::Refused {
                code: format!("grpc.{}", code as i32),
                class: Class::of_status(code),
                message,
                retry_after: None,
                begin_at: None,
            },
        }
    }
}

fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

impl From<v1::Problem> for Error {
    fn from(problem: v1::Problem) -> Self {
        Self::Refused {
            class: Class::from_name(&problem.class).unwrap_or(Class::Internal),
            code: problem.code,
            message: problem.message,
            retry_after: problem.retry_after_ms.map(Duration::from_millis),
            begin_at: None,
        }
    }
}

impl From<capstan_ids::NameError> for Error {
    fn from(error: capstan_ids::NameError) -> Self {
        Self::Invalid { field: error.what, expected: error.expected.into(), found: format!("{:?}", error.found) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::metadata::MetadataMap;

    #[test]
    fn a_servers_status_gives_its_code_class_and_advice() {
        let mut metadata = MetadataMap::new();
        metadata.insert("capstan-code", "server.overloaded".parse().unwrap());
        metadata.insert("capstan-class", "overloaded".parse().unwrap());
        metadata.insert("retry-after-ms", "120".parse().unwrap());

        let error = Error::from(Status::with_metadata(Code::ResourceExhausted, "too much", metadata));

        assert_eq!((error.code(), error.class()), (Some("server.overloaded"), Class::Overloaded));
        assert_eq!(error.retry_after(), Some(Duration::from_millis(120)));
        assert_eq!(error.to_string(), "too much");
    }

    #[test]
    fn a_status_of_the_transport_means_that_nobody_knows() {
        let error = Error::from(Status::unavailable("connection refused"));
        assert!(error.is_unknown() && error.code().is_none());
        assert_eq!(error.to_string(), "no answer from the server: connection refused");
    }

    #[test]
    fn a_class_that_is_newer_than_this_client_falls_back_on_the_status() {
        let mut metadata = MetadataMap::new();
        metadata.insert("capstan-code", "new.thing".parse().unwrap());
        metadata.insert("capstan-class", "brand_new".parse().unwrap());
        let error = Error::from(Status::with_metadata(Code::NotFound, "no", metadata));
        assert_eq!(error.class(), Class::NotFound);
    }
}
