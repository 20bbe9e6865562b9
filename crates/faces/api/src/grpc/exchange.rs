//! The exchange: many requests in a frame, one hop to the coordinator and one flush for all of them.
//!
//! What waits for work leaves its frame and is answered in its own time; everything else of a frame is one submission,
//! answered in one frame. Frames are decided in the order they come. A client that reads its answers slower than it asks is not read
//! from any more once enough of its asks are under way: nothing piles up here.

mod frame;

use self::frame::{Frame, Waiting};
use super::calls::Calls;
use super::status::{status, told};
use crate::codes;
use crate::problem::Problem;
use capstan_coordinator::{Failure, Handle, Outcome};
use capstan_proto::v1::{self, reply::Answer};
use capstan_proto::{EXCHANGE_ASKS_MAX, EXCHANGE_IN_FLIGHT_MAX};
use capstan_work::Command;
use futures::FutureExt;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::TaskTracker;
use tonic::{Status, Streaming};

/// Frames of answers that wait to be written.
const ANSWERS_AHEAD: usize = 64;

/// What goes back on the stream.
pub type Answers = mpsc::Receiver<Result<v1::ExchangeResponse, Status>>;

/// One client's stream.
struct Exchange {
    calls: Calls,
    tasks: TaskTracker,
    answers: mpsc::Sender<Result<v1::ExchangeResponse, Status>>,
    room: Arc<Semaphore>,
}

/// Answers a client's frames until it ends the stream or goes away.
pub fn begin(calls: Calls, tasks: &TaskTracker, frames: Streaming<v1::ExchangeRequest>) -> Answers {
    let (answers, receiver) = mpsc::channel(ANSWERS_AHEAD);
    let room = Arc::new(Semaphore::new(EXCHANGE_IN_FLIGHT_MAX));
    let exchange = Exchange { calls, tasks: tasks.clone(), answers, room };
    tasks.spawn(async move {
        if let Err(last_word) = exchange.take_all(frames).await {
            // If the client has gone there is nobody to tell.
            let _ = exchange.answers.send(Err(last_word)).await;
        }
    });
    receiver
}

impl Exchange {
    async fn take_all(&self, mut frames: Streaming<v1::ExchangeRequest>) -> Result<(), Status> {
        loop {
            let frame = tokio::select! {
                frame = frames.message() => frame?,
                () = self.calls.closing.cancelled() => return Err(status(Failure::Stopped)),
                () = self.answers.closed() => return Ok(()),
            };
            let Some(v1::ExchangeRequest { asks }) = frame else { return Ok(()) };
            if asks.len() > EXCHANGE_ASKS_MAX {
                let detail =
                    format!("a frame holds {} asks, the limit is {EXCHANGE_ASKS_MAX}; send several frames", asks.len());
                return Err(status(Problem::new(&codes::REQUEST_TOO_LARGE, detail)));
            }
            let mut room = self.room(asks.len()).await;
            let mut frame = Frame::read(asks);
            for waiting in frame.take_waiting() {
                let its_own = room.split(1).expect("there is a permit for each ask of the frame");
                self.tasks.spawn(wait(self.calls.clone(), self.answers.clone(), waiting, its_own));
            }
            // One look at it puts the commands into the coordinator's queue: frames are decided in the order they came.
            let mut decided = Box::pin(decide(self.calls.handle.clone(), frame.take_commands()));
            let at_once = decided.as_mut().now_or_never();
            self.tasks.spawn(answer(self.answers.clone(), frame, at_once, decided, room));
        }
    }

    async fn room(&self, asks: usize) -> OwnedSemaphorePermit {
        let room = Arc::clone(&self.room).acquire_many_owned(asks as u32).await;
        room.expect("the semaphore is never closed")
    }
}

type Decided = Result<Vec<Outcome>, Failure>;

async fn decide(handle: Handle, commands: Vec<Command>) -> Decided {
    if commands.is_empty() { Ok(Vec::new()) } else { handle.submit_many(commands).await }
}

async fn answer(
    answers: mpsc::Sender<Result<v1::ExchangeResponse, Status>>,
    frame: Frame,
    at_once: Option<Decided>,
    decided: impl Future<Output = Decided>,
    _room: OwnedSemaphorePermit,
) {
    let outcomes = match at_once {
        Some(outcomes) => outcomes,
        None => decided.await,
    };
    let replies = frame.replies(outcomes);
    if !replies.is_empty() {
        // A client that has gone wants no answer.
        let _ = answers.send(Ok(v1::ExchangeResponse { replies })).await;
    }
}

async fn wait(
    calls: Calls,
    answers: mpsc::Sender<Result<v1::ExchangeResponse, Status>>,
    waiting: Waiting,
    _room: OwnedSemaphorePermit,
) {
    let acquired = calls.unless_closing(calls.handle.acquire(waiting.acquire, waiting.wait));
    let acquired = tokio::select! {
        acquired = acquired => acquired,
        // Whoever waited has gone: let the next in line have the work.
        () = answers.closed() => return,
    };
    let answer = match acquired {
        Ok(acquired) => Answer::Acquire(super::convert::acquired(acquired.answer, acquired.waited)),
        Err(failure) => Answer::Problem(told(failure)),
    };
    let reply = v1::Reply { sequence: waiting.sequence, answer: Some(answer) };
    let _ = answers.send(Ok(v1::ExchangeResponse { replies: vec![reply] })).await;
}
