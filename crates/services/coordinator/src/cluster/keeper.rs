//! Does at the register what the seat says, and tells the turns what came of it.

use super::seat::{Move, Seat};
use super::shared::Shared;
use super::term::{Leadership, Term};
use super::{SharedStore, StoreError};
use crate::clock::Clock;
use capstan_ids::{Epoch, Millis, Monotonic};
use capstan_journal::{Candidate, Election, JournalError};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long it takes at the most to leave the place when the server stops.
const FAREWELL_TRIES: u32 = 3;
/// A server that has not read the log to its end for so long leaves the place to others: its connection may hang until
/// a call's time is over, and nobody else would lead meanwhile. As long as a call to the register may take.
const FOLLOWED_MAX: Millis = Millis(1_000);

/// Keeps one server's seat.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    store: Arc<dyn SharedStore>,
    election: Option<Box<dyn Election>>,
    seat: Seat,
    term: Term,
    clock: Arc<dyn Clock>,
    /// The leadership that was told to the turns.
    told: Option<(Epoch, Leadership)>,
}

impl Keeper {
    pub fn new(
        shared: Arc<Shared>,
        store: Arc<dyn SharedStore>,
        election: Box<dyn Election>,
        me: Candidate,
        term: Term,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { shared, store, election: Some(election), seat: Seat::new(me, term), term, clock, told: None }
    }

    pub fn run(mut self) {
        // A leader that stops goes on with its signs of life until its owner has finished.
        while !self.is_over() {
            self.heed_the_turns();
            let pause = self.step();
            self.tell();
            let told = self.told.as_ref().map(|(epoch, _)| *epoch);
            self.shared.wait(pause, |known| {
                (known.stopping && known.left) || known.give_up.is_some_and(|epoch| Some(epoch) == told)
            });
        }
        self.leave();
    }

    fn is_over(&self) -> bool {
        let known = self.shared.known();
        known.stopping && known.left
    }

    /// Whoever cannot lead leaves the place to others.
    fn heed_the_turns(&mut self) {
        let given_up = self.shared.known().give_up.take();
        let leading = self.told.as_ref().map(|(epoch, _)| *epoch);
        if given_up.is_some() && given_up == leading {
            self.leave();
            self.seat.give_up(self.now());
            self.tell();
        }
    }

    fn now(&self) -> Monotonic {
        self.clock.now().monotonic
    }

    /// One move; how long to rest after it.
    fn step(&mut self) -> Duration {
        let now = self.now();
        self.seat.expire(now);
        let (highest, stopping) = {
            let known = self.shared.known();
            (known.highest, known.stopping)
        };
        let rest = Duration::from_millis(self.term.look.get());
        match self.seat.next_move(now, highest) {
            Move::Rest => {}
            // Whoever stops, or cannot read the log, does not begin to lead.
            Move::Replace(..) if self.told.is_none() && (stopping || !self.follows(now)) => {}
            Move::Look => match self.ask(|election| election.standing()) {
                Ok(standing) => {
                    let was_vacant = standing.leader.is_none();
                    self.seat.saw(self.now(), standing);
                    if was_vacant {
                        return Duration::ZERO;
                    }
                }
                Err(error) => self.away(&error),
            },
            Move::Replace(seen, next) => match self.ask(|election| election.replace(&seen, &next)) {
                Ok(answer) => self.seat.replaced(now, self.now(), next, answer),
                Err(error) => {
                    self.away(&error);
                    self.seat.doubts(now, next);
                    return Duration::from_millis(self.term.look.get() / 4);
                }
            },
        }
        rest
    }

    /// Whether the turns can read the log now.
    fn follows(&self, now: Monotonic) -> bool {
        let recently = self.term.look.get() + FOLLOWED_MAX.get();
        self.shared.known().followed.is_some_and(|followed| now.0.saturating_sub(followed.0) <= recently)
    }

    fn ask<T>(&mut self, ask: impl FnOnce(&mut dyn Election) -> Result<T, JournalError>) -> Result<T, StoreError> {
        let election = match &mut self.election {
            Some(election) => election,
            none => none.insert(self.store.election()?),
        };
        let answer = ask(election.as_mut());
        match answer {
            Ok(answer) => {
                if self.shared.known().trouble.is_some() {
                    tracing::info!("the register of who leads answers again");
                    self.shared.change(|known| known.trouble = None);
                }
                Ok(answer)
            }
            Err(error) => {
                self.election = None;
                Err(error.into())
            }
        }
    }

    fn away(&self, error: &StoreError) {
        let why = told(error.as_ref());
        if self.shared.known().trouble.as_deref() != Some(why.as_str()) {
            tracing::warn!(error = %why, "the register of who leads does not answer");
            self.shared.change(|known| known.trouble = Some(why));
        }
    }

    /// Tells the turns whether this server leads, and who does where it does not.
    fn tell(&mut self) {
        let leads = self.seat.leads(self.now());
        let told = self.told.as_ref().map(|(epoch, _)| *epoch);
        match leads {
            Some((epoch, until)) if told == Some(epoch) => {
                if let Some((_, leadership)) = &self.told {
                    leadership.set_until(until);
                }
            }
            Some((epoch, until)) => {
                self.withdraw();
                let leadership = Leadership::none();
                leadership.set_until(until);
                tracing::info!(%epoch, "elected");
                self.told = Some((epoch, leadership.clone()));
                self.shared.change(|known| known.elected = Some((epoch, leadership)));
            }
            None => self.withdraw(),
        }
        let leader = self.seat.leader().map(|candidate| candidate.address.clone());
        let epoch = self.seat.epoch();
        let mut known = self.shared.known();
        known.highest = known.highest.max(epoch);
        let changed = known.leader != leader;
        drop(known);
        if changed {
            self.shared.change(|known| known.leader = leader);
        }
    }

    fn withdraw(&mut self) {
        if let Some((epoch, leadership)) = self.told.take() {
            leadership.end();
            tracing::warn!(%epoch, "leads no longer");
            self.shared.change(|known| known.elected = None);
        }
    }

    /// Leaves the place, so that another need not wait for a term to pass.
    fn leave(&mut self) {
        let began = Instant::now();
        for _ in 0..FAREWELL_TRIES {
            let Some((seen, next)) = self.seat.farewell() else { return };
            match self.ask(|election| election.replace(&seen, &next)) {
                Ok(answer) => {
                    let milliseconds = began.elapsed().as_millis() as u64;
                    tracing::info!(epoch = %next.epoch, milliseconds, "left the place to others");
                    return self.seat.replaced(self.now(), self.now(), next, answer);
                }
                Err(error) => self.away(&error),
            }
        }
    }
}

/// An error with everything that lies behind it.
pub(crate) fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
