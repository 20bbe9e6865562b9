//! What a server answers that follows another: its own health, and everything else from the leader.
//!
//! Requests go on to the leader as they came, REST and gRPC, streams included, and so do the answers. Nothing is
//! repeated once any of it may have reached the leader: whoever asked is told that the outcome is unknown.

use crate::codes;
use crate::metrics;
use crate::problem::Problem;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName};
use axum::http::uri::{Authority, PathAndQuery, Scheme};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, Version};
use axum::response::IntoResponse;
use axum::routing::get;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::json;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A leader that cannot be connected to in this time is taken to be gone.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// When to ask again where nobody leads.
const PAUSE: Duration = Duration::from_millis(500);
/// Says that a request was passed on once already: no two standbys pass it to and fro.
const PASSED_ON: HeaderName = HeaderName::from_static("capstan-passed-on");
/// Names the leader in answers of a standby, for clients that would rather ask it themselves.
const LEADER: HeaderName = HeaderName::from_static("capstan-leader");
/// Headers that are about one connection, and not about the request.
const OF_ONE_CONNECTION: [HeaderName; 6] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Connections to leaders, kept from one leader to the next.
#[derive(Clone, Debug)]
pub struct Lines {
    rest: Client<HttpConnector, Body>,
    grpc: Client<HttpConnector, Body>,
}

impl Default for Lines {
    fn default() -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_MAX));
        connector.set_nodelay(true);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.timer(TokioTimer::new()).pool_timer(TokioTimer::new());
        let rest = builder.build(connector.clone());
        let grpc = builder.http2_only(true).build(connector);
        Self { rest, grpc }
    }
}

/// What a standby knows.
#[derive(Clone, Debug)]
pub struct Standby {
    /// Where the leader is reached: `http://HOST:PORT`.
    pub leader: Option<String>,
    /// The highest leadership seen.
    pub epoch: u64,
    /// Why this server could not lead if it had to.
    pub trouble: Option<String>,
    /// Its version.
    pub version: String,
    /// Ends what is in progress: another leads, or nobody.
    pub over: CancellationToken,
    /// Connections to the leader.
    pub lines: Lines,
}

/// Everything that a standby answers.
pub fn standby(standby: Standby) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/system/version", get(version))
        .route("/metrics", get(figures))
        .fallback(pass_on)
        .with_state(standby)
}

async fn live() -> axum::Json<serde_json::Value> {
    axum::Json(json!({ "status": "live" }))
}

async fn version(State(standby): State<Standby>) -> axum::Json<serde_json::Value> {
    axum::Json(json!({ "version": standby.version }))
}

