//! What goes out.

use crate::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

/// JSON with a status.
pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Response<Body>, Problem> {
    let mut bytes = Vec::with_capacity(256);
    serde_json::to_writer(&mut bytes, body).map_err(|error| {
        tracing::error!(%error, "an answer could not be written");
        Problem::internal()
    })?;
    Ok(json_bytes(status, Body::from(bytes)))
}

/// JSON that is written already.
pub fn json_bytes(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The answer of something else than what was asked: a fault of this program.
pub fn unexpected(answer: &capstan_work::Answer) -> Problem {
    tracing::error!(?answer, "the coordinator answered something else than what was asked");
    Problem::internal()
}
