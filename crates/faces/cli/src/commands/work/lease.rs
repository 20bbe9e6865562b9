//! Leases.

use crate::context::Context;
use crate::failure::Failure;
use crate::input::{self, Items};
use crate::render;
use capstan_client::v1::{ask::Request, reply::Answer};
use capstan_client::{Acquire, Client, v1};
use clap::Args;
use serde_json::json;
use std::time::Duration;

/// Successors of one completion.
const SUCCESSORS: usize = 10_000;

/// What work, and for whom.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  capstan work acquire shop --worker alice --wait 20s
  capstan work acquire --worker alice --kind dump --max 10 --output json
  while lease=$(capstan work acquire shop --worker alice -o json); do …; done")]
pub struct AcquireOptions {
    /// Sessions it may be from; none means any
    sessions: Vec<String>,
    /// Who asks; one name for a process and its life
    #[arg(long, env = "CAPSTAN_WORKER", hide_env_values = true, value_name = "ID")]
    worker: String,
    /// A kind it can do; repeat for more, none means any
    #[arg(long = "kind")]
    kinds: Vec<String>,
    /// One specific item, which needs exactly one session
    #[arg(long, value_name = "ID")]
    item: Option<String>,
    /// At most so many leases, 1 to 1000
    #[arg(long, default_value_t = 1, value_name = "N")]
    max: u32,
    /// A wished length; the session's bounds hold
    #[arg(long, value_parser = input::duration, value_name = "TIME")]
    lease: Option<Duration>,
    /// How long to wait where there is none, at most 60s
    #[arg(long, value_parser = input::duration, value_name = "TIME")]
    wait: Option<Duration>,
    /// A repeat under the same key is handed the same leases
    #[arg(long)]
    key: Option<String>,
}

/// Which lease.
#[derive(Args, Debug)]
pub struct Held {
    /// The session
    session: String,
    /// The item
    item: String,
    /// The lease's token, as acquire printed it
    #[arg(long)]
    token: u64,
}

/// How far the work has got.
#[derive(Args, Debug)]
struct Reached {
    /// Documents done in all
    #[arg(long, value_name = "N", requires = "bytes")]
    documents: Option<u64>,
    /// Bytes done in all
    #[arg(long, value_name = "N", requires = "documents")]
    bytes: Option<u64>,
    /// Where to go on from
    #[arg(long, value_name = "TEXT")]
    checkpoint: Option<String>,
}

impl Reached {
    fn progress(&self) -> Option<v1::Progress> {
        Some(v1::Progress { documents: self.documents?, bytes: self.bytes? })
    }
}

/// A renewal.
#[derive(Args, Debug)]
pub struct RenewOptions {
    #[command(flatten)]
    held: Held,
    #[command(flatten)]
    reached: Reached,
    /// A wished length; the session's bounds hold
    #[arg(long, value_parser = input::duration, value_name = "TIME")]
    lease: Option<Duration>,
}

/// A completion.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  capstan work complete shop orders/0 --token 41 --result '{\"documents\":1000}'
  capstan work complete shop orders/0 --token 41 --documents 400 --bytes 90000 --successors rest.jsonl
  capstan work complete shop orders/0 --token 41 --next alice --output json")]
pub struct CompleteOptions {
    #[command(flatten)]
    held: Held,
    /// What came of it, as JSON
    #[arg(long, value_parser = input::json, value_name = "JSON")]
    result: Option<String>,
    /// Documents that this item itself did, where that differs from what was expected
    #[arg(long, value_name = "N", requires = "bytes")]
    documents: Option<u64>,
    /// Bytes that this item itself did
    #[arg(long, value_name = "N", requires = "documents")]
    bytes: Option<u64>,
    /// What is left, as items in a file, or on stdin where it is -
    #[arg(long, value_name = "FILE")]
    successors: Option<String>,
    /// Ask for the next item of the session in the same step, for this worker
    #[arg(long, value_name = "WORKER")]
    next: Option<String>,
}

/// A failed attempt.
#[derive(Args, Debug)]
pub struct FailOptions {
    #[command(flatten)]
    held: Held,
    /// What went wrong, for people
    #[arg(long, value_name = "TEXT")]
    error: String,
    /// Trying again is of no use
    #[arg(long)]
    permanent: bool,
    /// The least time before the next attempt
    #[arg(long, value_parser = input::duration, value_name = "TIME")]
    retry_after: Option<Duration>,
    /// Where to go on from
    #[arg(long, value_name = "TEXT")]
    checkpoint: Option<String>,
}

/// A lease given back.
#[derive(Args, Debug)]
pub struct ReleaseOptions {
    #[command(flatten)]
    held: Held,
    #[command(flatten)]
    reached: Reached,
}

