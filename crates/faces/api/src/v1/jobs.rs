//! Jobs: starting one, looking at it, steering it.

use super::page::{self, Page};
use super::{Answered, Done};
use crate::answer;
use crate::look::{ChunkLook, JobLook, find_unit};
use crate::problem::{Part, Problem};
use crate::report::{self, ReportPage};
use crate::request::{InJob, Json, JsonOrDefault, Parameters, PathParameters};
use crate::wire::job::{
    self, ChunkShape, DeadLettersShape, JobCancelSpec, JobPauseSpec, JobShape, JobSpec, PoolsSpec, PriorityShape,
    RatesShape, UnitShape, UnitsSpec,
};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use capstan_coordinator::Handle;
use capstan_ids::Kind;
use capstan_migration::{JobCommand, JobName, Rejection, UnitId};

/// A job that is not there when it is looked at.
fn unknown(job: &JobName) -> Problem {
    Rejection::JobUnknown(job.clone()).into()
}

/// One job as it stands.
async fn look(handle: &Handle, job: JobName) -> Result<JobLook, Problem> {
    let name = job.clone();
    handle.read(move |state| JobLook::of(state, &name)).await?.ok_or_else(|| unknown(&job))
}

/// Does it, and shows the job afterwards.
async fn steer(handle: &Handle, command: JobCommand) -> Answered {
    let job = handle.command_job(command).await?;
    answer::json(StatusCode::OK, &JobShape::from(look(handle, job).await?))
}

