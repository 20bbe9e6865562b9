//! What sort of error it is, which alone decides how each face answers.

use axum::http::StatusCode;

/// The few sorts of errors, by what the caller can do about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The request cannot be read.
    Malformed,
    /// It can be read, and asks for what cannot be.
    Invalid,
    /// It does not say who asks.
    Unauthenticated,
    /// Who asks may not.
    Forbidden,
    /// What it names is not there.
    NotFound,
    /// The route is there, the method is not.
    NotAllowed,
    /// What it names is not in a state for this.
    Conflict,
    /// It has been changed since whoever asks has read it.
    Changed,
    /// It was, and is over.
    Gone,
    /// It is larger than a stated limit.
    TooLarge,
    /// It is in a form that is not spoken here.
    Unsupported,
    /// Too much at once; the same request may succeed in a moment.
    Overloaded,
    /// There is no room; somebody has to make some.
    Exhausted,
    /// The server cannot answer now; what was asked may or may not have happened.
    Unavailable,
    /// A fault of the server.
    Internal,
}

/// Whether the same request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It would be refused again: change the request, or ask anew for what is true now.
    Never,
    /// After a pause, with the same ids, keys and tokens: nothing happens twice.
    Later,
    /// When somebody has made room.
    WhenFreed,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 15] = [
        Self::Malformed,
        Self::Invalid,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::NotAllowed,
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

    /// Its name in bodies and pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::NotAllowed => "not_allowed",
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

    /// The class of this name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// The HTTP status.
    pub const fn http(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Changed => StatusCode::PRECONDITION_FAILED,
            Self::Gone => StatusCode::GONE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Self::Exhausted => StatusCode::INSUFFICIENT_STORAGE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The gRPC status.
    pub const fn grpc(self) -> tonic::Code {
        match self {
            Self::Malformed | Self::Invalid | Self::TooLarge => tonic::Code::InvalidArgument,
            Self::Unauthenticated => tonic::Code::Unauthenticated,
            Self::Forbidden => tonic::Code::PermissionDenied,
            Self::NotFound => tonic::Code::NotFound,
            Self::NotAllowed | Self::Unsupported => tonic::Code::Unimplemented,
            Self::Conflict | Self::Changed => tonic::Code::Aborted,
            Self::Gone => tonic::Code::FailedPrecondition,
            Self::Overloaded | Self::Exhausted => tonic::Code::ResourceExhausted,
            Self::Unavailable => tonic::Code::Unavailable,
            Self::Internal => tonic::Code::Internal,
        }
    }

    /// The exit code of a command line; 0, 1 and 2 mean done, failed and wrong usage.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Invalid => 3,
            Self::NotFound => 4,
            Self::Conflict => 5,
            Self::Gone => 6,
            Self::Unauthenticated => 7,
            Self::Forbidden => 8,
            Self::Overloaded => 9,
            Self::Exhausted => 10,
            Self::Unavailable => 11,
            Self::Internal => 12,
            Self::Malformed => 13,
            Self::TooLarge => 14,
            Self::Unsupported => 15,
            Self::NotAllowed => 16,
            Self::Changed => 17,
        }
    }

    /// Whether to try again.
    pub const fn retry(self) -> Retry {
        match self {
            Self::Overloaded | Self::Unavailable => Retry::Later,
            Self::Exhausted => Retry::WhenFreed,
            Self::Malformed
            | Self::Invalid
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::NotFound
            | Self::NotAllowed
            | Self::Conflict
            | Self::Changed
            | Self::Gone
            | Self::TooLarge
            | Self::Unsupported
            | Self::Internal => Retry::Never,
        }
    }
}

impl Retry {
    /// Its name in bodies and pages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Later => "later",
            Self::WhenFreed => "when_freed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_class_has_a_status_a_name_and_an_exit_code_of_its_own() {
        let statuses: HashSet<_> = Class::ALL.map(|class| class.http().as_u16()).into();
        let names: HashSet<_> = Class::ALL.map(Class::name).into();
        let exits: HashSet<_> = Class::ALL.map(Class::exit_code).into();

        assert_eq!((statuses.len(), names.len(), exits.len()), (15, 15, 15));
        assert!(exits.iter().all(|exit| *exit > 2), "0, 1 and 2 are taken");
        assert!(Class::ALL.iter().all(|class| Class::from_name(class.name()) == Some(*class)));
    }
}
