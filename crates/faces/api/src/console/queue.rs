//! The queue of a session: the next item, what the queue is doing, leases that ran out.

use super::wire::{Acquired, BackfillWorkItem, QueueStatus};
use super::{Answered, Refused};
use crate::answer;
use crate::request::{Parameters, idempotency_key};
use crate::v1::{items, sessions};
use crate::wire::grant::Nothing;
use crate::wire::time;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use capstan_coordinator::Handle;
use capstan_ids::{IdempotencyKey, ItemId, Millis, SessionName, WallTime, WorkerId};
use capstan_work::{Acquire, Answer, Command, Grant, Progress};
use serde_json::json;

pub async fn acquire(
    handle: &Handle,
    session: SessionName,
    parameters: &Parameters<'_>,
    headers: &HeaderMap,
) -> Answered {
    let worker = parameters.get("worker_id").ok_or_else(|| Refused::missing_parameter("worker_id"))?;
    let worker = WorkerId::new(worker).map_err(|error| Refused::bad_parameter("worker_id", error.to_string()))?;
    let key = match parameters.get("idempotency_key") {
        Some(key) => {
            let key = IdempotencyKey::new(key);
            Some(key.map_err(|error| Refused::bad_parameter("idempotency_key", error.to_string()))?)
        }
        None => idempotency_key(headers)?,
    };
    let acquire = Acquire { lease: lease(parameters)?, key, ..Acquire::from(session.clone(), worker.clone()) };
    match handle.submit(Command::Acquire(acquire)).await? {
        Answer::Granted(grants) => {
            let grant = grants.first().ok_or_else(crate::Problem::internal)?;
            let last_progress = last_progress(handle, session, grant).await;
            let work_item = BackfillWorkItem::granted(grant, &worker, last_progress);
            let token = grant.token.get();
            let acquired = Acquired { work_item, lease_duration_seconds: grant.lease.get(), token };
            let mut response = answer::json(StatusCode::OK, &acquired)?;
            // This is a GET that changes something: no cache may answer it.
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Ok(response)
        }
        Answer::Nothing(why) => {
            let why = Nothing::from(&why);
            Err(Refused::new(StatusCode::NOT_FOUND, format!("No available work items: {}.", why.detail)))
        }
        other => Err(answer::unexpected(&other).into()),
    }
}

fn lease(parameters: &Parameters<'_>) -> Result<Option<Millis>, Refused> {
    let Some(text) = parameters.get("lease_seconds") else { return Ok(None) };
    let expected = || Refused::bad_parameter("lease_seconds", "must be a number of seconds, 1 to 86400");
    let seconds: u64 = text.parse().map_err(|_| expected())?;
    if (1..=86_400).contains(&seconds) { Ok(Some(Millis::secs(seconds))) } else { Err(expected()) }
}

/// When an earlier holder last told of progress. Only an item that somebody has worked on has any.
async fn last_progress(handle: &Handle, session: SessionName, grant: &Grant) -> Option<WallTime> {
    if grant.progress == Progress::NONE {
        return None;
    }
    let item = ItemId::new(grant.body.id()).ok()?;
    items::view(handle, session, item).await.ok()?.last_progress
}

pub async fn status(handle: &Handle, session: SessionName) -> Answered {
    let view = sessions::view(handle, session).await?;
    Ok(answer::json(StatusCode::OK, &QueueStatus::of(&view, time::now()))?)
}

pub async fn sweep(handle: &Handle, session: SessionName) -> Answered {
    match handle.submit(Command::Sweep { session }).await? {
        Answer::Counted(count) => {
            Ok(answer::json(StatusCode::OK, &json!({ "detail": format!("Cleaned up {count} expired leases") }))?)
        }
        other => Err(answer::unexpected(&other).into()),
    }
}
