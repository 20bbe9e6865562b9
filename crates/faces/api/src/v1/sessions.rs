//! Sessions: opening, looking, steering, ending.

use super::page::{self, Page};
use super::{Answered, perform};
use crate::answer;
use crate::problem::{Part, Problem};
use crate::request::{InSession, Json, JsonOrDefault, Parameters, check_batch};
use crate::wire::item::GateSpec;
use crate::wire::session::{
    CancelSpec, NothingSpec, PauseSpec, RetrySpec, SessionAnswer, SessionChangeSpec, SessionSpec, StatusAnswer,
    WorkerAnswer,
};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use capstan_coordinator::Handle;
use capstan_ids::SessionName;
use capstan_work::{Command, Rejection, SessionView};

/// One session as it stands.
pub(crate) async fn view(handle: &Handle, session: SessionName) -> Result<SessionView, Problem> {
    let name = session.clone();
    let view = handle.read(move |state| state.work.session(&name)).await?;
    view.ok_or_else(|| Rejection::SessionUnknown(session).into())
}

pub async fn list(State(handle): State<Handle>, RawQuery(query): RawQuery) -> Answered {
    let parameters = Parameters::read(query.as_deref(), &["cursor", "limit"])?;
    let limit = page::limit(&parameters)?;
    let after = parameters.get("cursor").map(|cursor| {
        SessionName::new(cursor)
            .map_err(|_| Problem::parameter(Part::Query, "cursor", "the next_cursor of an earlier page", cursor))
    });
    let after = after.transpose()?;
    let look = move |state: &capstan_coordinator::State| -> Vec<SessionView> {
        state.work.sessions_after(after.as_ref()).take(limit + 1).collect()
    };
    let mut views = handle.read(look).await?;
    let more = views.len() > limit;
    views.truncate(limit);
    let next_cursor = views.last().filter(|_| more).map(|last| last.name.to_string());
    answer::json(StatusCode::OK, &Page { items: views.into_iter().map(SessionAnswer).collect(), next_cursor })
}

pub async fn create(State(handle): State<Handle>, Json(spec): Json<SessionSpec>) -> Answered {
    check_batch("items", spec.items.len())?;
    let session = spec.name.0.clone();
    handle.submit(spec.lower()?).await?;
    let location = HeaderValue::from_str(&format!("/api/v1/sessions/{session}")).map_err(|_| Problem::internal())?;
    let mut response = answer::json(StatusCode::CREATED, &SessionAnswer(view(&handle, session).await?))?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

pub async fn get(State(handle): State<Handle>, InSession(session): InSession) -> Answered {
    answer::json(StatusCode::OK, &SessionAnswer(view(&handle, session).await?))
}

pub async fn change(
    State(handle): State<Handle>,
    InSession(session): InSession,
    Json(spec): Json<SessionChangeSpec>,
) -> Answered {
    handle.submit(spec.lower(session.clone())?).await?;
    answer::json(StatusCode::OK, &SessionAnswer(view(&handle, session).await?))
}

pub async fn delete(State(handle): State<Handle>, InSession(session): InSession) -> Answered {
    perform(&handle, Command::DeleteSession { session }).await
}

pub async fn status(State(handle): State<Handle>, InSession(session): InSession) -> Answered {
    answer::json(StatusCode::OK, &StatusAnswer(view(&handle, session).await?))
}

pub async fn workers(State(handle): State<Handle>, InSession(session): InSession) -> Answered {
    let name = session.clone();
    let look = move |state: &capstan_coordinator::State| {
        state.work.has_session(&name).then(|| state.work.workers(Some(&name)))
    };
    let views = handle.read(look).await?.ok_or(Rejection::SessionUnknown(session))?;
    answer::json(StatusCode::OK, &Page { items: views.into_iter().map(WorkerAnswer).collect(), next_cursor: None })
}

pub async fn all_workers(State(handle): State<Handle>) -> Answered {
    let views = handle.read(|state| state.work.workers(None)).await?;
    answer::json(StatusCode::OK, &Page { items: views.into_iter().map(WorkerAnswer).collect(), next_cursor: None })
}

pub async fn pause(
    State(handle): State<Handle>,
    InSession(session): InSession,
    JsonOrDefault(spec): JsonOrDefault<PauseSpec>,
) -> Answered {
    let pause = Command::Pause { session: session.clone(), immediate: spec.immediate, reason: spec.reason.into() };
    steer(&handle, session, pause).await
}

pub async fn resume(
    State(handle): State<Handle>,
    InSession(session): InSession,
    _: JsonOrDefault<NothingSpec>,
) -> Answered {
    steer(&handle, session.clone(), Command::Resume { session }).await
}

pub async fn cancel(
    State(handle): State<Handle>,
    InSession(session): InSession,
    JsonOrDefault(spec): JsonOrDefault<CancelSpec>,
) -> Answered {
    let cancel = Command::Cancel { session: session.clone(), reason: spec.reason.into() };
    steer(&handle, session, cancel).await
}

pub async fn close(
    State(handle): State<Handle>,
    InSession(session): InSession,
    _: JsonOrDefault<NothingSpec>,
) -> Answered {
    steer(&handle, session.clone(), Command::Close { session }).await
}

/// Steers, and answers with what the session is doing then.
async fn steer(handle: &Handle, session: SessionName, command: Command) -> Answered {
    handle.submit(command).await?;
    answer::json(StatusCode::OK, &StatusAnswer(view(handle, session).await?))
}

pub async fn retry(
    State(handle): State<Handle>,
    InSession(session): InSession,
    JsonOrDefault(spec): JsonOrDefault<RetrySpec>,
) -> Answered {
    check_batch("item_ids", spec.item_ids.len())?;
    let items = spec.item_ids.into_iter().map(|id| id.0).collect();
    perform(&handle, Command::Retry { session, items }).await
}

pub async fn hold_gate(
    State(handle): State<Handle>,
    InSession(session): InSession,
    Json(spec): Json<GateSpec>,
) -> Answered {
    perform(&handle, Command::HoldGate { session, group: spec.group.0, gate: spec.gate.0 }).await
}

pub async fn open_gate(
    State(handle): State<Handle>,
    InSession(session): InSession,
    Json(spec): Json<GateSpec>,
) -> Answered {
    perform(&handle, Command::OpenGate { session, group: spec.group.0, gate: spec.gate.0 }).await
}
