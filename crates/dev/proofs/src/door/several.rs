//! Several servers, of which the next is asked when one gives no answer.

use super::{Desk, Door, grpc::Grpc};
use crate::history::{Asked, Ending, Outcome, Rules};
use anyhow::Result;
use std::time::{Duration, Instant};

/// What the proof itself asks is asked again for so long.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// A client that knows the addresses of all servers.
#[derive(Clone, Debug)]
pub struct Several<D> {
    doors: Vec<D>,
    at: usize,
}

impl<D> Several<D> {
    /// Begins with the door number `first`.
    pub fn new(doors: Vec<D>, first: usize) -> Self {
        assert!(!doors.is_empty(), "a client knows a server");
        Self { at: first % doors.len(), doors }
    }

    fn turn(&mut self) {
        self.at = (self.at + 1) % self.doors.len();
    }
}

impl<D: Door> Door for Several<D> {
    const FRAME_MAX: usize = D::FRAME_MAX;

    async fn ask(&mut self, client: u32, asks: &[Asked]) -> Vec<Outcome> {
        let outcomes = self.doors[self.at].ask(client, asks).await;
        if outcomes.contains(&Outcome::Unknown) {
            self.turn();
        }
        outcomes
    }
}

/// Asks one after the other until one answers.
macro_rules! until_answered {
    ($self:ident, $ask:expr) => {{
        let began = Instant::now();
        loop {
            match $ask(&mut $self.doors[$self.at]).await {
                Ok(answer) => break Ok(answer),
                Err(error) if began.elapsed() > PATIENCE => break Err(error),
                Err(_) => {
                    $self.turn();
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }};
}

impl Desk for Several<Grpc> {
    async fn open(&mut self, rules: &Rules) -> Result<()> {
        until_answered!(self, async |door: &mut Grpc| door.open(rules).await)
    }

    async fn unfinished(&mut self) -> Result<u64> {
        until_answered!(self, async |door: &mut Grpc| door.unfinished().await)
    }

    async fn ending(&mut self) -> Result<Ending> {
        until_answered!(self, async |door: &mut Grpc| door.ending().await)
    }
}