/// Asks for work and prints it.
pub async fn acquire(options: AcquireOptions, client: &Client, context: &Context) -> Result<(), Failure> {
    let mut wish = Acquire::by(options.worker).up_to(options.max);
    wish = options.sessions.into_iter().fold(wish, Acquire::from);
    wish = options.kinds.into_iter().fold(wish, Acquire::kind);
    wish = options.item.into_iter().fold(wish, Acquire::item);
    wish = options.lease.into_iter().fold(wish, Acquire::lease);
    wish = options.wait.into_iter().fold(wish, Acquire::wait);
    wish = options.key.into_iter().fold(wish, Acquire::key);
    let acquired = client.acquire(&wish).await?;
    if acquired.leases.is_empty() {
        if context.out.is_data() {
            context.out.show(|| render::acquired(&acquired), || unreachable!("it is JSON"))?;
        }
        return Err(Failure::Nothing(render::nothing(acquired.nothing.as_ref())));
    }
    let told: Vec<_> = acquired.leases.iter().map(|held| held.told().clone()).collect();
    context.out.show(|| render::acquired(&acquired), || render::leases(&told))
}

/// Keeps a lease.
pub async fn renew(options: RenewOptions, client: &Client, context: &Context) -> Result<(), Failure> {
    let request = v1::RenewRequest {
        progress: options.reached.progress(),
        checkpoint: options.reached.checkpoint,
        lease_ms: options.lease.map(|length| length.as_millis() as u64),
        session: options.held.session,
        item_id: options.held.item.clone(),
        token: options.held.token,
        worker_id: String::new(),
    };
    let Answer::Renew(renewed) = client.ask(Request::Renew(request)).await? else { return Err(odd()) };
    let expires = renewed.lease_expires_at.as_ref().map(render::text);
    context.out.stream(
        || json!({ "id": options.held.item, "lease_ms": renewed.lease_ms, "lease_expires_at": expires }),
        || format!("item {}: {} ms more", options.held.item, renewed.lease_ms),
    )
}

/// Ends an item well, and asks for the next where that is wished.
pub async fn complete(options: CompleteOptions, client: &Client, context: &Context) -> Result<(), Failure> {
    let successors = match &options.successors {
        None => Vec::new(),
        Some(file) => Items::open(file)?.batch(SUCCESSORS + 1)?,
    };
    if successors.len() > SUCCESSORS {
        return Err(Failure::Usage(format!("an item has at most {SUCCESSORS} successors")));
    }
    let done = options.documents.zip(options.bytes).map(|(documents, bytes)| v1::Progress { documents, bytes });
    let complete = v1::CompleteRequest {
        session: options.held.session.clone(),
        item_id: options.held.item.clone(),
        token: options.held.token,
        worker_id: String::new(),
        result: options.result,
        done,
        successors,
    };
    let Some(worker_id) = options.next else {
        let Answer::Complete(completed) = client.ask(Request::Complete(complete)).await? else { return Err(odd()) };
        let at = completed.completed_at.as_ref().map(render::text);
        return context.out.stream(
            || json!({ "id": options.held.item, "state": "completed", "completed_at": at }),
            || format!("item {}: completed", options.held.item),
        );
    };
    let next = v1::AcquireRequest { sessions: vec![options.held.session], worker_id, max: 1, ..Default::default() };
    let request = v1::CompleteAndAcquireRequest { complete: Some(complete), next: Some(next) };
    let Answer::CompleteAndAcquire(answer) = client.ask(Request::CompleteAndAcquire(request)).await? else {
        return Err(odd());
    };
    let at = answer.completed_at.as_ref().map(render::text);
    context.out.show(
        || json!({ "id": options.held.item, "state": "completed", "completed_at": at, "leases": render::told(&answer.leases) }),
        || render::leases(&answer.leases),
    )
}

/// Reports that an attempt failed.
pub async fn fail(options: FailOptions, client: &Client, context: &Context) -> Result<(), Failure> {
    let request = v1::FailRequest {
        session: options.held.session,
        item_id: options.held.item.clone(),
        token: options.held.token,
        worker_id: String::new(),
        error: options.error,
        permanent: options.permanent,
        retry_after_ms: options.retry_after.map(|length| length.as_millis() as u64),
        checkpoint: options.checkpoint,
    };
    let Answer::Fail(failed) = client.ask(Request::Fail(request)).await? else { return Err(odd()) };
    let state = render::state_name(failed.state());
    context.out.stream(
        || json!({ "id": options.held.item, "state": state, "attempts": failed.attempts }),
        || format!("item {}: {state} after {} attempts", options.held.item, failed.attempts),
    )
}

/// Gives a lease back.
pub async fn release(options: ReleaseOptions, client: &Client, context: &Context) -> Result<(), Failure> {
    let request = v1::ReleaseRequest {
        progress: options.reached.progress(),
        checkpoint: options.reached.checkpoint,
        session: options.held.session,
        item_id: options.held.item.clone(),
        token: options.held.token,
        worker_id: String::new(),
    };
    let Answer::Release(released) = client.ask(Request::Release(request)).await? else { return Err(odd()) };
    let state = render::state_name(released.state());
    context.out.stream(
        || json!({ "id": options.held.item, "state": state }),
        || format!("item {}: {state}", options.held.item),
    )
}

fn odd() -> Failure {
    Failure::Failed(anyhow::anyhow!("the server answered something else than was asked; it may be of another version"))
}
