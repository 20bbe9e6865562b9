//! Unary gRPC: a task a client on two shared channels.

use super::handover;
use crate::case::Case;
use crate::measure::{Tally, Window};
use crate::run::{Ground, LoadError, Plan, RENEWED, connect};
use capstan_proto::v1::work_client::WorkClient;
use capstan_proto::v1::{
    AcquireRequest, AddItemsRequest, CompleteAndAcquireRequest, CompleteRequest, Lease, Progress, RenewManyRequest,
    RenewRequest, renew_outcome,
};
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;
use tonic::Status;
use tonic::transport::Channel;

/// More connections than cores only cost.
const CHANNELS: usize = 2;
/// Items of one bulk request.
pub(super) const BULK: usize = 10_000;

pub(crate) async fn run(plan: &Plan, case: Case, ground: &Arc<Ground>, window: Window) -> Result<Tally, LoadError> {
    if case == Case::Handover {
        return handover::run(plan, ground, window).await;
    }
    let mut channels = Vec::new();
    for _ in 0..CHANNELS.min(plan.clients) {
        channels.push(connect(&plan.server).await?);
    }
    let mut clients = JoinSet::new();
    for number in 0..plan.clients {
        let work = WorkClient::new(channels[number % channels.len()].clone())
            .max_decoding_message_size(capstan_proto::MESSAGE_BYTES_MAX);
        let client = Client {
            work,
            ground: Arc::clone(ground),
            worker: format!("bench-{number}"),
            held: Vec::new(),
            share: RENEWED / plan.clients as u64,
        };
        clients.spawn(client.run(case, window));
    }
    let mut total = Tally::new(window);
    while let Some(tally) = clients.join_next().await {
        total.add(tally.expect("clients do not panic"));
    }
    Ok(total)
}

struct Client {
    work: WorkClient<Channel>,
    ground: Arc<Ground>,
    worker: String,
    held: Vec<Lease>,
    share: u64,
}

impl Client {
    async fn run(mut self, case: Case, window: Window) -> Tally {
        let mut tally = Tally::new(window);
        while !window.is_over() {
            let began = Instant::now();
            match self.step(case).await {
                Ok(done) => tally.count(began, done),
                Err(status) => {
                    tally.fail(&status);
                    if tally.errors > 100 {
                        break;
                    }
                }
            }
        }
        tally
    }

    async fn step(&mut self, case: Case) -> Result<u64, Status> {
        match case {
            Case::Enqueue => self.add(1).await,
            Case::Bulk => self.add(BULK).await,
            Case::AcquireComplete => {
                let lease = self.acquire(1).await?.pop().ok_or_else(ran_dry)?;
                self.work.complete(completion(&lease)).await?;
                Ok(1)
            }
            Case::CompleteAndAcquire => {
                if self.held.is_empty() {
                    self.held = self.acquire(1).await?;
                }
                let lease = self.held.pop().ok_or_else(ran_dry)?;
                let request =
                    CompleteAndAcquireRequest { complete: Some(completion(&lease)), next: Some(self.request(1)) };
                self.held = self.work.complete_and_acquire(request).await?.into_inner().leases;
                Ok(1)
            }
            Case::Renew => self.renew().await,
            Case::Batch50 | Case::Handover => Err(Status::unimplemented("not a unary case")),
        }
    }

    async fn add(&mut self, items: usize) -> Result<u64, Status> {
        let items = (0..items).map(|_| self.ground.item()).collect::<Vec<_>>();
        let count = items.len() as u64;
        self.work
            .add_items(AddItemsRequest { session: self.ground.session.clone(), items, ..Default::default() })
            .await?;
        Ok(count)
    }

    async fn acquire(&mut self, max: u32) -> Result<Vec<Lease>, Status> {
        Ok(self.work.acquire(self.request(max)).await?.into_inner().leases)
    }

    fn request(&self, max: u32) -> AcquireRequest {
        AcquireRequest {
            sessions: vec![self.ground.session.clone()],
            worker_id: self.worker.clone(),
            max,
            ..Default::default()
        }
    }

    async fn renew(&mut self) -> Result<u64, Status> {
        while (self.held.len() as u64) < self.share {
            let more = self.acquire((self.share as usize - self.held.len()).min(1_000) as u32).await?;
            if more.is_empty() {
                return Err(ran_dry());
            }
            self.held.extend(more);
        }
        let mut renewed = 0;
        for leases in self.held.chunks_mut(1_000) {
            let renewals = leases.iter_mut().map(renewal).collect();
            let outcomes = self.work.renew_many(RenewManyRequest { renewals }).await?.into_inner().outcomes;
            renewed += outcomes
                .iter()
                .filter(|outcome| matches!(outcome.outcome, Some(renew_outcome::Outcome::Renewed(_))))
                .count() as u64;
        }
        Ok(renewed)
    }
}

pub(super) fn completion(lease: &Lease) -> CompleteRequest {
    let item_id = lease.item.as_ref().map(|item| item.id.clone()).unwrap_or_default();
    CompleteRequest { session: lease.session.clone(), item_id, token: lease.token, ..Default::default() }
}

/// A renewal that has got one document further.
pub(super) fn renewal(lease: &mut Lease) -> RenewRequest {
    let progress = lease.progress.get_or_insert_with(Progress::default);
    progress.documents += 1;
    RenewRequest {
        session: lease.session.clone(),
        item_id: lease.item.as_ref().map(|item| item.id.clone()).unwrap_or_default(),
        token: lease.token,
        progress: Some(*progress),
        ..Default::default()
    }
}

fn ran_dry() -> Status {
    Status::failed_precondition("the prepared items ran out: measure for fewer seconds")
}
