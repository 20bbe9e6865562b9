//! Errors in the shape of the contract: `{"detail": "…"}`, and a list of places where a request is invalid.

use crate::problem::{Class, Fact, Fault, FaultKind, Problem, Step};
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use capstan_coordinator::Failure;
use serde_json::{Value, json};

/// Why a console route refused.
#[derive(Debug)]
pub struct Refused {
    status: StatusCode,
    detail: Value,
    /// The stable code, for clients that know of it.
    code: Option<&'static str>,
    retry_after: Option<HeaderValue>,
}

impl Refused {
    /// A status and a sentence.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: Value::String(detail.into()), code: None, retry_after: None }
    }

    /// The session is not there.
    pub fn no_session() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Session not found.")
    }

    /// The item is not there.
    pub fn no_item(id: &str) -> Self {
        let id: String = id.chars().take(512).collect();
        Self::new(StatusCode::NOT_FOUND, format!("Work item '{id}' not found."))
    }

    /// Nothing lies at this path.
    pub fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found")
    }

    /// The path does not know this method.
    pub fn no_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
    }

    /// One place where the request is invalid.
    pub fn invalid(place: Vec<Value>, message: impl Into<String>, sort: &'static str) -> Self {
        let detail = json!([{ "loc": place, "msg": message.into(), "type": sort }]);
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, detail, code: None, retry_after: None }
    }

    /// A query parameter that must be there is not.
    pub fn missing_parameter(name: &str) -> Self {
        Self::invalid(vec!["query".into(), name.into()], "Field required", "missing")
    }

    /// A query parameter is not what it must be.
    pub fn bad_parameter(name: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec!["query".into(), name.into()], message, "value_error")
    }
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        let mut place = vec![Value::from("body")];
        let (message, sort) = match fault.kind {
            FaultKind::Malformed => {
                place.push(fault.column.into());
                (
                    format!("JSON decode error: {} at line {} column {}", fault.message, fault.line, fault.column),
                    "json_invalid",
                )
            }
            FaultKind::MissingField => ("Field required".to_owned(), "missing"),
            FaultKind::WrongType if fault.message.contains("expected a string") => {
                (fault.message.clone(), "string_type")
            }
            FaultKind::WrongType if fault.message.contains("expected u") => (fault.message.clone(), "int_type"),
            FaultKind::WrongType => (fault.message.clone(), "model_attributes_type"),
            FaultKind::WrongValue if fault.message.contains("integer `-") => {
                ("Input should be greater than or equal to 0".to_owned(), "greater_than_equal")
            }
            FaultKind::WrongValue | FaultKind::UnknownField | FaultKind::DuplicateField => {
                (fault.message.clone(), "value_error")
            }
        };
        place.extend(fault.path.into_iter().map(|step| match step {
            Step::Field(name) => Value::from(name),
            Step::Index(index) => Value::from(index),
        }));
        Self::invalid(place, message, sort)
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let retry_after = problem.retry_after_seconds();
        let code = Some(problem.code.name);
        match problem.class() {
            Class::Malformed | Class::Invalid | Class::Unsupported => {
                let part = match problem.fact("in") {
                    Some(Fact::Text(part)) => part.as_str(),
                    _ => "body",
                };
                let mut place = vec![Value::from(part)];
                if let Some(Fact::Text(field)) = problem.fact("field") {
                    place.push(Value::from(field.clone()));
                }
                Self { code, ..Self::invalid(place, problem.detail, "value_error") }
            }
            class if problem.code.name == crate::codes::SESSION_UNKNOWN.name => {
                Self { status: class.http(), code, ..Self::no_session() }
            }
            class => Self { retry_after, code, ..Self::new(class.http(), problem.detail) },
        }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Problem::from(failure).into()
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response<Body> {
        let body = match self.code {
            Some(code) => json!({ "detail": self.detail, "code": code }),
            None => json!({ "detail": self.detail }),
        };
        let mut response = crate::answer::json_bytes(self.status, Body::from(body.to_string()));
        if let Some(pause) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, pause);
        }
        response
    }
}
