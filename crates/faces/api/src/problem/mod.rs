//! Errors as they are told outside: a stable code, a class that decides the rest, and the facts.

mod class;
mod door;
mod failure;
mod history;
mod job;
mod json;
mod pipeline;
mod rejection;

pub use class::{Class, Retry};
pub use door::Part;
pub use json::{Fault, FaultKind, Step};

use crate::codes::Code;
use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use axum::response::IntoResponse;
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;
use std::time::Duration;

/// One error, ready to be told by any face.
#[derive(Debug)]
pub struct Problem {
    /// Which error.
    pub code: &'static Code,
    /// What was expected, what was found, where, and what to do.
    pub detail: String,
    /// The facts, by name.
    pub facts: Vec<(&'static str, Fact)>,
    /// When to try again, where that is known.
    pub retry_after: Option<Duration>,
}

/// A fact of a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A name, an id, a state.
    Text(String),
    /// A limit, a line, a position.
    Number(u64),
    /// The allowed ones.
    List(Vec<String>),
}

impl Problem {
    /// An error without facts.
    pub fn new(code: &'static Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), facts: Vec::new(), retry_after: None }
    }

    /// One more fact.
    #[must_use]
    pub fn with(mut self, name: &'static str, fact: impl Into<Fact>) -> Self {
        self.facts.push((name, fact.into()));
        self
    }

    /// When to try again.
    #[must_use]
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// What decides how it is told.
    pub fn class(&self) -> Class {
        self.code.class
    }

    /// A fact by its name.
    pub fn fact(&self, name: &str) -> Option<&Fact> {
        self.facts.iter().find(|(known, _)| *known == name).map(|(_, fact)| fact)
    }

    /// The body of RFC 9457.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a problem holds only text and numbers")
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let class = self.class();
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry("type", &format_args!("/api/v1/errors/{}", self.code))?;
        body.serialize_entry("title", self.code.title)?;
        body.serialize_entry("status", &class.http().as_u16())?;
        body.serialize_entry("detail", &self.detail)?;
        body.serialize_entry("code", self.code.name)?;
        body.serialize_entry("class", class.name())?;
        body.serialize_entry("retry", class.retry().name())?;
        if let Some(pause) = self.retry_after {
            body.serialize_entry("retry_after_ms", &(pause.as_millis() as u64))?;
        }
        for (name, fact) in &self.facts {
            body.serialize_entry(name, fact)?;
        }
        body.end()
    }
}

impl Serialize for Fact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::Number(number) => number.serialize(serializer),
            Self::List(list) => list.serialize(serializer),
        }
    }
}

impl From<String> for Fact {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Fact {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Fact {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<Vec<String>> for Fact {
    fn from(list: Vec<String>) -> Self {
        Self::List(list)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.to_json()));
        *response.status_mut() = self.class().http();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

impl Problem {
    /// The `Retry-After` header: whole seconds, never less than the pause.
    pub fn retry_after_seconds(&self) -> Option<HeaderValue> {
        self.retry_after.map(|pause| HeaderValue::from(pause.as_millis().div_ceil(1_000) as u64))
    }
}
