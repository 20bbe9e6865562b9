//! Following what happens, as server-sent events: no gaps, and a heartbeat where nothing does.

use crate::grpc::{name_items, told, watch_problem};
use crate::problem::{Part, Problem};
use crate::request::{InSession, Parameters};
use crate::router::Api;
use crate::wire::{raw, time};
use axum::body::{Body, Bytes};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Response, header};
use capstan_coordinator::{Change, Watch};
use capstan_ids::{Position, SessionName, WallTime};
use futures::stream;
use serde::Serialize;
use serde_json::value::RawValue;
use std::convert::Infallible;
use std::time::Duration;
use utoipa::ToSchema;

/// Nothing is sent for no longer than this.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Changes of one chunk at most.
const CHUNK_CHANGES: usize = 256;

/// Something that has happened and is durable.
#[derive(Serialize, ToSchema)]
#[schema(as = Change)]
pub struct ChangeShape<'a> {
    /// Its place in the journal; also the event's `id`.
    pub position: u64,
    /// When it happened.
    #[serde(serialize_with = "time::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub at: WallTime,
    /// Where; null for what concerns all sessions.
    pub session: Option<&'a str>,
    /// What happened, such as `item_granted`; also the event's name. There may be new ones.
    pub event: &'a str,
    /// What it happened to.
    pub item_id: Option<&'a str>,
    /// The item's number in its session.
    pub item_number: Option<u64>,
    /// To whom.
    pub worker_id: Option<&'a str>,
    /// The lease's token.
    pub token: Option<u64>,
    /// What else is to be said.
    #[schema(value_type = Option<serde_json::Value>)]
    pub detail: Option<&'a RawValue>,
}

/// Follows one session.
pub async fn one(
    State(api): State<Api>,
    InSession(session): InSession,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    follow(api, Some(session), query.as_deref(), &headers).await
}

/// Follows all sessions.
pub async fn all(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    follow(api, None, query.as_deref(), &headers).await
}

async fn follow(
    api: Api,
    session: Option<SessionName>,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response<Body>, Problem> {
    if let Some(session) = &session {
        super::sessions::view(&api.handle, session.clone()).await?;
    }
    let from = beginning(query, headers)?;
    let watch = api.handle.watch(from, session).await.map_err(watch_problem)?;
    let events = stream::unfold(Some((watch, api)), |state| async move {
        let (mut watch, api) = state?;
        let mut text = String::new();
        let goes_on = tokio::select! {
            goes_on = next(&mut watch, &api, &mut text) => goes_on,
            () = api.info.closing.cancelled() => return None,
        };
        Some((Ok::<_, Infallible>(Bytes::from(text)), goes_on.then_some((watch, api))))
    });
    Ok(streamed(Body::from_stream(events)))
}

/// A body of server-sent events.
pub(super) fn streamed(events: Body) -> Response<Body> {
    let mut response = Response::new(events);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// From the position in the query, or after the last one a reconnecting client has seen, or from now on.
pub(super) fn beginning(query: Option<&str>, headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    let parameters = Parameters::read(query, &["from"])?;
    if let Some(seen) = headers.get("last-event-id") {
        let text = seen.to_str().unwrap_or("bytes that are not text");
        let refused = || Problem::parameter(Part::Header, "Last-Event-ID", "the id of an event of this stream", text);
        let seen: u64 = text.parse().map_err(|_| refused())?;
        return Ok(Some(Position::new(seen.checked_add(1).ok_or_else(refused)?)));
    }
    Ok(parameters.number("from", 1, Position::MAX.get())?.map(Position::new))
}

/// Writes what comes next; whether the stream goes on after it.
async fn next(watch: &mut Watch, api: &Api, text: &mut String) -> bool {
    let mut batch = match tokio::time::timeout(HEARTBEAT, watch.next()).await {
        Ok(Ok(change)) => vec![change],
        Ok(Err(error)) => return last_word(watch_problem(error), text),
        Err(_) => {
            // The id moves on too: who comes back after a long silence need not read what was not for it.
            text.push_str(&format!(": heartbeat\nid: {}\n\n", watch.position().get() - 1));
            return true;
        }
    };
    while batch.len() < CHUNK_CHANGES
        && let Some(change) = watch.ready()
    {
        batch.push(change);
    }
    let times: Vec<WallTime> = batch.iter().map(|change: &Change| change.at).collect();
    let mut changes: Vec<_> =
        batch.into_iter().zip(times).filter_map(|(change, at)| Some((told(change)?, at))).collect();
    let (mut named, times): (Vec<_>, Vec<_>) = changes.drain(..).unzip();
    if let Err(failure) = name_items(&api.handle, &mut named).await {
        return last_word(failure.into(), text);
    }
    for (change, at) in named.iter().zip(times) {
        let shape = ChangeShape {
            position: change.position,
            at,
            session: Some(change.session.as_str()).filter(|session| !session.is_empty()),
            event: &change.event,
            item_id: change.item_id.as_deref(),
            item_number: change.item_number,
            worker_id: change.worker_id.as_deref(),
            token: change.token,
            detail: raw(change.detail.as_deref()),
        };
        let data = serde_json::to_string(&shape).expect("a change holds only text and numbers");
        text.push_str(&format!("id: {}\nevent: {}\ndata: {data}\n\n", change.position, change.event));
    }
    true
}

/// Says why the stream ends: an event named `problem` with a problem body.
pub(super) fn last_word(problem: Problem, text: &mut String) -> bool {
    let body = serde_json::to_string(&problem).expect("a problem holds only text and numbers");
    text.push_str(&format!("event: problem\ndata: {body}\n\n"));
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::Fact;
    use capstan_coordinator::WatchError;

    #[test]
    fn a_position_no_longer_kept_is_gone_with_where_to_begin() {
        let error = WatchError::Dropped { asked: Position::new(17), first: Position::new(1_042) };
        let mut text = String::new();

        assert!(!last_word(watch_problem(error), &mut text), "the stream ends");

        assert!(text.starts_with("event: problem\ndata: {") && text.ends_with("}\n\n"), "{text}");
        let error = WatchError::Dropped { asked: Position::new(17), first: Position::new(1_042) };
        let problem = watch_problem(error);
        assert_eq!((problem.code.name, problem.class().http().as_u16()), ("watch.position_gone", 410));
        assert_eq!(problem.fact("begin_at"), Some(&Fact::Number(1_042)));
    }
}
