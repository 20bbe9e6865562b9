//! Acquiring, keeping and ending leases.

use super::item::{domain_progress, each, new_items, progress, spec, state};
use super::malformed::json;
use super::session::session_name;
use super::time::timestamp;
use super::{Malformed, Named, item_id};
use capstan_ids::{IdempotencyKey, Kind, Millis, SessionName, Token, WorkerId};
use capstan_proto::v1::{self, NoWorkReason};
use capstan_work::{Acquire, Answer, Command, Complete, Grant, Holder, NoWork, Usage, UsageError};
use std::time::Duration;

/// A request for work, and how long it waits.
pub fn acquire(request: v1::AcquireRequest) -> Result<(Acquire, Duration), Malformed> {
    let item = match request.item_id.as_str() {
        "" => None,
        id => Some(item_id(id, "item_id")?),
    };
    if item.is_some() && request.sessions.len() != 1 {
        return Err(Malformed::new("sessions", "exactly one where an item_id is given", request.sessions.len()));
    }
    let acquire = Acquire {
        sessions: each(&request.sessions, "sessions", SessionName::new)?,
        worker: WorkerId::new(&request.worker_id).in_field("worker_id")?,
        kinds: each(&request.kinds, "kinds", Kind::new)?,
        item,
        max: request.max.max(1),
        lease: request.lease_ms.map(Millis),
        key: match request.idempotency_key.as_str() {
            "" => None,
            key => Some(IdempotencyKey::new(key).in_field("idempotency_key")?),
        },
        slots: request.slots,
        usage: request.usage.map(usage).transpose()?,
    };
    let longest = capstan_coordinator::WAIT_MAX;
    let wait = Duration::from_millis(request.wait_ms);
    if wait > longest {
        return Err(Malformed::new("wait_ms", format_args!("at most {}", longest.as_millis()), request.wait_ms));
    }
    Ok((acquire, wait))
}

fn usage(said: v1::Usage) -> Result<Usage, Malformed> {
    let refused = |error: UsageError| Malformed::new(format!("usage.{}", error.field), error.expected, error.found);
    Usage::new(said.cpu_percent, said.memory_mb).map_err(refused)
}

/// A renewal.
pub fn renew(request: v1::RenewRequest) -> Result<Command, Malformed> {
    Ok(Command::Renew {
        holder: holder(request.token, &request.worker_id)?,
        session: session_name(&request.session)?,
        item: item_id(&request.item_id, "item_id")?,
        progress: request.progress.map(domain_progress),
        checkpoint: request.checkpoint.map(Into::into),
        lease: request.lease_ms.map(Millis),
    })
}

/// A completion.
pub fn complete(request: v1::CompleteRequest) -> Result<Complete, Malformed> {
    Ok(Complete {
        holder: holder(request.token, &request.worker_id)?,
        session: session_name(&request.session)?,
        item: item_id(&request.item_id, "item_id")?,
        result: json(request.result, "result")?,
        done: request.done.map(domain_progress),
        successors: new_items(request.successors, "successors")?,
    })
}

/// A completion that asks for the next.
pub fn complete_and_acquire(request: v1::CompleteAndAcquireRequest) -> Result<Command, Malformed> {
    let done = request.complete.ok_or_else(|| Malformed::missing("complete", "what is completed"))?;
    let next = request.next.ok_or_else(|| Malformed::missing("next", "what is wanted next"))?;
    let misplaced = [
        ("next.wait_ms", next.wait_ms != 0),
        ("next.item_id", !next.item_id.is_empty()),
        ("next.idempotency_key", !next.idempotency_key.is_empty()),
    ];
    if let Some((field, _)) = misplaced.into_iter().find(|(_, given)| *given) {
        return Err(Malformed::new(
            field,
            "left out: the completed token is the key, and only acquire waits",
            "a value",
        ));
    }
    let (acquire, _) = acquire(next).map_err(|e| e.under("next"))?;
    Ok(Command::CompleteAndAcquire { complete: complete(done).map_err(|e| e.under("complete"))?, acquire })
}

/// A failed attempt.
pub fn fail(request: v1::FailRequest) -> Result<Command, Malformed> {
    Ok(Command::Fail {
        holder: holder(request.token, &request.worker_id)?,
        session: session_name(&request.session)?,
        item: item_id(&request.item_id, "item_id")?,
        error: request.error.into(),
        permanent: request.permanent,
        retry_after: request.retry_after_ms.map(Millis),
        checkpoint: request.checkpoint.map(Into::into),
    })
}

/// A lease given back.
pub fn release(request: v1::ReleaseRequest) -> Result<Command, Malformed> {
    Ok(Command::Release {
        holder: holder(request.token, &request.worker_id)?,
        session: session_name(&request.session)?,
        item: item_id(&request.item_id, "item_id")?,
        progress: request.progress.map(domain_progress),
        checkpoint: request.checkpoint.map(Into::into),
    })
}

