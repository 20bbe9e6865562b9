//! Many clients on one session, and the end of their day.

use crate::door::{Desk, Door};
use crate::history::{Call, Ending, History, Rules};
use crate::player::{Ground, KINDS, Player};
use anyhow::{Result, bail};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Clients at work.
pub struct Crowd {
    ground: Arc<Ground>,
    players: JoinSet<Vec<Call>>,
    clients: u32,
    seed: u64,
}

impl Crowd {
    /// Clients that play on doors of their own, until they are told to stop.
    pub fn new(clients: u32, pace: Duration, seed: u64) -> Self {
        Self { ground: Ground::new(clients, pace), players: JoinSet::new(), clients: 0, seed }
    }

    /// One more client.
    pub fn join<D: Door>(&mut self, door: D) {
        self.players.spawn(Player::new(self.clients, door, self.seed, Arc::clone(&self.ground)).play());
        self.clients += 1;
    }

    /// What they share.
    pub fn ground(&self) -> &Arc<Ground> {
        &self.ground
    }

    /// Stops everybody, completes what is left through `door`, and looks at the end of it through `desk`.
    ///
    /// An item that is not handed out within `patience` is a fault of its own: a lease or a slot has leaked.
    pub async fn finish<D: Door>(
        mut self,
        door: D,
        desk: &mut impl Desk,
        patience: Duration,
    ) -> Result<(Vec<Call>, Ending)> {
        self.ground.stop();
        let mut calls = Vec::new();
        while let Some(played) = self.players.join_next().await {
            calls.extend(played?);
        }
        let mut drainer = Player::new(self.clients, door, self.seed, Arc::clone(&self.ground));
        let began = Instant::now();
        loop {
            let done = drainer.drain().await;
            let left = desk.unfinished().await?;
            if left == 0 {
                break;
            }
            if done == 0 && began.elapsed() > patience {
                bail!("{left} items are still not done {} s after everybody stopped", patience.as_secs());
            }
        }
        calls.extend(drainer.into_calls());
        Ok((calls, desk.ending().await?))
    }
}

/// The rules that every run is judged by.
pub fn rules() -> Rules {
    Rules { attempts: 12, limits: vec![(KINDS[1], 10)] }
}

/// What a run saw.
pub fn history(calls: Vec<Call>, faults: Vec<crate::history::Fault>) -> History {
    History { calls, faults, rules: rules() }
}
