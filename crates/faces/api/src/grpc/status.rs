//! Errors as gRPC tells them: a status by class, with code, class and retry advice in the metadata.

use super::convert::Malformed;
use crate::codes;
use crate::problem::{Fact, Problem};
use capstan_proto::v1;
use capstan_proto::{BEGIN_METADATA, CLASS_METADATA, CODE_METADATA, LEADER_METADATA, RETRY_METADATA};
use tonic::Status;
use tonic::metadata::{MetadataMap, MetadataValue};

impl From<Malformed> for Problem {
    fn from(malformed: Malformed) -> Self {
        let detail = malformed.to_string();
        Self::new(&codes::VALUE_INVALID, detail).with("field", malformed.field)
    }
}

/// A whole call's error.
pub fn status(problem: impl Into<Problem>) -> Status {
    let problem = problem.into();
    let mut metadata = MetadataMap::with_capacity(4);
    metadata.insert(CODE_METADATA, MetadataValue::from_static(problem.code.name));
    metadata.insert(CLASS_METADATA, MetadataValue::from_static(problem.class().name()));
    if let Some(pause) = problem.retry_after {
        metadata.insert(RETRY_METADATA, MetadataValue::from(pause.as_millis() as u64));
    }
    if let Some(Fact::Text(leader)) = problem.fact("leader")
        && let Ok(leader) = leader.parse()
    {
        metadata.insert(LEADER_METADATA, leader);
    }
    let code = match problem.fact("begin_at") {
        Some(Fact::Number(begin)) => {
            metadata.insert(BEGIN_METADATA, MetadataValue::from(*begin));
            // What this status is for: an operation past the range of what there is.
            tonic::Code::OutOfRange
        }
        _ => problem.class().grpc(),
    };
    Status::with_metadata(code, problem.detail, metadata)
}

/// The error of one of several answers.
pub fn told(problem: impl Into<Problem>) -> v1::Problem {
    let problem = problem.into();
    v1::Problem {
        code: problem.code.name.to_owned(),
        class: problem.class().name().to_owned(),
        retry_after_ms: problem.retry_after.map(|pause| pause.as_millis() as u64),
        message: problem.detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_coordinator::Failure;
    use capstan_ids::SessionName;
    use capstan_work::Rejection;
    use std::time::Duration;

    fn text<'a>(status: &'a Status, key: &str) -> Option<&'a str> {
        status.metadata().get(key).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn a_rejection_is_told_by_its_class_and_its_code() {
        let rejection = Rejection::SessionUnknown(SessionName::new("shop").unwrap());

        let status = status(Failure::Rejected(rejection));

        assert_eq!(status.code(), tonic::Code::NotFound);
        assert_eq!(
            (text(&status, "capstan-code"), text(&status, "capstan-class")),
            (Some("session.unknown"), Some("not_found"))
        );
        assert_eq!(text(&status, "retry-after-ms"), None);
        assert!(status.message().contains("shop"));
    }

    #[test]
    fn overload_says_when_to_try_again() {
        let status = status(Failure::Overloaded { retry_after: Duration::from_millis(120) });

        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        assert_eq!(text(&status, "retry-after-ms"), Some("120"));
    }

    #[test]
    fn a_malformed_field_is_an_invalid_argument_that_names_it() {
        let status = status(Malformed::new("kind", "short", "long").under("items[3]"));

        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        assert_eq!(status.message(), "items[3].kind must be short, found long");
    }
}