/// Ready where it knows whom to ask and could lead itself.
async fn ready(State(standby): State<Standby>) -> (StatusCode, axum::Json<serde_json::Value>) {
    let mut reasons = Vec::new();
    if standby.leader.is_none() {
        reasons.push("nobody leads at this moment".to_owned());
    }
    reasons.extend(standby.trouble.clone());
    let (code, status) = match reasons.is_empty() {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    let mut body = json!({ "status": status, "role": "standby", "leader": standby.leader, "epoch": standby.epoch });
    if !reasons.is_empty() {
        body["reasons"] = reasons.into();
    }
    (code, axum::Json(body))
}

/// Its own figures: passed on, those of the leader would be counted once for each server.
async fn figures(State(standby): State<Standby>) -> impl IntoResponse {
    let mut text = String::new();
    metrics::write_build(&mut text, &standby.version);
    metrics::write_standby(&mut text, standby.epoch, standby.leader.is_some() && standby.trouble.is_none());
    ([(header::CONTENT_TYPE, metrics::TEXT_FORM)], text)
}

/// Sends a request on to the leader, and its answer back.
async fn pass_on(State(standby): State<Standby>, request: Request) -> Response<Body> {
    let grpc = is_grpc(request.headers());
    let answer = |outcome: Result<Response<Body>, Problem>| match outcome {
        Ok(response) => response,
        Err(problem) if grpc => crate::grpc::status(problem).into_http(),
        Err(problem) => problem.into_response(),
    };
    let nobody = |detail: &str| Problem::new(&codes::SERVER_NOT_LEADER, detail.to_owned()).retry_after(PAUSE);
    let Some(leader) = &standby.leader else {
        return answer(Err(nobody("this server stands by, and nobody leads at this moment; ask again")));
    };
    if request.headers().contains_key(PASSED_ON) {
        return answer(Err(nobody("this server stands by too; ask again").with("leader", leader.clone())));
    }
    let request = match readdress(request, leader) {
        Ok(request) => request,
        Err(problem) => return answer(Err(problem)),
    };
    let line = if grpc { &standby.lines.grpc } else { &standby.lines.rest };
    let outcome = tokio::select! {
        outcome = line.request(request) => outcome,
        () = standby.over.cancelled() => {
            return answer(Err(unknown("the leader changed while it was asked")));
        }
    };
    answer(match outcome {
        Ok(response) => Ok(answered(response, leader, standby.over.clone())),
        // No connection, so nothing of the request has left this server.
        Err(error) if error.is_connect() => {
            tracing::debug!(%leader, error = &error as &dyn std::error::Error, "the leader cannot be reached");
            Err(nobody("the leader cannot be reached, and nothing was sent to it; ask again")
                .with("leader", leader.clone()))
        }
        Err(error) => {
            tracing::debug!(%leader, error = &error as &dyn std::error::Error, "the leader gave no answer");
            Err(unknown("the leader gave no answer"))
        }
    })
}

/// What was asked may or may not have happened.
fn unknown(what: &str) -> Problem {
    let detail = format!("{what}; what was asked may or may not have happened: ask again with the same ids and tokens");
    Problem::new(&codes::SERVER_OUTCOME_UNKNOWN, detail).retry_after(PAUSE)
}

fn readdress(mut request: Request, leader: &str) -> Result<Request, Problem> {
    let no_address = || Problem::new(&codes::SERVER_NOT_LEADER, format!("the leader's address {leader:?} is none"));
    let at: Uri = leader.parse().map_err(|_| no_address())?;
    let authority: Authority = at.authority().cloned().ok_or_else(no_address)?;
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    *request.uri_mut() = Uri::from_parts(parts).map_err(|_| no_address())?;
    // Each of both clients speaks one version, whatever came in.
    *request.version_mut() = Version::default();
    let headers = request.headers_mut();
    for name in OF_ONE_CONNECTION {
        headers.remove(name);
    }
    headers.remove(header::HOST);
    headers.insert(PASSED_ON, HeaderValue::from_static("1"));
    Ok(request)
}

fn answered(response: Response<hyper::body::Incoming>, leader: &str, over: CancellationToken) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    for name in OF_ONE_CONNECTION {
        parts.headers.remove(name);
    }
    if let Ok(leader) = HeaderValue::from_str(leader) {
        parts.headers.insert(LEADER, leader);
    }
    Response::from_parts(parts, Body::new(Until { body, over: Box::pin(over.cancelled_owned()) }))
}

pin_project_lite::pin_project! {
    /// A body that breaks off when the leader has changed: it may be stopped and never say so.
    struct Until {
        #[pin]
        body: hyper::body::Incoming,
        over: std::pin::Pin<Box<tokio_util::sync::WaitForCancellationFutureOwned>>,
    }
}

impl axum::body::HttpBody for Until {
    type Data = axum::body::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        use std::task::Poll;
        let this = self.project();
        match this.body.poll_frame(context) {
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(axum::Error::new))),
            Poll::Pending => match this.over.as_mut().poll(context) {
                Poll::Ready(()) => Poll::Ready(Some(Err(axum::Error::new(LeaderChanged)))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the leader changed in the middle of the answer")]
struct LeaderChanged;

fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/grpc"))
}
