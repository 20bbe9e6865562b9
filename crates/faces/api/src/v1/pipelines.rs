//! Pipelines: registering one, hearing of it, giving it room.

use super::page::{self, Page};
use super::{Answered, Done};
use crate::answer;
use crate::problem::{Part, Problem};
use crate::registry;
use crate::request::{Json, Parameters, PathParameters};
use crate::wire::pipeline::{
    HeartbeatsShape, HeartbeatsSpec, PipelineAndSystemShape, PipelineShape, PipelineSpec, ReportShape, StatusSpec,
    UsageSpec,
};
use crate::wire::room::{ReservationShape, ReservationSpec};
use crate::wire::time;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use capstan_coordinator::Handle;
use capstan_registry::{Listing, PipelineGroup, PipelineId, PipelineStatus, Rejection, Reported};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// The pipeline of the path.
pub(super) fn named(path: &PathParameters) -> Result<PipelineId, Problem> {
    Ok(PipelineId::new(path.get("pipeline")?)?)
}

pub async fn register(State(handle): State<Handle>, Json(spec): Json<PipelineSpec>) -> Answered {
    let (pipeline, system) = registry::register(&handle, spec.into()).await?;
    let place = format!("/api/v1/pipelines/{}", utf8_percent_encode(pipeline.id.as_str(), NON_ALPHANUMERIC));
    let body = PipelineAndSystemShape { pipeline: pipeline.into(), system: system.into() };
    let mut response = answer::json(StatusCode::CREATED, &body)?;
    let place = HeaderValue::from_str(&place).map_err(|_| Problem::internal())?;
    response.headers_mut().insert(header::LOCATION, place);
    Ok(response)
}

pub async fn list(State(handle): State<Handle>, RawQuery(query): RawQuery) -> Answered {
    let parameters = Parameters::read(query.as_deref(), &["status", "group", "cursor", "limit"])?;
    let listing = Listing {
        status: parameters.get("status").map(status).transpose()?,
        group: parameters.get("group").map(PipelineGroup::new).transpose()?,
        after: cursor(&parameters)?,
        most: Some(page::limit(&parameters)? as u32),
    };
    let now = time::now();
    let page = handle.read(move |state| state.registry.list(&listing, now)).await??;
    let items: Vec<PipelineShape> = page.pipelines.into_iter().map(Into::into).collect();
    answer::json(StatusCode::OK, &Page { items, next_cursor: page.next.map(|next| next.to_string()) })
}

fn status(text: &str) -> Result<PipelineStatus, Problem> {
    let all = "configured, running, paused, stopped or failed";
    text.parse().map_err(|_| Problem::parameter(Part::Query, "status", all, text))
}

/// The id that the page before ended with.
pub(super) fn cursor(parameters: &Parameters<'_>) -> Result<Option<PipelineId>, Problem> {
    let refused = |text: &str| Problem::parameter(Part::Query, "cursor", "the next_cursor of an earlier page", text);
    parameters.get("cursor").map(|text| PipelineId::new(text).map_err(|_| refused(text))).transpose()
}

pub async fn get(State(handle): State<Handle>, path: PathParameters) -> Answered {
    let id = named(&path)?;
    let (wanted, now) = (id.clone(), time::now());
    let view = handle.read(move |state| state.registry.pipeline(&wanted, now)).await?;
    let view = view.ok_or(Rejection::PipelineUnknown(id))?;
    answer::json(StatusCode::OK, &PipelineShape::from(view))
}

pub async fn unregister(State(handle): State<Handle>, path: PathParameters) -> Answered {
    let (pipeline, system) = registry::unregister(&handle, named(&path)?).await?;
    let body = PipelineAndSystemShape { pipeline: pipeline.into(), system: system.into() };
    answer::json(StatusCode::OK, &body)
}

pub async fn update_status(
    State(handle): State<Handle>,
    path: PathParameters,
    Json(spec): Json<StatusSpec>,
) -> Answered {
    told(registry::update_status(&handle, spec.of(named(&path)?)).await?)
}

pub async fn report_usage(State(handle): State<Handle>, path: PathParameters, Json(spec): Json<UsageSpec>) -> Answered {
    told(registry::report_usage(&handle, named(&path)?, spec.cpu_percent, spec.memory_mb).await?)
}

pub async fn heartbeat(State(handle): State<Handle>, path: PathParameters) -> Answered {
    told(registry::heartbeat(&handle, named(&path)?).await?)
}

/// A report that is held is accepted, and not yet durable.
fn told(reported: Reported) -> Answered {
    let held = matches!(reported, Reported::Held { .. });
    let status = if held { StatusCode::ACCEPTED } else { StatusCode::OK };
    answer::json(status, &ReportShape::from(reported))
}

pub async fn heartbeats(State(handle): State<Handle>, Json(spec): Json<HeartbeatsSpec>) -> Answered {
    if spec.pipelines.len() > registry::HEARTBEATS_MAX {
        return Err(Problem::too_large("pipelines", "ids", registry::HEARTBEATS_MAX));
    }
    let all = spec.pipelines.len() as u64;
    let unknown = registry::heartbeats(&handle, spec.pipelines.into_iter().map(|id| id.0).collect()).await?;
    let noted = all - unknown.len() as u64;
    let unknown = unknown.into_iter().map(|id| id.to_string()).collect();
    answer::json(StatusCode::OK, &HeartbeatsShape { noted, unknown })
}

pub async fn reserve(
    State(handle): State<Handle>,
    path: PathParameters,
    Json(spec): Json<ReservationSpec>,
) -> Answered {
    let view = registry::reserve(&handle, spec.of(named(&path)?)).await?;
    let status = if view.is_held() { StatusCode::OK } else { StatusCode::ACCEPTED };
    answer::json(status, &ReservationShape::from(view))
}

pub async fn reservation(State(handle): State<Handle>, path: PathParameters) -> Answered {
    let id = named(&path)?;
    let wanted = id.clone();
    let view = handle.read(move |state| state.registry.reservation(&wanted)).await?;
    answer::json(StatusCode::OK, &ReservationShape::from(view.ok_or(Rejection::ReservationUnknown(id))?))
}

pub async fn release(State(handle): State<Handle>, path: PathParameters) -> Answered {
    registry::release(&handle, named(&path)?).await?;
    answer::json(StatusCode::OK, &Done { done: true })
}
