//! Leases: asking for work, keeping it, ending it. The hot path: one body, one command, one answer.

use super::Answered;
use crate::answer;
use crate::problem::Problem;
use crate::request::{InSession, Json, OnItem, check_batch, idempotency_key};
use crate::router::Api;
use crate::wire::grant::{AcquireAnswer, CompleteAnswer, LeaseAnswer, RenewAnswer, ReturnAnswer};
use crate::wire::lease::{AcquireSpec, CompleteAndAcquireSpec, CompleteSpec, FailSpec, ReleaseSpec, RenewSpec};
use crate::wire::{Named, Object};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use capstan_coordinator::{Failure, Handle};
use capstan_ids::{ItemId, SessionName};
use capstan_work::{Answer, Command};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Asks one session for work.
pub async fn acquire(
    State(api): State<Api>,
    InSession(session): InSession,
    headers: HeaderMap,
    Json(spec): Json<AcquireSpec>,
) -> Answered {
    acquired(&api, spec, Some(session), &headers).await
}

/// Asks several sessions, or any, for work.
pub async fn acquire_anywhere(State(api): State<Api>, headers: HeaderMap, Json(spec): Json<AcquireSpec>) -> Answered {
    acquired(&api, spec, None, &headers).await
}

async fn acquired(api: &Api, spec: AcquireSpec, session: Option<SessionName>, headers: &HeaderMap) -> Answered {
    let (acquire, wait) = spec.lower(session, idempotency_key(headers)?)?;
    let acquiring = api.handle.acquire(acquire, wait);
    let acquired = if wait.is_zero() {
        acquiring.await?
    } else {
        // A stop does not wait for those who wait: dropping the call ends it at the coordinator too.
        tokio::select! {
            acquired = acquiring => acquired?,
            () = api.info.closing.cancelled() => return Err(Failure::Stopped.into()),
        }
    };
    let told = AcquireAnswer::from(acquired).ok_or_else(Problem::internal)?;
    let mut response = answer::json(StatusCode::OK, &told)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Keeps a lease.
pub async fn renew(State(handle): State<Handle>, at: OnItem, Json(spec): Json<RenewSpec>) -> Answered {
    let answer = handle.submit(spec.lower(at.session, at.item)).await?;
    answer::json(StatusCode::OK, &renewed(answer)?)
}

fn renewed(answer: Answer) -> Result<RenewAnswer, Problem> {
    match answer {
        Answer::Renewed { lease, expires, .. } => Ok(RenewAnswer { lease_ms: lease.get(), lease_expires_at: expires }),
        other => Err(answer::unexpected(&other)),
    }
}

/// Ends an item well.
pub async fn complete(State(handle): State<Handle>, at: OnItem, Json(spec): Json<CompleteSpec>) -> Answered {
    check_batch("successors", spec.successors.len())?;
    let answer = handle.submit(Command::Complete(spec.lower(at.session, at.item)?)).await?;
    answer::json(StatusCode::OK, &completed(answer, false)?)
}

/// Ends an item well and asks for the next in the same step.
pub async fn complete_and_acquire(
    State(handle): State<Handle>,
    at: OnItem,
    Json(spec): Json<CompleteAndAcquireSpec>,
) -> Answered {
    check_batch("complete.successors", spec.complete.0.successors.len())?;
    let answer = handle.submit(spec.lower(at.session, at.item)?).await?;
    answer::json(StatusCode::OK, &completed(answer, true)?)
}

fn completed(answer: Answer, with_next: bool) -> Result<CompleteAnswer, Problem> {
    match answer {
        Answer::Completed { item, next } => Ok(CompleteAnswer {
            state: item.state.name(),
            completed_at: item.completed,
            leases: with_next.then(|| next.into_iter().map(LeaseAnswer).collect()),
        }),
        Answer::Done => Ok(CompleteAnswer { state: DELETED, completed_at: None, leases: with_next.then(Vec::new) }),
        other => Err(answer::unexpected(&other)),
    }
}

/// The state that is told of an item that was deleted under its lease: the holder has acknowledged that now.
const DELETED: &str = "deleted";

/// Reports that an attempt failed.
pub async fn fail(State(handle): State<Handle>, at: OnItem, Json(spec): Json<FailSpec>) -> Answered {
    returned(handle.submit(spec.lower(at.session, at.item)).await?)
}

/// Gives a lease back.
pub async fn release(State(handle): State<Handle>, at: OnItem, Json(spec): Json<ReleaseSpec>) -> Answered {
    returned(handle.submit(spec.lower(at.session, at.item)).await?)
}

fn returned(answer: Answer) -> Answered {
    let told = match answer {
        Answer::Returned { item } => ReturnAnswer { state: item.state.name(), attempts: item.attempts },
        Answer::Done => ReturnAnswer { state: DELETED, attempts: 0 },
        other => return Err(answer::unexpected(&other)),
    };
    answer::json(StatusCode::OK, &told)
}

/// Several leases to keep.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewManySpec {
    /// Each by itself: one that is refused does not hold up the others.
    #[schema(value_type = Vec<RenewOneSpec>, max_items = 10000)]
    pub leases: Vec<Object<RenewOneSpec>>,
}

