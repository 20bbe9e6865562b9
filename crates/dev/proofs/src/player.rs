//! One client of a run: does what workers and producers do, well and badly, and writes everything down.
//!
//! It retries what has no known outcome, with the same ids, keys and tokens, as the API says it may; sometimes it gives
//! up instead, lets a lease run out, repeats what was answered, or speaks for a lease long gone.

use crate::dice::Dice;
use crate::door::Door;
use crate::history::{Answer, Asked, Call, Granted, Held, ItemName, Micros, NewItem, Outcome, Refusal, Wish};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Kinds of items, the second of which is limited.
pub const KINDS: [&str; 2] = ["alpha", "beta"];
/// Leases one client holds at most.
const HELD_MAX: usize = 6;
/// Old tokens and batches a client remembers, to speak of them again.
const REMEMBERED: usize = 8;
/// Retries of a request without a known outcome.
const RETRIES: u32 = 40;

/// What all clients of a run share.
#[derive(Debug)]
pub struct Ground {
    began: Instant,
    stop: AtomicBool,
    /// Items made and not completed, about; producers pause when there are enough.
    open: AtomicI64,
    open_max: i64,
    /// A client's pause between two requests is at most twice this.
    pace: Duration,
    /// Requests acknowledged, refused and without a known outcome.
    outcomes: [AtomicU64; 3],
}

impl Ground {
    /// For so many clients, each of which sends a request about every `pace`.
    pub fn new(clients: u32, pace: Duration) -> Arc<Self> {
        let open_max = i64::from(clients) * 6;
        Arc::new(Self {
            began: Instant::now(),
            stop: AtomicBool::new(false),
            open: AtomicI64::new(0),
            open_max,
            pace,
            outcomes: Default::default(),
        })
    }

    /// The time of the run.
    pub fn now(&self) -> Micros {
        self.began.elapsed().as_micros() as Micros
    }

    /// Tells every client to finish what it is at.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Requests acknowledged, refused and without a known outcome so far.
    pub fn tally(&self) -> (u64, u64, u64) {
        let [ok, refused, unknown] = &self.outcomes;
        (ok.load(Ordering::Relaxed), refused.load(Ordering::Relaxed), unknown.load(Ordering::Relaxed))
    }

    /// Corrects what the clients believe to be open: they do not learn what became of everything.
    pub fn correct_open(&self, open: u64) {
        self.open.store(open as i64, Ordering::Relaxed);
    }