pub async fn submit(State(handle): State<Handle>, Json(asked): Json<JobSpec>) -> Answered {
    let name = asked.name.map(|name| crate::request::job_name(&name)).transpose()?;
    let job = handle.command_job(JobCommand::Submit { name, spec: Box::new(asked.spec) }).await?;
    let location = HeaderValue::from_str(&format!("/api/v1/jobs/{job}")).map_err(|_| Problem::internal())?;
    let mut response = answer::json(StatusCode::CREATED, &JobShape::from(look(&handle, job).await?))?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

pub async fn list(State(handle): State<Handle>, RawQuery(query): RawQuery) -> Answered {
    let parameters = Parameters::read(query.as_deref(), &["cursor", "limit"])?;
    let limit = page::limit(&parameters)?;
    let after = parameters.get("cursor").map(|cursor| {
        JobName::new(cursor)
            .map_err(|_| Problem::parameter(Part::Query, "cursor", "the next_cursor of an earlier page", cursor))
    });
    let after = after.transpose()?;
    let look = move |state: &capstan_coordinator::State| -> Vec<JobLook> {
        let names: Vec<JobName> = state
            .jobs
            .jobs()
            .map(|job| job.name)
            .filter(|name| after.as_ref().is_none_or(|after| name > after))
            .take(limit + 1)
            .collect();
        names.iter().filter_map(|name| JobLook::of(state, name)).collect()
    };
    let mut looks = handle.read(look).await?;
    let more = looks.len() > limit;
    looks.truncate(limit);
    let next_cursor = looks.last().filter(|_| more).map(|last| last.view.name.to_string());
    answer::json(StatusCode::OK, &Page { items: looks.into_iter().map(JobShape::from).collect(), next_cursor })
}

pub async fn get(State(handle): State<Handle>, InJob(job): InJob) -> Answered {
    answer::json(StatusCode::OK, &JobShape::from(look(&handle, job).await?))
}

pub async fn forget(State(handle): State<Handle>, InJob(job): InJob) -> Answered {
    handle.command_job(JobCommand::Forget { job }).await?;
    answer::json(StatusCode::OK, &Done { done: true })
}

pub async fn units(State(handle): State<Handle>, InJob(job): InJob, RawQuery(query): RawQuery) -> Answered {
    let parameters = Parameters::read(query.as_deref(), &["cursor", "limit"])?;
    let (limit, from) = (page::limit(&parameters)?, page::numbered(&parameters)? as usize);
    let name = job.clone();
    let look = move |state: &capstan_coordinator::State| {
        let units = state.jobs.units(&name)?;
        Some(units.skip(from).take(limit + 1).map(UnitShape::from).collect::<Vec<_>>())
    };
    let units = handle.read(look).await?.ok_or_else(|| unknown(&job))?;
    paged(units, from, limit)
}

pub async fn chunks(
    State(handle): State<Handle>,
    InJob(job): InJob,
    path: PathParameters,
    RawQuery(query): RawQuery,
) -> Answered {
    let parameters = Parameters::read(query.as_deref(), &["cursor", "limit"])?;
    let (limit, from) = (page::limit(&parameters)?, page::numbered(&parameters)? as usize);
    let unit = path.get("unit")?.to_owned();
    let (name, wanted) = (job.clone(), unit.clone());
    let look = move |state: &capstan_coordinator::State| -> Option<Option<Vec<ChunkLook>>> {
        let Some(unit) = find_unit(state, &name, &wanted)? else { return Some(None) };
        Some(ChunkLook::page(state, &name, unit, from).map(|chunks| chunks.take(limit + 1).collect()))
    };
    let chunks = handle.read(look).await?.ok_or_else(|| unknown(&job))?;
    let chunks = chunks.ok_or_else(|| Problem::no_unit(&job, &unit))?;
    paged(chunks.into_iter().map(ChunkShape::from).collect(), from, limit)
}

/// A page of a list whose cursor is a place in it: one entry more than wanted says that there is another.
fn paged<T: serde::Serialize>(mut items: Vec<T>, from: usize, limit: usize) -> Answered {
    let next_cursor = (items.len() > limit).then(|| (from + limit).to_string());
    items.truncate(limit);
    answer::json(StatusCode::OK, &Page { items, next_cursor })
}

pub async fn pause(
    State(handle): State<Handle>,
    InJob(job): InJob,
    JsonOrDefault(spec): JsonOrDefault<JobPauseSpec>,
) -> Answered {
    steer(&handle, JobCommand::Pause { job, immediate: spec.immediate, reason: spec.reason.into() }).await
}

pub async fn resume(State(handle): State<Handle>, InJob(job): InJob) -> Answered {
    steer(&handle, JobCommand::Resume { job }).await
}

pub async fn retry(State(handle): State<Handle>, InJob(job): InJob) -> Answered {
    steer(&handle, JobCommand::Retry { job }).await
}

pub async fn cancel(
    State(handle): State<Handle>,
    InJob(job): InJob,
    JsonOrDefault(spec): JsonOrDefault<JobCancelSpec>,
) -> Answered {
    steer(&handle, JobCommand::Cancel { job, drop_partial: spec.drop_partial, reason: spec.reason.into() }).await
}

pub async fn pools(State(handle): State<Handle>, InJob(job): InJob) -> Answered {
    let pools = job::pools(&look(&handle, job).await?);
    answer::json(StatusCode::OK, &Page { items: pools, next_cursor: None })
}

pub async fn set_pools(State(handle): State<Handle>, InJob(job): InJob, Json(spec): Json<PoolsSpec>) -> Answered {
    let kinds = spec.0.into_iter().map(|(kind, size)| {
        let known = crate::look::KINDS.contains(&kind.as_str());
        let in_range = size.is_none_or(|size| (1..=4_096).contains(&size));
        match Kind::new(&kind) {
            Ok(kind) if known && in_range => Ok((kind, size)),
            _ => Err(Problem::from(Rejection::PoolSize { kind, size: size.unwrap_or_default() })),
        }
    });
    // All of them are looked at before the first is changed.
    let kinds = kinds.collect::<Result<Vec<_>, _>>()?;
    for (kind, size) in kinds {
        handle.command_job(JobCommand::SetPool { job: job.clone(), kind, size }).await?;
    }
    pools(State(handle), InJob(job)).await
}

pub async fn add_units(State(handle): State<Handle>, InJob(job): InJob, Json(spec): Json<UnitsSpec>) -> Answered {
    steer(&handle, JobCommand::AddUnits { job, collections: spec.collections }).await
}

pub async fn rates(State(handle): State<Handle>, InJob(job): InJob) -> Answered {
    answer::json(StatusCode::OK, &RatesShape::from(look(&handle, job).await?.view.rates))
}

pub async fn set_rates(State(handle): State<Handle>, InJob(job): InJob, Json(spec): Json<RatesShape>) -> Answered {
    handle.command_job(JobCommand::SetRates { job: job.clone(), rates: spec.into() }).await?;
    rates(State(handle), InJob(job)).await
}

pub async fn priorities(State(handle): State<Handle>, InJob(job): InJob) -> Answered {
    let priorities = look(&handle, job).await?.view.priorities;
    let items = priorities.into_iter().map(PriorityShape::from).collect();
    answer::json(StatusCode::OK, &Page { items, next_cursor: None })
}

pub async fn set_priority(
    State(handle): State<Handle>,
    InJob(job): InJob,
    Json(spec): Json<PriorityShape>,
) -> Answered {
    let PriorityShape { collection, priority } = spec;
    handle.command_job(JobCommand::SetPriority { job: job.clone(), collection, priority }).await?;
    priorities(State(handle), InJob(job)).await
}

pub async fn dead_letters(State(handle): State<Handle>, InJob(job): InJob, RawQuery(query): RawQuery) -> Answered {
    let parameters = Parameters::read(query.as_deref(), &["cursor", "limit"])?;
    let (limit, from) = (page::limit(&parameters)?, page::numbered(&parameters)? as usize);
    let name = job.clone();
    let look = move |state: &capstan_coordinator::State| -> Option<Vec<DeadLettersShape>> {
        let units: Vec<(UnitId, String)> = state
            .jobs
            .units(&name)?
            .filter(|unit| unit.dead_letters > 0)
            .map(|unit| (unit.id, unit.source.to_string()))
            .collect();
        let refused = units.iter().flat_map(|(unit, source)| {
            let chunks = state.jobs.chunks(&name, *unit).into_iter().flatten();
            chunks.filter(|chunk| chunk.dead_letters > 0).map(move |chunk| DeadLettersShape {
                unit: unit.to_string(),
                source: source.clone(),
                chunk: chunk.index,
                documents: chunk.dead_letters,
            })
        });
        Some(refused.skip(from).take(limit + 1).collect())
    };
    let letters = handle.read(look).await?.ok_or_else(|| unknown(&job))?;
    paged(letters, from, limit)
}

/// As JSON, or as a page for people where `?format=html` or `Accept` asks for that.
pub async fn report(
    State(handle): State<Handle>,
    InJob(job): InJob,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answered {
    let parameters = Parameters::read(query.as_deref(), &["format"])?;
    let accepts_html = || {
        let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
        accept.split(',').any(|form| form.trim().starts_with("text/html"))
    };
    let html = match parameters.get("format") {
        None => accepts_html(),
        Some("html") => true,
        Some("json") => false,
        Some(other) => return Err(Problem::parameter(Part::Query, "format", "json or html", other)),
    };
    let found = ReportPage::of(&handle, &job).await?.ok_or_else(|| unknown(&job))?;
    if !html {
        return Ok(answer::json_bytes(StatusCode::OK, found.report.into()));
    }
    let mut response = Response::new(axum::body::Body::from(report::html(&found)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}
