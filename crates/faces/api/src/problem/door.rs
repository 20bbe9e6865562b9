//! What is refused at the door, before anybody was asked.

use super::Problem;
use crate::codes;
use axum::http::Method;

/// The part of a request in which something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The path.
    Path,
    /// The query.
    Query,
    /// A header.
    Header,
}

impl Part {
    /// Its name in problems.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

impl Problem {
    /// The body, or a part of it, is larger than its limit.
    pub fn too_large(what: &str, unit: &'static str, limit: usize) -> Self {
        Self::new(&codes::REQUEST_TOO_LARGE, format!("{what} exceeds the limit of {limit} {unit}; send less at once"))
            .with("what", what)
            .with("limit", limit as u64)
            .with("unit", unit)
    }

    /// The client went away in the middle of its body.
    pub fn broken_off() -> Self {
        Self::new(&codes::REQUEST_BROKEN_OFF, "the body ended before it was whole; send it again")
    }

    /// The body says that it is something else than JSON.
    pub fn media_type(found: &str) -> Self {
        let found: String = found.chars().take(100).collect();
        Self::new(
            &codes::REQUEST_MEDIA_TYPE,
            format!("expected content-type application/json, found {found:?}; send JSON and say so"),
        )
        .with("expected", "application/json")
        .with("found", found)
    }

    /// Nothing lies at this path.
    pub fn no_route(path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        Self::new(
            &codes::ROUTE_UNKNOWN,
            format!("nothing lies at {path}; /api/v1/openapi.json lists what there is, and ids are percent-encoded"),
        )
        .with("path", path)
    }

    /// Something lies at this path, but not for this method.
    pub fn no_method(method: &Method, allowed: &[&str]) -> Self {
        let problem = Self::new(&codes::ROUTE_METHOD, format!("this route does not know {method}"));
        if allowed.is_empty() {
            return problem;
        }
        problem.with("allowed", allowed.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    }

    /// A parameter outside the body is wrong.
    pub fn parameter(part: Part, name: &str, expected: &str, found: &str) -> Self {
        let found: String = found.chars().take(100).collect();
        Self::new(
            &codes::REQUEST_PARAMETER,
            format!("{} parameter {name} must be {expected}, found {found:?}", part.name()),
        )
        .with("in", part.name())
        .with("field", name)
        .with("expected", expected)
        .with("found", found)
    }

    /// A parameter that must be there is not.
    pub fn no_parameter(part: Part, name: &str, expected: &str) -> Self {
        Self::new(&codes::REQUEST_PARAMETER, format!("{} parameter {name} is missing: {expected}", part.name()))
            .with("in", part.name())
            .with("field", name)
            .with("expected", expected)
    }

    /// A value of a body is out of its range.
    pub fn out_of_range(field: &str, expected: &str, found: impl ToString) -> Self {
        let found = found.to_string();
        Self::new(&codes::VALUE_OUT_OF_RANGE, format!("{field} must be {expected}, found {found}"))
            .with("field", field)
            .with("expected", expected)
            .with("found", found)
    }

    /// A fault of this program; the log says which.
    pub fn internal() -> Self {
        Self::new(&codes::SERVER_INTERNAL, "the server has a fault; its log says more")
    }
}
