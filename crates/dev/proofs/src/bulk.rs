//! Very many items, in and out again, as fast as one process asks.

use crate::door::SESSION;
use anyhow::{Context, Result, ensure};
use capstan_proto::v1::work_client::WorkClient;
use capstan_proto::v1::{
    AcquireRequest, AddItemsRequest, Ask, CompleteRequest, CreateSessionRequest, ExchangeRequest, ItemSpec, Policy,
    ask, reply,
};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

/// Items of one frame.
const FRAME: u64 = 10_000;
/// Leases of one request while draining.
const LEASES: u32 = 1_000;
/// A lease that outlives any stall of the machine.
const LEASE_MS: u64 = 120_000;

/// Opens the session that bulk work is done in.
pub async fn open(work: &mut WorkClient<Channel>) -> Result<()> {
    // Completed items are let go, as a queue's are.
    let policy = Policy { keep_completed: Some(1_000), ..Default::default() };
    let session = SESSION.to_owned();
    work.create_session(CreateSessionRequest { session, policy: Some(policy), ..Default::default() }).await?;
    Ok(())
}

/// Item number `number` of a series, with a payload of 128 bytes.
pub fn item(series: &str, number: u64, priority: i32) -> ItemSpec {
    let mut payload = format!("{{\"number\":{number},\"filler\":\"");
    payload.extend(std::iter::repeat_n('x', 126 - payload.len()));
    payload.push_str("\"}");
    ItemSpec { id: format!("{series}/{number}"), priority, payload: Some(payload), ..Default::default() }
}

/// Adds a series of items on one stream of large frames.
pub async fn add(work: &mut WorkClient<Channel>, series: &'static str, items: u64) -> Result<Duration> {
    let began = Instant::now();
    let (frames, receiver) = mpsc::channel(2);
    let producer = tokio::spawn(async move {
        for first in (0..items).step_by(FRAME as usize) {
            let numbers = first..(first + FRAME).min(items);
            let items = numbers.map(|number| item(series, number, 0)).collect();
            let frame = AddItemsRequest { session: SESSION.to_owned(), items, ..Default::default() };
            // A server that takes no more says so in its answer.
            if frames.send(frame).await.is_err() {
                return;
            }
        }
    });
    let added = work.add_items_stream(ReceiverStream::new(receiver)).await?.into_inner();
    producer.await?;
    ensure!(added.created == items, "{} of {items} items were made", added.created);
    Ok(began.elapsed())
}

/// A request for work as worker `worker`.
pub fn wish(worker: u32, max: u32) -> AcquireRequest {
    AcquireRequest {
        sessions: vec![SESSION.to_owned()],
        worker_id: format!("worker-{worker}"),
        max,
        lease_ms: Some(LEASE_MS),
        ..Default::default()
    }
}

/// Completes `items` items through so many workers, each on a stream of its own.
pub async fn drain(work: &WorkClient<Channel>, items: u64, workers: u32) -> Result<Duration> {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for worker in 0..workers {
        let share = items / u64::from(workers) + u64::from(u64::from(worker) < items % u64::from(workers));
        tasks.spawn(drain_share(work.clone(), worker, share));
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(began.elapsed())
}

async fn drain_share(mut work: WorkClient<Channel>, worker: u32, mut share: u64) -> Result<()> {
    let (frames, receiver) = mpsc::channel(4);
    let opening = work.exchange(ReceiverStream::new(receiver));
    let mut answers = opening.await?.into_inner();
    while share > 0 {
        let wanted = u64::from(LEASES).min(share) as u32;
        let request = Some(ask::Request::Acquire(wish(worker, wanted)));
        frames.send(ExchangeRequest { asks: vec![Ask { sequence: 0, request }] }).await?;
        let mut leases = Vec::new();
        for reply in answers.message().await?.context("the stream ended")?.replies {
            match reply.answer {
                Some(reply::Answer::Acquire(acquired)) => leases.extend(acquired.leases),
                other => anyhow::bail!("asked for work, answered {other:?}"),
            }
        }
        ensure!(!leases.is_empty(), "{share} items of worker {worker}'s share are not to be had");
        let asks = leases.iter().map(|lease| {
            let item_id = lease.item.as_ref().map(|item| item.id.clone()).unwrap_or_default();
            let session = SESSION.to_owned();
            let complete = CompleteRequest { session, item_id, token: lease.token, ..Default::default() };
            Ask { sequence: 1, request: Some(ask::Request::Complete(complete)) }
        });
        frames.send(ExchangeRequest { asks: asks.collect() }).await?;
        let mut left = leases.len();
        while left > 0 {
            for reply in answers.message().await?.context("the stream ended")?.replies {
                ensure!(matches!(reply.answer, Some(reply::Answer::Complete(_))), "not completed: {:?}", reply.answer);
                left -= 1;
            }
        }
        share -= leases.len() as u64;
    }
    Ok(())
}