/// One lease of several to keep.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewOneSpec {
    /// The item.
    #[schema(value_type = String)]
    pub id: Named<ItemId>,
    /// What is said of its lease.
    #[schema(value_type = RenewSpec)]
    pub renew: Object<RenewSpec>,
}

/// Several items to end well.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteManySpec {
    /// Each by itself: one that is refused does not hold up the others.
    #[schema(value_type = Vec<CompleteOneSpec>, max_items = 10000)]
    pub items: Vec<Object<CompleteOneSpec>>,
}

/// One item of several to end well.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteOneSpec {
    /// The item.
    #[schema(value_type = String)]
    pub id: Named<ItemId>,
    /// How it ended.
    #[schema(value_type = CompleteSpec)]
    pub complete: Object<CompleteSpec>,
}

/// What became of each of several, in the order they came.
#[derive(Debug, Serialize)]
pub struct EachAnswer<T> {
    /// An answer, or `{"problem": …}`.
    pub results: Vec<OneAnswer<T>>,
}

/// What became of one of several.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum OneAnswer<T> {
    /// It went well.
    Answer(T),
    /// It did not.
    Refused {
        /// Why.
        problem: Problem,
    },
}

/// Keeps several leases of one session.
pub async fn renew_many(
    State(handle): State<Handle>,
    InSession(session): InSession,
    Json(spec): Json<RenewManySpec>,
) -> Answered {
    check_batch("leases", spec.leases.len())?;
    let commands = spec.leases.into_iter().map(|one| one.0.renew.0.lower(session.clone(), one.0.id.0)).collect();
    each(&handle, commands, renewed).await
}

/// Ends several items of one session well.
pub async fn complete_many(
    State(handle): State<Handle>,
    InSession(session): InSession,
    Json(spec): Json<CompleteManySpec>,
) -> Answered {
    check_batch("items", spec.items.len())?;
    check_batch("successors", spec.items.iter().map(|one| one.0.complete.0.successors.len()).sum())?;
    let commands = spec
        .items
        .into_iter()
        .map(|one| Ok(Command::Complete(one.0.complete.0.lower(session.clone(), one.0.id.0)?)))
        .collect::<Result<_, Problem>>()?;
    each(&handle, commands, |answer| completed(answer, false)).await
}

/// Submits commands that share one flush, and answers for each.
async fn each<T: Serialize>(
    handle: &Handle,
    commands: Vec<Command>,
    told: impl Fn(Answer) -> Result<T, Problem>,
) -> Answered {
    let outcomes = if commands.is_empty() { Vec::new() } else { handle.submit_many(commands).await? };
    let one = |outcome: capstan_coordinator::Outcome| match outcome.map_err(Problem::from).and_then(&told) {
        Ok(answer) => OneAnswer::Answer(answer),
        Err(problem) => OneAnswer::Refused { problem },
    };
    answer::json(StatusCode::OK, &EachAnswer { results: outcomes.into_iter().map(one).collect() })
}
