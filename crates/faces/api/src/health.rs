//! Whether this server lives, whether it serves, and its figures.

use crate::answer;
use crate::metrics::{self, Metrics, WorkFigures};
use crate::problem::Problem;
use crate::router::{Api, ServerInfo};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, header};
use capstan_coordinator::{Failure, Handle, Role};
use capstan_work::{ItemState, SessionView};
use serde::Serialize;
use serde_json::json;
use std::time::{Duration, Instant};
use utoipa::ToSchema;

/// How long the owner of the state may take to answer before it counts as not serving.
const PATIENCE: Duration = Duration::from_secs(2);
/// Sessions looked at in one go.
const SLICE: usize = 200;

/// Whether this server serves.
#[derive(Debug, Serialize, ToSchema)]
pub struct Readiness {
    /// `ready` or `not_ready`.
    pub status: &'static str,
    /// `starting`, `leader`, `standby`, `stopping` or `failed`.
    pub role: &'static str,
    /// Where the leader is reached, where that is known.
    pub leader: Option<String>,
    /// The number of the leadership.
    pub epoch: u64,
    /// Why it does not serve.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

impl Readiness {
    async fn of(handle: &Handle, info: &ServerInfo) -> Self {
        let status = handle.status();
        let role = status.role();
        let mut leader = None;
        let mut reasons = Vec::new();
        match tokio::time::timeout(PATIENCE, handle.read(|_| ())).await {
            Ok(Ok(())) => leader = Some(info.advertise.clone()),
            Ok(Err(Failure::NotLeader { leader: known })) => {
                leader = known;
                reasons.push("this server stands by".to_owned());
            }
            Ok(Err(failure)) => reasons.push(failure.to_string()),
            Err(_) => reasons.push(format!("the coordinator did not answer within {} s", PATIENCE.as_secs())),
        }
        let status_name = if reasons.is_empty() { "ready" } else { "not_ready" };
        Self { status: status_name, role: role.name(), leader, epoch: status.epoch().get(), reasons }
    }

    fn code(&self) -> StatusCode {
        if self.reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
    }
}

/// Lives as long as its journal has not failed: a restart may help then.
pub async fn live(State(api): State<Api>) -> Result<Response<Body>, Problem> {
    let failed = api.handle.status().role() == Role::Failed;
    let (status, word) = if failed { (StatusCode::SERVICE_UNAVAILABLE, "failed") } else { (StatusCode::OK, "live") };
    answer::json(status, &json!({ "status": word }))
}

/// Serves, or why not.
pub async fn ready(State(api): State<Api>) -> Result<Response<Body>, Problem> {
    let readiness = Readiness::of(&api.handle, &api.info).await;
    answer::json(readiness.code(), &readiness)
}

/// The console contract's health: checks by name.
pub async fn system_health(State(api): State<Api>) -> Result<Response<Body>, Problem> {
    let readiness = Readiness::of(&api.handle, &api.info).await;
    let coordinator = readiness.reasons.first().map_or("ok", String::as_str);
    let checks = json!({ "coordinator": coordinator, "role": readiness.role });
    match readiness.code() {
        StatusCode::OK => answer::json(StatusCode::OK, &json!({ "checks": checks, "status": "ok" })),
        status => answer::json(status, &json!({ "detail": checks })),
    }
}

/// The version.
pub async fn system_version(State(api): State<Api>) -> Result<Response<Body>, Problem> {
    answer::json(StatusCode::OK, &json!({ "version": api.info.version }))
}

/// Everything that is counted, for Prometheus.
pub async fn figures(State(api): State<Api>) -> Response<Body> {
    let mut text = String::with_capacity(16 << 10);
    metrics::write_build(&mut text, &api.info.version);
    metrics::write_status(&mut text, api.handle.status());
    api.info.alerts.write(&mut text);
    // A server that does not lead has no items to count; its other figures are still wanted.
    if let Ok(Ok(work)) = tokio::time::timeout(PATIENCE, work_figures(&api.handle)).await {
        work.write(&mut text);
    }
    if let Ok(Ok(system)) = tokio::time::timeout(PATIENCE, api.handle.read(|state| state.registry.system())).await {
        metrics::write_registry(&mut text, &system);
    }
    let metrics: &Metrics = &api.metrics;
    let now = crate::wire::time::now();
    let look = move |state: &capstan_coordinator::State| metrics::jobs::look(state, now);
    if let Ok(Ok(jobs)) = tokio::time::timeout(PATIENCE, api.handle.read(look)).await {
        metrics::jobs::write(&mut text, &jobs, &metrics.idle, Instant::now());
    }
    metrics.write(&mut text);
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(metrics::TEXT_FORM));
    response
}

async fn work_figures(handle: &Handle) -> Result<WorkFigures, Failure> {
    let mut figures = WorkFigures::default();
    let mut after = None;
    loop {
        let from = after.clone();
        let look = move |state: &capstan_coordinator::State| -> Vec<SessionView> {
            state.work.sessions_after(from.as_ref()).take(SLICE).collect()
        };
        let views = handle.read(look).await?;
        for view in &views {
            *figures.sessions.entry(view.state.name()).or_default() += 1;
            let counts = &view.counts;
            for state in [
                ItemState::Waiting,
                ItemState::Blocked,
                ItemState::Assigned,
                ItemState::Completed,
                ItemState::Failed,
                ItemState::Cancelled,
            ] {
                *figures.items.entry(state.name()).or_default() += counts.of(state);
            }
            *figures.items.entry("pending").or_default() += counts.pending();
        }
        match views.last() {
            Some(last) if views.len() == SLICE => after = Some(last.name.clone()),
            _ => return Ok(figures),
        }
    }
}
