//! Every REST route there is, in one table.

use crate::console;
use crate::counted::Counting;
use crate::health;
use crate::metrics::Metrics;
use crate::metrics::alerts::AlertFigures;
use crate::openapi;
use crate::problem::Problem;
use crate::v1::{self, history, items, jobs, leases, limits, pipelines, sessions, system, watch};
use axum::Router;
use axum::extract::{FromRef, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use capstan_coordinator::Handle;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What a server says of itself.
#[derive(Clone, Debug)]
pub struct ServerInfo {
    /// Its version.
    pub version: String,
    /// Where it is reached: `http://HOST:PORT`.
    pub advertise: String,
    /// Ends streams, so that a graceful stop does not wait for them.
    pub closing: CancellationToken,
    /// What became of its alerts.
    pub alerts: AlertFigures,
}

/// What handlers hold.
#[derive(Clone, Debug)]
pub struct Api {
    pub(crate) handle: Handle,
    pub(crate) info: Arc<ServerInfo>,
    pub(crate) metrics: Metrics,
}

impl FromRef<Api> for Handle {
    fn from_ref(api: &Api) -> Self {
        api.handle.clone()
    }
}

/// Everything but gRPC: the console's contract, `/api/v1`, health and metrics.
///
/// Without a fallback, so that other routes may be merged in; see [`with_fallback`].
pub fn router(handle: Handle, info: ServerInfo) -> Router {
    let metrics = Metrics::default();
    let api = Api { handle, info: Arc::new(info), metrics: metrics.clone() };
    let mut router = Router::new();
    for (path, methods) in v1_routes() {
        router = router.route(path, methods.layer(Counting(metrics.route(path))));
    }
    let console = console::routes::<Api>(|path, methods| methods.layer(Counting(metrics.route(path))));
    router.merge(console).method_not_allowed_fallback(no_method).with_state(api)
}

/// The same, with an answer for paths that nothing lies at: for the outermost router.
pub fn with_fallback(router: Router) -> Router {
    router.fallback(no_route)
}

type Route = (&'static str, MethodRouter<Api>);

/// The table of routes under `/api/v1` and beside it.
pub(crate) fn v1_routes() -> Vec<Route> {
    vec![
        ("/api/v1/sessions", get(sessions::list).post(sessions::create)),
        ("/api/v1/sessions/{session}", get(sessions::get).patch(sessions::change).delete(sessions::delete)),
        ("/api/v1/sessions/{session}/status", get(sessions::status)),
        ("/api/v1/sessions/{session}/workers", get(sessions::workers)),
        ("/api/v1/sessions/{session}/pause", post(sessions::pause)),
        ("/api/v1/sessions/{session}/resume", post(sessions::resume)),
        ("/api/v1/sessions/{session}/cancel", post(sessions::cancel)),
        ("/api/v1/sessions/{session}/close", post(sessions::close)),
        ("/api/v1/sessions/{session}/retry", post(sessions::retry)),
        ("/api/v1/sessions/{session}/gates", post(sessions::hold_gate)),
        ("/api/v1/sessions/{session}/gates:open", post(sessions::open_gate)),
        ("/api/v1/sessions/{session}/limits", get(limits::list)),
        ("/api/v1/sessions/{session}/limits/{limit}", put(limits::set).delete(limits::lift)),
        ("/api/v1/sessions/{session}/watch", get(watch::one)),
        ("/api/v1/sessions/{session}/acquire", post(leases::acquire)),
        ("/api/v1/sessions/{session}/leases:renew", post(leases::renew_many)),
        ("/api/v1/sessions/{session}/leases:complete", post(leases::complete_many)),
        ("/api/v1/sessions/{session}/items", get(items::list).post(items::add).delete(items::delete_by_query)),
        ("/api/v1/sessions/{session}/items:batch", post(items::add_batch)),
        ("/api/v1/sessions/{session}/items/{id}", get(items::get).delete(items::delete).post(items::act_by_query)),
        ("/api/v1/sessions/{session}/items/{id}/renew", post(leases::renew)),
        ("/api/v1/sessions/{session}/items/{id}/complete", post(leases::complete)),
        ("/api/v1/sessions/{session}/items/{id}/complete-and-acquire", post(leases::complete_and_acquire)),
        ("/api/v1/sessions/{session}/items/{id}/fail", post(leases::fail)),
        ("/api/v1/sessions/{session}/items/{id}/release", post(leases::release)),
        ("/api/v1/sessions/{session}/items/{id}/cancel", post(items::cancel)),
        ("/api/v1/sessions/{session}/items/{id}/retry", post(items::retry)),
        ("/api/v1/sessions/{session}/items/{id}/priority", post(items::set_priority)),
        ("/api/v1/jobs", get(jobs::list).post(jobs::submit)),
        ("/api/v1/jobs/{job}", get(jobs::get).delete(jobs::forget)),
        ("/api/v1/jobs/{job}/units", get(jobs::units).post(jobs::add_units)),
        ("/api/v1/jobs/{job}/units/{unit}/chunks", get(jobs::chunks)),
        ("/api/v1/jobs/{job}/pause", post(jobs::pause)),
        ("/api/v1/jobs/{job}/resume", post(jobs::resume)),
        ("/api/v1/jobs/{job}/retry", post(jobs::retry)),
        ("/api/v1/jobs/{job}/cancel", post(jobs::cancel)),
        ("/api/v1/jobs/{job}/pools", get(jobs::pools).put(jobs::set_pools)),
        ("/api/v1/jobs/{job}/rates", get(jobs::rates).put(jobs::set_rates)),
        ("/api/v1/jobs/{job}/priorities", get(jobs::priorities).put(jobs::set_priority)),
        ("/api/v1/jobs/{job}/report", get(jobs::report)),
        ("/api/v1/jobs/{job}/dead-letters", get(jobs::dead_letters)),
        ("/api/v1/pipelines", get(pipelines::list).post(pipelines::register)),
        ("/api/v1/pipelines:heartbeat", post(pipelines::heartbeats)),
        ("/api/v1/pipelines:watch", get(history::watch)),
        ("/api/v1/pipelines/{pipeline}", get(pipelines::get).delete(pipelines::unregister)),
        ("/api/v1/pipelines/{pipeline}/status", put(pipelines::update_status)),
        ("/api/v1/pipelines/{pipeline}/usage", put(pipelines::report_usage)),
        ("/api/v1/pipelines/{pipeline}/heartbeat", post(pipelines::heartbeat)),
        (
            "/api/v1/pipelines/{pipeline}/reservation",
            get(pipelines::reservation).put(pipelines::reserve).delete(pipelines::release),
        ),
        ("/api/v1/pipelines/{pipeline}/history", get(history::of_one)),
        ("/api/v1/audit", get(history::audit)),
        ("/api/v1/registry", get(history::as_it_was)),
        ("/api/v1/system", get(system::get)),
        ("/api/v1/system/availability", get(system::availability)),
        ("/api/v1/system/limits", get(system::limits).patch(system::change_limits)),
        ("/api/v1/system/queue", get(system::queue)),
        ("/api/v1/scale", get(system::scale)),
        ("/api/v1/acquire", post(leases::acquire_anywhere)),
        ("/api/v1/workers", get(sessions::all_workers)),
        ("/api/v1/limits", get(limits::list_shared)),
        ("/api/v1/limits/{limit}", put(limits::set_shared).delete(limits::lift_shared)),
        ("/api/v1/watch", get(watch::all)),
        ("/api/v1/backup", get(v1::backup::take)),
        ("/api/v1/errors/{code}", get(v1::error_page)),
        ("/api/v1/openapi.json", get(openapi::document)),
        ("/api/v1/docs", get(openapi::viewer)),
        ("/health/live", get(health::live)),
        ("/health/ready", get(health::ready)),
        ("/metrics", get(health::figures)),
        ("/system/health", get(health::system_health)),
        ("/system/version", get(health::system_version)),
    ]
}

/// The path of every route, for whoever compares it with the description.
pub fn route_paths() -> Vec<&'static str> {
    let v1 = v1_routes().into_iter().map(|(path, _)| path);
    v1.chain(console::PATHS).collect()
}

async fn no_route(request: Request) -> Response {
    if request.uri().path().starts_with("/sessions") {
        return console::Refused::no_route().into_response();
    }
    Problem::no_route(request.uri().path()).into_response()
}

async fn no_method(request: Request) -> Problem {
    Problem::no_method(request.method(), &[])
}
