//! One stream for the calls of many tasks.
//!
//! A task of its own owns the stream and what waits for an answer. While a frame is on its way to the socket, what is
//! asked meanwhile gathers and leaves together. When the stream breaks, everything under way is answered as unknown,
//! and whoever asks next opens another.

mod pending;

use self::pending::Pending;
use crate::error::Error;
use capstan_proto::v1::work_client::WorkClient;
use capstan_proto::v1::{Ask, ExchangeRequest, ExchangeResponse, ask::Request, reply::Answer};
use capstan_proto::{EXCHANGE_ASKS_MAX, EXCHANGE_IN_FLIGHT_MAX};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

/// Calls that wait to be put into a frame; whoever calls then waits here.
const QUEUE: usize = 4_096;
/// Frames that wait for the socket. One more would only make frames smaller.
const FRAMES_AHEAD: usize = 1;
/// Bytes of a frame at which it is full.
const FRAME_BYTES: usize = 4 << 20;
/// Bytes of a single ask: what the server takes as one message, less what is around it.
const ASK_BYTES_MAX: usize = 16 << 20;

/// What is asked, and who waits for the answer.
pub(super) struct Call {
    request: Request,
    bytes: usize,
    reply: oneshot::Sender<Result<Answer, Error>>,
}

/// Asks over the shared stream. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Exchange {
    calls: mpsc::Sender<Call>,
}

impl Exchange {
    /// Must be called on a tokio runtime. The stream is opened by the first call and ends with the last clone.
    pub fn over(work: WorkClient<Channel>) -> Self {
        let (calls, queue) = mpsc::channel(QUEUE);
        tokio::spawn(run(work, queue));
        Self { calls }
    }

    /// Asks and waits for the answer. A dropped future leaves the ask to be carried out.
    pub async fn ask(&self, request: Request) -> Result<Answer, Error> {
        let bytes = request.encoded_len();
        if bytes > ASK_BYTES_MAX {
            let found = format!("{bytes} bytes");
            return Err(Error::Invalid { field: "request", expected: "at most 16 MiB".into(), found });
        }
        let (reply, answer) = oneshot::channel();
        let gone = || Error::Unreachable { message: "the client's runtime is shutting down".into() };
        self.calls.send(Call { request, bytes, reply }).await.map_err(|_| gone())?;
        match answer.await.map_err(|_| gone())?? {
            Answer::Problem(problem) => Err(problem.into()),
            answer => Ok(answer),
        }
    }
}

/// Keeps a stream open as long as anybody may ask.
async fn run(work: WorkClient<Channel>, mut queue: mpsc::Receiver<Call>) {
    while let Some(first) = queue.recv().await {
        let mut gathered = vec![first];
        let error = match Open::stream(work.clone()).await {
            Ok(mut stream) => {
                let error = stream.serve(&mut gathered, &mut queue).await;
                stream.pending.fail_all(&error);
                error
            }
            Err(error) => error,
        };
        for call in gathered {
            // Whoever no longer waits wants no answer.
            let _ = call.reply.send(Err(error.clone()));
        }
    }
}

/// An open stream.
struct Open {
    frames: mpsc::Sender<ExchangeRequest>,
    answers: Streaming<ExchangeResponse>,
    pending: Pending,
}

impl Open {
    async fn stream(mut work: WorkClient<Channel>) -> Result<Self, Error> {
        let (frames, outgoing) = mpsc::channel(FRAMES_AHEAD);
        let answers = work.exchange(ReceiverStream::new(outgoing)).await?.into_inner();
        Ok(Self { frames, answers, pending: Pending::default() })
    }

    /// Sends and answers until the stream breaks, or nobody can ask any more and all is answered.
    async fn serve(&mut self, gathered: &mut Vec<Call>, queue: &mut mpsc::Receiver<Call>) -> Error {
        let mut open = true;
        loop {
            let room = self.pending.len() < EXCHANGE_IN_FLIGHT_MAX;
            let more = EXCHANGE_ASKS_MAX.saturating_sub(gathered.len());
            let leave = !gathered.is_empty() && room;
            tokio::select! {
                answers = self.answers.message() => match answers {
                    Ok(Some(answers)) => self.pending.answer(answers),
                    Ok(None) => return Error::Unreachable { message: "the server ended the stream".into() },
                    Err(status) => return status.into(),
                },
                frame = self.frames.reserve(), if leave => match frame {
                    Ok(slot) => slot.send(frame_of(gathered, &mut self.pending)),
                    // The other half says why.
                    Err(_) => open = false,
                },
                received = queue.recv_many(gathered, more), if open && more > 0 => {
                    if received == 0 {
                        open = false;
                    }
                }
            }
            if !open && gathered.is_empty() && self.pending.len() == 0 {
                return Error::Unreachable { message: "the client is gone".into() };
            }
        }
    }
}

/// As much of what has gathered as one frame and the server's room take; at least one.
fn frame_of(gathered: &mut Vec<Call>, pending: &mut Pending) -> ExchangeRequest {
    let most = EXCHANGE_ASKS_MAX.min(EXCHANGE_IN_FLIGHT_MAX - pending.len()).min(gathered.len());
    let (mut count, mut bytes) = (1, gathered[0].bytes);
    while count < most && bytes + gathered[count].bytes <= FRAME_BYTES {
        bytes += gathered[count].bytes;
        count += 1;
    }
    let asks =
        gathered.drain(..count).map(|call| Ask { sequence: pending.add(call.reply), request: Some(call.request) });
    ExchangeRequest { asks: asks.collect() }
}
