//! Limits on live leases, of one session and of all sessions together.

use super::{Answered, perform};
use crate::answer;
use crate::problem::Problem;
use crate::request::{InSession, Json, PathParameters};
use crate::wire::policy::{LimitSpec, limit_value};
use crate::wire::session::LimitShape;
use axum::extract::State;
use axum::http::StatusCode;
use capstan_coordinator::Handle;
use capstan_ids::{LimitName, SessionName};
use capstan_work::{Command, LimitView};

pub async fn list(State(handle): State<Handle>, InSession(session): InSession) -> Answered {
    let view = super::sessions::view(&handle, session).await?;
    shown(&view.limits)
}

pub async fn list_shared(State(handle): State<Handle>) -> Answered {
    shown(&handle.read(|state| state.work.limits()).await?)
}

fn shown(limits: &[LimitView]) -> Answered {
    let page = super::page::Page { items: limits.iter().map(LimitShape::from).collect(), next_cursor: None };
    answer::json(StatusCode::OK, &page)
}

pub async fn set(
    State(handle): State<Handle>,
    InSession(session): InSession,
    path: PathParameters,
    Json(spec): Json<LimitSpec>,
) -> Answered {
    put(&handle, Some(session), &path, Some(spec)).await
}

pub async fn set_shared(State(handle): State<Handle>, path: PathParameters, Json(spec): Json<LimitSpec>) -> Answered {
    put(&handle, None, &path, Some(spec)).await
}

pub async fn lift(State(handle): State<Handle>, InSession(session): InSession, path: PathParameters) -> Answered {
    put(&handle, Some(session), &path, None).await
}

pub async fn lift_shared(State(handle): State<Handle>, path: PathParameters) -> Answered {
    put(&handle, None, &path, None).await
}

async fn put(
    handle: &Handle,
    session: Option<SessionName>,
    path: &PathParameters,
    spec: Option<LimitSpec>,
) -> Result<axum::http::Response<axum::body::Body>, Problem> {
    let name = LimitName::new(path.get("limit")?)?;
    let value = spec.map(|spec| limit_value(spec.most)).transpose()?;
    perform(handle, Command::SetLimit { session, name, value }).await
}
