//! `/api/v1`: every call of work coordination as resources.
//!
//! An item lies at `/sessions/{session}/items/{id}` with its id percent-encoded. What a path cannot carry goes into the
//! query: `/items?id=…` is the item, and `POST /items/{act}?id=…` acts on it.

pub mod backup;
pub mod history;
pub mod items;
pub mod jobs;
pub mod leases;
pub mod limits;
pub mod page;
pub mod pipelines;
pub mod sessions;
pub mod system;
pub mod watch;

use crate::answer;
use crate::codes;
use crate::problem::Problem;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use capstan_coordinator::Handle;
use capstan_work::{Answer, Command};
use serde::Serialize;

/// What a handler answers.
pub type Answered = Result<Response<Body>, Problem>;

/// That it is done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Done {
    /// Always `true`.
    pub done: bool,
}

/// How many there were.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Counted {
    /// So many.
    pub count: u64,
}

/// Submits a command that is answered with nothing but that it is done.
async fn perform(handle: &Handle, command: Command) -> Answered {
    match handle.submit(command).await? {
        Answer::Done | Answer::Returned { .. } | Answer::Added(_) => answer::json(StatusCode::OK, &Done { done: true }),
        Answer::Counted(count) => answer::json(StatusCode::OK, &Counted { count }),
        other => Err(answer::unexpected(&other)),
    }
}

/// The page of an error.
pub async fn error_page(parameters: crate::request::PathParameters) -> Answered {
    let name = parameters.get("code")?;
    let Some(code) = codes::find(name) else { return Err(Problem::no_route(&format!("/api/v1/errors/{name}"))) };
    let mut response = Response::new(Body::from(code.page));
    let markdown = axum::http::HeaderValue::from_static("text/markdown; charset=utf-8");
    response.headers_mut().insert(axum::http::header::CONTENT_TYPE, markdown);
    Ok(response)
}
