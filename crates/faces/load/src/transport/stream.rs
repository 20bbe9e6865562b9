//! One exchange stream: a frame of answers is answered by a frame of new requests.

use super::grpc::{BULK, completion, renewal};
use crate::case::Case;
use crate::measure::{Tally, Window};
use crate::run::{Ground, LoadError, Plan, RENEWED, connect};
use capstan_proto::v1::work_client::WorkClient;
use capstan_proto::v1::{
    AcquireRequest, AddItemsRequest, Ask, CompleteAndAcquireRequest, ExchangeRequest, Lease, Reply, ask, reply,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Asks of one frame, so that no frame outgrows what the server takes.
const FRAME: usize = 1_024;
/// The last answers may take so long after the window.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn run(plan: &Plan, case: Case, ground: &Arc<Ground>, window: Window) -> Result<Tally, LoadError> {
    let failed = |error: String| LoadError::Failed { case: case.name(), transport: "stream", error };
    let mut work =
        WorkClient::new(connect(&plan.server).await?).max_decoding_message_size(capstan_proto::MESSAGE_BYTES_MAX);
    let (frames, receiver) = mpsc::channel(64);
    let answers = work.exchange(ReceiverStream::new(receiver));
    let mut loops = Loops::new(plan, case, ground, window);
    loops.send((0..loops.slots.len()).collect(), &frames).await;
    let mut answers = answers.await.map_err(|status| failed(status.to_string()))?.into_inner();
    while loops.outstanding > 0 {
        let frame = tokio::time::timeout(PATIENCE, answers.message())
            .await
            .map_err(|_| failed("no answer within 10 s".into()))?;
        let Some(frame) = frame.map_err(|status| failed(status.to_string()))? else { break };
        let free = frame.replies.into_iter().filter_map(|reply| loops.take(reply)).collect();
        loops.send(free, &frames).await;
    }
    Ok(loops.tally)
}

/// Requests outstanding, each in a slot whose number is its sequence number.
struct Loops {
    case: Case,
    ground: Arc<Ground>,
    window: Window,
    tally: Tally,
    slots: Vec<Slot>,
    outstanding: usize,
    batch: u32,
}

struct Slot {
    began: Instant,
    /// Requests of it that are not answered.
    waiting: usize,
    held: Vec<Lease>,
    /// When the first request of a job was sent, where a job takes two.
    job_began: Instant,
}

impl Loops {
    fn new(plan: &Plan, case: Case, ground: &Arc<Ground>, window: Window) -> Self {
        // Bulk and batches carry many items a request: a few of those are enough.
        let slots = match case {
            Case::Bulk => plan.clients.min(4),
            Case::Batch50 => plan.clients,
            Case::Renew => plan.clients.min(16),
            _ => plan.in_flight,
        };
        let now = Instant::now();
        let batch = match case {
            Case::Batch50 => 50,
            Case::Renew => (RENEWED as usize / slots).min(1_000) as u32,
            _ => 1,
        };
        Self {
            case,
            ground: Arc::clone(ground),
            window,
            tally: Tally::new(window),
            slots: (0..slots).map(|_| Slot { began: now, waiting: 0, held: Vec::new(), job_began: now }).collect(),
            outstanding: 0,
            batch,
        }
    }

    async fn send(&mut self, slots: Vec<usize>, frames: &mpsc::Sender<ExchangeRequest>) {
        if self.window.is_over() || self.tally.errors > 1_000 {
            return;
        }
        let mut asks = Vec::with_capacity(slots.len());
        for slot in slots {
            self.ask(slot, &mut asks);
        }
        while !asks.is_empty() {
            let rest = asks.split_off(asks.len().min(FRAME));
            let frame = ExchangeRequest { asks: std::mem::replace(&mut asks, rest) };
            // A closed stream is told by its answers.
            if frames.send(frame).await.is_err() {
                return;
            }
        }
    }

    fn ask(&mut self, number: usize, asks: &mut Vec<Ask>) {
        let now = Instant::now();
        let ground = Arc::clone(&self.ground);
        let acquire = AcquireRequest {
            sessions: vec![ground.session.clone()],
            worker_id: format!("bench-{number}"),
            max: self.batch,
            ..Default::default()
        };
        let add = |items: usize| {
            let items = (0..items).map(|_| ground.item()).collect();
            ask::Request::Add(AddItemsRequest { session: ground.session.clone(), items, ..Default::default() })
        };
        let slot = &mut self.slots[number];
        slot.began = now;
        let before = asks.len();
        let mut push = |request| asks.push(Ask { sequence: number as u64, request: Some(request) });
        match self.case {
            Case::Enqueue => push(add(1)),
            Case::Bulk => push(add(BULK)),
            _ if slot.held.is_empty() => {
                slot.job_began = now;
                push(ask::Request::Acquire(acquire));
            }
            Case::AcquireComplete => push(ask::Request::Complete(completion(&slot.held[0]))),
            Case::CompleteAndAcquire => {
                let complete = completion(&slot.held[0]);
                push(ask::Request::CompleteAndAcquire(CompleteAndAcquireRequest {
                    complete: Some(complete),
                    next: Some(acquire),
                }));
            }
            Case::Batch50 => slot.held.iter().for_each(|lease| push(ask::Request::Complete(completion(lease)))),
            Case::Renew => slot.held.iter_mut().for_each(|lease| push(ask::Request::Renew(renewal(lease)))),
            Case::Handover => {}
        }
        slot.waiting = asks.len() - before;
        self.outstanding += slot.waiting;
    }

    /// Takes an answer in; the slot it frees, if it was the last one the slot waited for.
    fn take(&mut self, reply: Reply) -> Option<usize> {
        self.outstanding -= 1;
        let number = usize::try_from(reply.sequence).ok().filter(|number| *number < self.slots.len())?;
        let slot = &mut self.slots[number];
        slot.waiting -= 1;
        let is_last = slot.waiting == 0;
        match reply.answer {
            Some(reply::Answer::Add(added)) => self.tally.count(slot.began, added.results.len() as u64),
            Some(reply::Answer::Acquire(acquired)) if acquired.leases.is_empty() => {
                self.tally.fail(&"the prepared items ran out: measure for fewer seconds");
                return None;
            }
            Some(reply::Answer::Acquire(acquired)) => slot.held = acquired.leases,
            Some(reply::Answer::Complete(_)) => {
                self.tally.count(slot.job_began, 1);
                if is_last {
                    slot.held.clear();
                }
            }
            Some(reply::Answer::CompleteAndAcquire(next)) => {
                slot.held = next.leases;
                self.tally.count(slot.began, 1);
            }
            Some(reply::Answer::Renew(_)) => self.tally.count(slot.began, 1),
            Some(reply::Answer::Problem(problem)) => self.tally.fail(&problem.message),
            Some(reply::Answer::Fail(_) | reply::Answer::Release(_)) | None => {}
        }
        is_last.then_some(number)
    }
}
