//! The console's contract: its work items and its sessions, as clients written for it expect them.
//!
//! Paths, bodies, status codes and times are that contract's, down to `{"detail": …}`. What is new are additional fields
//! and parameters that its clients do not know and need not: `token` and `state` in items, `lease_seconds` and an
//! idempotency key on acquire, `?id=` where a path cannot carry an id, successors on complete.

mod error;
mod items;
mod queue;
mod sessions;
mod wire;

pub use error::Refused;
pub use wire::{Acquired, BackfillWorkItem, CompleteObject, CreateWorkItem, QueueStatus, RenewLease};

use crate::request::{Parameters, check_media_type};
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRef, Request, State};
use axum::http::{Method, Response};
use axum::routing::{MethodRouter, any};
use capstan_coordinator::Handle;
use capstan_ids::{ItemId, SessionName};
use percent_encoding::percent_decode_str;

type Answered = Result<Response<Body>, Refused>;

/// The paths of the contract, with and without a slash at the end.
pub const PATHS: [&str; 7] = [
    "/sessions",
    "/sessions/",
    "/sessions/{session}",
    "/sessions/{session}/",
    "/sessions/{session}/backfill/work-items",
    "/sessions/{session}/backfill/work-items/",
    "/sessions/{session}/backfill/work-items/{*rest}",
];

/// The console's routes, each dressed by the caller.
pub fn routes<S>(dress: impl Fn(&'static str, MethodRouter<S>) -> MethodRouter<S>) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    Handle: FromRef<S>,
{
    let handlers: [MethodRouter<S>; PATHS.len()] = [
        any(sessions::all),
        any(sessions::all),
        any(sessions::one),
        any(sessions::one),
        any(work_items),
        any(work_items),
        any(work_items),
    ];
    PATHS.into_iter().zip(handlers).fold(Router::new(), |router, (path, any)| router.route(path, dress(path, any)))
}

/// What is asked for below `work-items`.
///
/// The path is taken apart before it is decoded, so an id may hold an escaped `/`. One sent unescaped, as the
/// contract's own client does, is understood too: the last segment is what is to be done, and the rest the id.
async fn work_items(State(handle): State<Handle>, request: Request) -> Answered {
    let (parts, body) = request.into_parts();
    let session = session_of(parts.uri.path())?;
    if matches!(parts.method, Method::POST | Method::PUT)
        && let Err(problem) = check_media_type(&parts.headers)
    {
        return Err(items::invalid(&handle, &session, problem.into()).await);
    }
    let rest = parts.uri.path().split_once("/backfill/work-items").map_or("", |(_, rest)| rest);
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let parameters = Parameters::read_lenient(parts.uri.query());
    let by_query = parameters.get("id");
    match (&parts.method, rest) {
        (&Method::POST, "") => items::create(&handle, session, body).await,
        (&Method::POST, "batch") => items::create_batch(&handle, session, body).await,
        (&Method::POST, "cleanup-expired") => queue::sweep(&handle, session).await,
        (&Method::GET, "acquire") => queue::acquire(&handle, session, &parameters, &parts.headers).await,
        (&Method::GET, "status") => queue::status(&handle, session).await,
        (&Method::GET, "") => match by_query {
            Some(id) => items::get(&handle, session, item_id(id)?).await,
            None => items::list(&handle, session).await,
        },
        (&Method::DELETE, "") => items::delete_all(&handle, session).await,
        (&Method::GET, id) => items::get(&handle, session, decoded(id)?).await,
        (&Method::PUT, path) => {
            let (id, act) = match path.rsplit_once('/') {
                Some((id, act)) => (decoded(id)?, act),
                None => (item_id(by_query.ok_or_else(Refused::no_method)?)?, path),
            };
            match act {
                "lease" => items::renew(&handle, session, id, body).await,
                "complete" => items::complete(&handle, session, id, body).await,
                _ => Err(Refused::no_route()),
            }
        }
        _ => Err(Refused::no_method()),
    }
}

/// The session of a path; a name that no session can have is a session that is not there.
fn session_of(path: &str) -> Result<SessionName, Refused> {
    let name = path.split('/').nth(2).unwrap_or_default();
    let name = percent_decode_str(name).decode_utf8().map_err(|_| Refused::no_session())?;
    SessionName::new(name).map_err(|_| Refused::no_session())
}

fn decoded(segment: &str) -> Result<ItemId, Refused> {
    let text = percent_decode_str(segment).decode_utf8().map_err(|_| Refused::no_item(segment))?;
    item_id(&text)
}

/// An id that no item can have is an item that is not there.
fn item_id(text: &str) -> Result<ItemId, Refused> {
    ItemId::new(text).map_err(|_| Refused::no_item(text))
}