fn holder(token: u64, worker: &str) -> Result<Holder, Malformed> {
    match (token, worker) {
        (0, "") => Err(Malformed::missing("token", "the lease's token, or a worker_id")),
        (0, worker) => Ok(Holder::Worker(WorkerId::new(worker).in_field("worker_id")?)),
        (token, "") => Ok(Holder::Token(Token::from_wire(token))),
        (token, worker) => {
            Ok(Holder::WorkerWithToken(WorkerId::new(worker).in_field("worker_id")?, Token::from_wire(token)))
        }
    }
}

/// Leases, or why there are none.
pub fn acquired(answer: Answer, waited: Duration) -> v1::AcquireResponse {
    let waited_ms = waited.as_millis() as u64;
    match answer {
        Answer::Granted(grants) => v1::AcquireResponse { leases: leases(grants), waited_ms, nothing: None },
        Answer::Nothing(why) => v1::AcquireResponse { leases: Vec::new(), waited_ms, nothing: Some(no_work(why)) },
        other => unreachable!("an acquire is answered with grants or nothing, not {other:?}"),
    }
}

fn leases(grants: Vec<Grant>) -> Vec<v1::Lease> {
    grants.into_iter().map(lease).collect()
}

fn lease(grant: Grant) -> v1::Lease {
    v1::Lease {
        session: grant.session.as_str().to_owned(),
        item: Some(spec(&grant.body)),
        token: grant.token.get(),
        lease_ms: grant.lease.get(),
        lease_expires_at: Some(timestamp(grant.expires)),
        attempt: grant.attempt,
        checkpoint: grant.checkpoint.map(Into::into),
        progress: Some(progress(grant.progress)),
        created_at: Some(timestamp(grant.created)),
        started_at: Some(timestamp(grant.started)),
    }
}

fn no_work(why: NoWork) -> v1::NoWork {
    let (reason, items) = match &why {
        NoWork::Empty => (NoWorkReason::Empty, 0),
        NoWork::AllDone => (NoWorkReason::AllDone, 0),
        NoWork::HeldByOthers { assigned } => (NoWorkReason::HeldByOthers, *assigned),
        NoWork::AtLimit => (NoWorkReason::AtLimit, 0),
        NoWork::NotYet { waiting } => (NoWorkReason::NotYet, *waiting),
        NoWork::Paused => (NoWorkReason::Paused, 0),
        NoWork::Failed { failed } => (NoWorkReason::Failed, *failed),
        NoWork::OtherKinds => (NoWorkReason::OtherKinds, 0),
        NoWork::Ended => (NoWorkReason::Ended, 0),
        NoWork::ItemNotPending(..) => (NoWorkReason::ItemNotPending, 0),
    };
    let item_state = if let NoWork::ItemNotPending(_, state) = why { state.to_owned() } else { String::new() };
    v1::NoWork { reason: reason as i32, items, item_state }
}

/// A lease that goes on.
pub fn renewed(answer: Answer) -> v1::RenewResponse {
    match answer {
        Answer::Renewed { lease, expires, .. } => {
            v1::RenewResponse { lease_ms: lease.get(), lease_expires_at: Some(timestamp(expires)) }
        }
        other => unreachable!("a renewal is answered with a renewal, not {other:?}"),
    }
}

/// An item that is done. One that was deleted under its lease has no time of completion: its holder has acknowledged.
pub fn completed(answer: Answer) -> v1::CompleteResponse {
    v1::CompleteResponse { completed_at: ended(answer).0 }
}

/// An item that is done, and the next.
pub fn completed_and_acquired(answer: Answer) -> v1::CompleteAndAcquireResponse {
    let (completed_at, next) = ended(answer);
    v1::CompleteAndAcquireResponse { completed_at, leases: leases(next) }
}

fn ended(answer: Answer) -> (Option<prost_types::Timestamp>, Vec<Grant>) {
    match answer {
        Answer::Completed { item, next } => (item.completed.map(timestamp), next),
        Answer::Done => (None, Vec::new()),
        other => unreachable!("a completion is answered with a completion, not {other:?}"),
    }
}

/// An attempt that failed.
pub fn failed(answer: Answer) -> v1::FailResponse {
    let (state, attempts) = returned(answer);
    v1::FailResponse { state: state as i32, attempts }
}

/// A lease that was given back.
pub fn released(answer: Answer) -> v1::ReleaseResponse {
    v1::ReleaseResponse { state: returned(answer).0 as i32 }
}

fn returned(answer: Answer) -> (v1::ItemState, u32) {
    match answer {
        Answer::Returned { item } => (state(item.state), item.attempts),
        Answer::Done => (v1::ItemState::Deleted, 0),
        other => unreachable!("an item given back is answered with the item, not {other:?}"),
    }
}
