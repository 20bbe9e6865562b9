//! A server in another process, asked by one gRPC call at a time.

use super::{Desk, Door, SESSION, client_of, wire};
use crate::history::{Asked, EndItem, Ending, Outcome, Rules, State};
use anyhow::{Context, Result};
use capstan_proto::v1::work_client::WorkClient;
use capstan_proto::v1::{
    Backoff, CreateSessionRequest, Item, ItemState, Limit, ListItemsRequest, OnExhausted, Policy, SessionStatus,
    SessionStatusRequest, ask, reply,
};
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};

/// A call is given up after so long.
const PATIENCE: Duration = Duration::from_secs(3);

/// A connection that is made again by itself.
#[derive(Clone, Debug)]
pub struct Grpc {
    work: WorkClient<Channel>,
}

/// The endpoint of a server at `HOST:PORT`.
pub fn endpoint(address: &str) -> Result<Endpoint> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).context("the server's address")?;
    // A server that was killed is found out by the next call, a stopped one by the deadline of the call.
    Ok(endpoint.connect_timeout(Duration::from_secs(1)).tcp_nodelay(true))
}

impl Grpc {
    /// A connection to the server at `HOST:PORT`, made when it is first needed.
    pub fn to(address: &str) -> Result<Self> {
        let work = WorkClient::new(endpoint(address)?.connect_lazy());
        Ok(Self { work: work.max_decoding_message_size(capstan_proto::MESSAGE_BYTES_MAX) })
    }

    /// The client itself.
    pub fn client(&mut self) -> &mut WorkClient<Channel> {
        &mut self.work
    }

    async fn call(&mut self, request: ask::Request) -> Result<reply::Answer, tonic::Status> {
        let work = &mut self.work;
        Ok(match request {
            ask::Request::Add(request) => reply::Answer::Add(work.add_items(request).await?.into_inner()),
            ask::Request::Acquire(request) => reply::Answer::Acquire(work.acquire(request).await?.into_inner()),
            ask::Request::Renew(request) => reply::Answer::Renew(work.renew(request).await?.into_inner()),
            ask::Request::Complete(request) => reply::Answer::Complete(work.complete(request).await?.into_inner()),
            ask::Request::CompleteAndAcquire(request) => {
                reply::Answer::CompleteAndAcquire(work.complete_and_acquire(request).await?.into_inner())
            }
            ask::Request::Fail(request) => reply::Answer::Fail(work.fail(request).await?.into_inner()),
            ask::Request::Release(request) => reply::Answer::Release(work.release(request).await?.into_inner()),
        })
    }

    async fn status(&mut self) -> Result<SessionStatus> {
        let request = SessionStatusRequest { session: SESSION.to_owned() };
        let status = self.work.session_status(request).await?.into_inner().status;
        status.context("the status is missing")
    }
}

impl Door for Grpc {
    const FRAME_MAX: usize = 1;

    async fn ask(&mut self, client: u32, asks: &[Asked]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(asks.len());
        for asked in asks {
            let call = self.call(wire::request(client, asked));
            outcomes.push(match tokio::time::timeout(PATIENCE, call).await {
                Ok(Ok(answer)) => wire::outcome(Some(answer)),
                Ok(Err(status)) => wire::failure(&status),
                Err(_) => Outcome::Unknown,
            });
        }
        outcomes
    }
}

impl Desk for Grpc {
    async fn open(&mut self, rules: &Rules) -> Result<()> {
        let limit = |(kind, most): &(&str, usize)| Limit { name: (*kind).to_owned(), value: *most as u32 };
        let policy = Policy {
            lease_ms: Some(1_000),
            attempts: Some(rules.attempts),
            backoff: Some(Backoff { initial_ms: 20, cap_ms: 200 }),
            on_exhausted: OnExhausted::Skip as i32,
            limits: rules.limits.iter().map(limit).collect(),
            keep_all_completed: true,
            ..Default::default()
        };
        let session = SESSION.to_owned();
        self.work.create_session(CreateSessionRequest { session, policy: Some(policy), ..Default::default() }).await?;
        Ok(())
    }

    async fn unfinished(&mut self) -> Result<u64> {
        let status = self.status().await?;
        Ok(status.pending + status.assigned + status.waiting)
    }

    async fn ending(&mut self) -> Result<Ending> {
        let mut ending = Ending::default();
        let mut cursor = String::new();
        loop {
            let request =
                ListItemsRequest { session: SESSION.to_owned(), page_size: 1_000, cursor, ..Default::default() };
            let page = self.work.list_items(request).await?.into_inner();
            ending.items.extend(page.items.into_iter().map(end_item));
            if page.next_cursor.is_empty() {
                break;
            }
            cursor = page.next_cursor;
        }
        let status = self.status().await?;
        ending.total = status.total;
        ending.counted = vec![
            (State::Pending, status.pending),
            (State::Assigned, status.assigned),
            (State::Completed, status.completed),
            (State::Failed, status.failed),
            (State::Waiting, status.waiting),
            (State::Blocked, status.blocked),
            (State::Cancelled, status.cancelled),
        ];
        Ok(ending)
    }
}

fn end_item(item: Item) -> EndItem {
    let state = match item.state() {
        ItemState::Unspecified | ItemState::Waiting => State::Waiting,
        ItemState::Blocked => State::Blocked,
        ItemState::Pending => State::Pending,
        ItemState::Assigned => State::Assigned,
        ItemState::Completed => State::Completed,
        ItemState::Failed => State::Failed,
        ItemState::Cancelled | ItemState::Deleted => State::Cancelled,
    };
    EndItem {
        state,
        attempts: item.attempts,
        checkpoint: item.checkpoint.map(Into::into),
        worker: item.worker_id.as_deref().and_then(client_of),
        id: item.spec.unwrap_or_default().id.into(),
    }
}