    fn count(&self, outcome: &Outcome) {
        let sort = match outcome {
            Outcome::Ok(_) => 0,
            Outcome::Refused(_) => 1,
            Outcome::Unknown => 2,
        };
        self.outcomes[sort].fetch_add(1, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A client at work.
pub struct Player<D> {
    client: u32,
    door: D,
    dice: Dice,
    ground: Arc<Ground>,
    held: Vec<Mine>,
    old: VecDeque<Held>,
    batches: VecDeque<Vec<NewItem>>,
    made: u64,
    calls: Vec<Call>,
}

/// A lease in hand.
#[derive(Clone, Debug)]
struct Mine {
    held: Held,
    documents: u64,
}

impl<D: Door> Player<D> {
    /// Client number `client`, who does what chance of `seed` tells it.
    pub fn new(client: u32, door: D, seed: u64, ground: Arc<Ground>) -> Self {
        Self {
            client,
            door,
            dice: Dice::new(seed, u64::from(client) + 1),
            ground,
            held: Vec::new(),
            old: VecDeque::new(),
            batches: VecDeque::new(),
            made: 0,
            calls: Vec::new(),
        }
    }

    /// Plays until the run is stopped, and hands over what was written down.
    pub async fn play(mut self) -> Vec<Call> {
        while !self.ground.is_stopped() {
            let asks = self.next();
            self.carry_out(asks).await;
            let pace = self.ground.pace.as_micros() as u64;
            let pause = Duration::from_micros(self.dice.between(0, pace * 2));
            tokio::time::sleep(pause).await;
        }
        self.calls
    }

    /// Completes everything there is, until `is_done` or nobody has work for a while.
    pub async fn drain(&mut self) -> usize {
        let wish = Wish { max: 100, lease_ms: 5_000, wait_ms: 200, ..self.wish() };
        let wish = Wish { kind: None, ..wish };
        self.carry_out(vec![Asked::Acquire(wish)]).await;
        let mut done = 0;
        for mine in std::mem::take(&mut self.held) {
            self.carry_out(vec![Asked::Complete { held: mine.held, successors: vec![], next: None }]).await;
            done += 1;
        }
        done
    }

    /// What was written down.
    pub fn into_calls(self) -> Vec<Call> {
        self.calls
    }

    /// What to do next: a frame of requests, each about another lease.
    fn next(&mut self) -> Vec<Asked> {
        let roll = self.dice.between(0, 99);
        let frame_max = D::FRAME_MAX.min(self.held.len());
        if frame_max > 1 && roll < 40 {
            let several = self.dice.between(2, frame_max as u64) as usize;
            return (0..several).map(|_| self.act()).collect();
        }
        match roll {
            0..6 => self.late(),
            6..12 => self.again(),
            12..75 if !self.held.is_empty() => vec![self.act()],
            _ if self.held.len() < HELD_MAX && self.dice.percent(60) => vec![Asked::Acquire(self.wish())],
            _ if self.ground.open.load(Ordering::Relaxed) < self.ground.open_max => vec![Asked::Add(self.batch())],
            _ => vec![Asked::Acquire(self.wish())],
        }
    }

    /// Something to do with a lease in hand, which is put back when it lives on.
    fn act(&mut self) -> Asked {
        let place = self.dice.between(0, self.held.len() as u64 - 1) as usize;
        let mut mine = self.held.swap_remove(place);
        let held = mine.held.clone();
        match self.dice.between(0, 99) {
            0..30 => {
                let progress = self.dice.percent(70).then(|| {
                    mine.documents += self.dice.between(0, 3);
                    mine.documents
                });
                let checkpoint = self.dice.percent(40).then(|| self.checkpoint());
                let lease_ms = self.dice.percent(25).then(|| self.dice.between(150, 2_500));
                Asked::Renew { held, lease_ms, progress, checkpoint }
            }
            30..55 => {
                let successors = if self.dice.percent(15) { self.successors() } else { vec![] };
                Asked::Complete { held, successors, next: None }
            }
            55..78 => {
                let successors = if self.dice.percent(10) { self.successors() } else { vec![] };
                Asked::Complete { held, successors, next: Some(self.wish()) }
            }
            78..86 => {
                let checkpoint = self.dice.percent(30).then(|| self.checkpoint());
                Asked::Fail { held, permanent: self.dice.percent(5), checkpoint }
            }
            86..94 => {
                let checkpoint = self.dice.percent(50).then(|| self.checkpoint());
                Asked::Release { held, checkpoint }
            }
            // Forgets it: it runs out, and is spoken of later.
            _ => {
                self.remember(held.clone());
                Asked::Acquire(self.wish())
            }
        }
    }

    /// Speaks for a lease that was given up or let go.
    fn late(&mut self) -> Vec<Asked> {
        let Some(held) = self.old.pop_front() else { return vec![Asked::Acquire(self.wish())] };
        self.old.push_back(held.clone());
        vec![match self.dice.between(0, 3) {
            0 => Asked::Renew { held, lease_ms: None, progress: None, checkpoint: Some(self.checkpoint()) },
            1 => Asked::Fail { held, permanent: false, checkpoint: None },
            2 => Asked::Release { held, checkpoint: Some(self.checkpoint()) },
            _ => Asked::Complete { held, successors: vec![], next: None },
        }]
    }

    /// Repeats something that was asked before: an addition, or the last request for work.
    fn again(&mut self) -> Vec<Asked> {
        if self.dice.percent(50)
            && let Some(batch) = self.batches.front()
        {
            return vec![Asked::Add(batch.clone())];
        }
        let last = self.calls.iter().rev().take(REMEMBERED).find(|call| matches!(call.asked, Asked::Acquire(_)));
        match last {
            Some(call) => vec![call.asked.clone()],
            None => vec![Asked::Add(self.batch())],
        }
    }

    fn wish(&mut self) -> Wish {
        self.made += 1;
        Wish {
            key: format!("key-{}", self.made).into(),
            max: self.dice.between(1, 3) as u32,
            kind: self.dice.percent(30).then(|| *self.dice.pick(&KINDS)),
            lease_ms: self.dice.between(200, 3_000),
            wait_ms: if self.dice.percent(40) { self.dice.between(1, 300) } else { 0 },
        }
    }

    fn batch(&mut self) -> Vec<NewItem> {
        let items = if self.dice.percent(20) { self.dice.between(5, 30) } else { self.dice.between(1, 4) };
        let mut batch: Vec<NewItem> = Vec::new();
        for _ in 0..items {
            let mut new = self.new_item();
            if self.dice.percent(8) {
                new.waits_for = batch.last().map(|before| ItemName::clone(&before.id));
            }
            batch.push(new);
        }
        batch
    }

    fn successors(&mut self) -> Vec<NewItem> {
        (0..self.dice.between(1, 3)).map(|_| self.new_item()).collect()
    }

    fn new_item(&mut self) -> NewItem {
        self.made += 1;
        NewItem {
            id: format!("{}/{}", self.client, self.made).into(),
            kind: KINDS[usize::from(self.dice.percent(8))],
            priority: self.dice.between(0, 2) as i16,
            waits_for: None,
        }
    }

    fn checkpoint(&mut self) -> Arc<str> {
        self.made += 1;
        format!("checkpoint {}/{}", self.client, self.made).into()
    }

    fn remember(&mut self, held: Held) {
        self.old.push_back(held);
        if self.old.len() > REMEMBERED {
            self.old.pop_front();
        }
    }

    /// Asks, and asks again what has no known outcome; now and then gives up.
    async fn carry_out(&mut self, mut asks: Vec<Asked>) {
        for attempt in 0..RETRIES {
            let began = self.ground.now();
            let outcomes = self.door.ask(self.client, &asks).await;
            let ended = self.ground.now();
            let mut open = Vec::new();
            for (asked, outcome) in asks.drain(..).zip(outcomes) {
                self.ground.count(&outcome);
                let is_open = matches!(outcome, Outcome::Unknown | Outcome::Refused(Refusal::Busy));
                self.calls.push(Call {
                    client: self.client,
                    began,
                    ended,
                    asked: asked.clone(),
                    outcome: outcome.clone(),
                });
                if is_open && !self.dice.percent(3) {
                    open.push(asked);
                } else {
                    self.learn(asked, outcome);
                }
            }
            asks = open;
            if asks.is_empty() {
                return;
            }
            if self.ground.is_stopped() && attempt > 2 {
                break;
            }
            // The server may be coming up: no faster than it can.
            tokio::time::sleep(Duration::from_millis(self.dice.between(20, 120))).await;
        }
        for asked in asks {
            self.learn(asked, Outcome::Unknown);
        }
    }

    /// Takes in what became of a request.
    fn learn(&mut self, asked: Asked, outcome: Outcome) {
        let granted = match &outcome {
            Outcome::Ok(Answer::Leases { leases, .. } | Answer::Completed(leases)) => leases.clone(),
            _ => vec![],
        };
        match (asked, outcome) {
            (Asked::Add(batch), Outcome::Ok(Answer::Added(new))) => {
                self.ground.open.fetch_add(new.iter().filter(|new| **new).count() as i64, Ordering::Relaxed);
                self.batches.push_back(batch);
                if self.batches.len() > REMEMBERED {
                    self.batches.pop_front();
                }
            }
            (Asked::Renew { held, progress, .. }, Outcome::Ok(_)) => {
                let is_new = self.held.iter().all(|mine| mine.held != held) && !self.old.contains(&held);
                if is_new {
                    self.held.push(Mine { held, documents: progress.unwrap_or_default() });
                }
            }
            (Asked::Complete { held, successors, .. }, Outcome::Ok(_)) => {
                self.ground.open.fetch_add(successors.len() as i64 - 1, Ordering::Relaxed);
                self.remember(held);
            }
            (Asked::Fail { held, permanent, .. }, Outcome::Ok(_)) => {
                self.ground.open.fetch_sub(i64::from(permanent), Ordering::Relaxed);
                self.remember(held);
            }
            (
                Asked::Renew { held, .. }
                | Asked::Complete { held, .. }
                | Asked::Fail { held, .. }
                | Asked::Release { held, .. },
                _,
            ) => self.remember(held),
            (Asked::Add(_) | Asked::Acquire(_), _) => {}
        }
        for Granted { item, token, progress, .. } in granted {
            let held = Held { item, token };
            if self.held.iter().all(|mine| mine.held != held) {
                self.old.retain(|old| *old != held);
                self.held.push(Mine { held, documents: progress });
            }
        }
    }
}
