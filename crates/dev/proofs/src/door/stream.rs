//! A server in another process, asked on one stream: several requests in a frame.

use super::{Door, grpc, wire};
use crate::history::{Asked, Outcome};
use anyhow::Result;
use capstan_proto::v1::work_client::WorkClient;
use capstan_proto::v1::{Ask, ExchangeRequest, ExchangeResponse};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

/// A frame is given up after so long, and its stream with it.
const PATIENCE: Duration = Duration::from_secs(3);

/// One client's stream, made again when it broke.
pub struct Stream {
    work: WorkClient<Channel>,
    open: Option<Open>,
    sequence: u64,
}

struct Open {
    frames: mpsc::Sender<ExchangeRequest>,
    answers: Streaming<ExchangeResponse>,
}

impl Stream {
    /// A stream to the server at `HOST:PORT`, opened when it is first needed.
    pub fn to(address: &str) -> Result<Self> {
        let work = WorkClient::new(grpc::endpoint(address)?.connect_lazy());
        let work = work.max_decoding_message_size(capstan_proto::MESSAGE_BYTES_MAX);
        Ok(Self { work, open: None, sequence: 0 })
    }

    /// Sends a frame and collects its answers; what is missing at the end has no known outcome.
    async fn exchange(&mut self, asks: Vec<Ask>, outcomes: &mut [Outcome]) -> Result<(), tonic::Status> {
        let first = asks[0].sequence;
        if self.open.is_none() {
            let (frames, receiver) = mpsc::channel(4);
            let answers = self.work.exchange(ReceiverStream::new(receiver)).await?.into_inner();
            self.open = Some(Open { frames, answers });
        }
        let open = self.open.as_mut().expect("opened above");
        let mut missing = asks.len();
        let closed = |_| tonic::Status::unavailable("the stream is closed");
        open.frames.send(ExchangeRequest { asks }).await.map_err(closed)?;
        while missing > 0 {
            let Some(frame) = open.answers.message().await? else {
                return Err(tonic::Status::unavailable("the stream ended"));
            };
            for reply in frame.replies {
                let place = usize::try_from(reply.sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                if let Some(outcome) = outcomes.get_mut(place) {
                    *outcome = wire::outcome(reply.answer);
                    missing -= 1;
                }
            }
        }
        Ok(())
    }
}

impl Door for Stream {
    const FRAME_MAX: usize = 6;

    async fn ask(&mut self, client: u32, asks: &[Asked]) -> Vec<Outcome> {
        let mut outcomes = vec![Outcome::Unknown; asks.len()];
        let first = self.sequence;
        self.sequence += asks.len() as u64;
        let frame = asks
            .iter()
            .zip(first..)
            .map(|(asked, sequence)| Ask { sequence, request: Some(wire::request(client, asked)) })
            .collect();
        let exchanged = tokio::time::timeout(PATIENCE, self.exchange(frame, &mut outcomes)).await;
        if !matches!(exchanged, Ok(Ok(()))) {
            // What still comes on the old stream belongs to nobody.
            self.open = None;
        }
        outcomes
    }
}
