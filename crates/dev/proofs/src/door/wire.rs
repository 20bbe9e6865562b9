//! Requests and answers in the words of the gRPC API.

use super::{SESSION, worker_id};
use crate::history::{Answer, Asked, Granted, NewItem, Outcome, Refusal, Wish};
use capstan_proto::v1::{self, ask, reply};
use capstan_proto::{CLASS_METADATA, CODE_METADATA};
use tonic::Status;

/// A request as it goes over the wire.
pub fn request(client: u32, asked: &Asked) -> ask::Request {
    let session = || SESSION.to_owned();
    match asked {
        Asked::Add(items) => ask::Request::Add(v1::AddItemsRequest {
            session: session(),
            items: items.iter().map(spec).collect(),
            ..Default::default()
        }),
        Asked::Acquire(wish) => ask::Request::Acquire(acquire(client, wish)),
        Asked::Renew { held, lease_ms, progress, checkpoint } => ask::Request::Renew(v1::RenewRequest {
            session: session(),
            item_id: held.item.to_string(),
            token: held.token,
            worker_id: String::new(),
            progress: progress.map(|documents| v1::Progress { documents, bytes: 0 }),
            checkpoint: checkpoint.as_deref().map(str::to_owned),
            lease_ms: *lease_ms,
        }),
        Asked::Complete { held, successors, next } => {
            let complete = v1::CompleteRequest {
                session: session(),
                item_id: held.item.to_string(),
                token: held.token,
                successors: successors.iter().map(spec).collect(),
                ..Default::default()
            };
            match next {
                None => ask::Request::Complete(complete),
                Some(wish) => ask::Request::CompleteAndAcquire(v1::CompleteAndAcquireRequest {
                    complete: Some(complete),
                    next: Some(v1::AcquireRequest {
                        idempotency_key: String::new(),
                        wait_ms: 0,
                        ..acquire(client, wish)
                    }),
                }),
            }
        }
        Asked::Fail { held, permanent, checkpoint } => ask::Request::Fail(v1::FailRequest {
            session: session(),
            item_id: held.item.to_string(),
            token: held.token,
            error: "a proof says so".to_owned(),
            permanent: *permanent,
            checkpoint: checkpoint.as_deref().map(str::to_owned),
            ..Default::default()
        }),
        Asked::Release { held, checkpoint } => ask::Request::Release(v1::ReleaseRequest {
            session: session(),
            item_id: held.item.to_string(),
            token: held.token,
            checkpoint: checkpoint.as_deref().map(str::to_owned),
            ..Default::default()
        }),
    }
}

fn acquire(client: u32, wish: &Wish) -> v1::AcquireRequest {
    v1::AcquireRequest {
        sessions: vec![SESSION.to_owned()],
        worker_id: worker_id(client),
        kinds: wish.kind.iter().map(|kind| (*kind).to_owned()).collect(),
        max: wish.max,
        lease_ms: Some(wish.lease_ms),
        idempotency_key: wish.key.to_string(),
        wait_ms: wish.wait_ms,
        ..Default::default()
    }
}

fn spec(new: &NewItem) -> v1::ItemSpec {
    let awaited = |item: &crate::history::ItemName| v1::WaitsFor {
        awaited: Some(v1::waits_for::Awaited::ItemId(item.to_string())),
    };
    v1::ItemSpec {
        id: new.id.to_string(),
        kind: new.kind.to_owned(),
        priority: i32::from(new.priority),
        document_count: 10,
        waits_for: new.waits_for.iter().map(awaited).collect(),
        ..Default::default()
    }
}

/// What an answer says; an answer of another form than was asked for is none.
pub fn outcome(answer: Option<reply::Answer>) -> Outcome {
    let Some(answer) = answer else { return Outcome::Unknown };
    Outcome::Ok(match answer {
        reply::Answer::Problem(problem) => return refused(&problem.class, &problem.code),
        reply::Answer::Add(added) => {
            Answer::Added(added.results.iter().map(|result| *result == v1::AddResult::Created as i32).collect())
        }
        reply::Answer::Acquire(acquired) => {
            Answer::Leases { leases: acquired.leases.iter().map(granted).collect(), waited_ms: acquired.waited_ms }
        }
        reply::Answer::Renew(renewed) => Answer::Renewed(renewed.lease_ms),
        reply::Answer::Complete(_) => Answer::Completed(vec![]),
        reply::Answer::CompleteAndAcquire(next) => Answer::Completed(next.leases.iter().map(granted).collect()),
        reply::Answer::Fail(_) | reply::Answer::Release(_) => Answer::Returned,
    })
}

/// What a failed call says.
pub fn failure(status: &Status) -> Outcome {
    let told = |key: &str| status.metadata().get(key).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match told(CODE_METADATA) {
        // The server never said that: the connection broke, or the deadline passed.
        "" => Outcome::Unknown,
        code => refused(told(CLASS_METADATA), code),
    }
}

fn refused(class: &str, code: &str) -> Outcome {
    match class {
        // What was asked may or may not have happened.
        "unavailable" | "internal" => Outcome::Unknown,
        _ => Outcome::Refused(Refusal::of_code(code)),
    }
}

fn granted(lease: &v1::Lease) -> Granted {
    let item = lease.item.clone().unwrap_or_default();
    Granted {
        item: item.id.into(),
        kind: item.kind.into(),
        token: lease.token,
        lease_ms: lease.lease_ms,
        attempt: lease.attempt,
        checkpoint: lease.checkpoint.as_deref().map(Into::into),
        progress: lease.progress.map_or(0, |progress| progress.documents),
    }
}
