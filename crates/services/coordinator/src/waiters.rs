//! Acquirers that wait for work.
//!
//! Those who ask for the same are one line: when the first of it gets nothing, the others are not asked. Lines take
//! turns, the one whose first has waited longest goes first.

use crate::failure::Failure;
use crate::handle::Acquired;
use capstan_ids::{Kind, Monotonic, SessionName, StreamName};
use capstan_work::{Acquire, Command};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::oneshot;

/// The most that wait at a time.
pub(crate) const WAITERS_MAX: usize = 100_000;

/// One that waits.
#[derive(Debug)]
pub(crate) struct Waiter {
    /// What it asked: offering repeats it.
    pub command: Command,
    pub since: Monotonic,
    pub until: Monotonic,
    pub reply: oneshot::Sender<Result<Acquired, Failure>>,
    line: Arc<Line>,
}

/// Whom work is offered to.
#[derive(Debug)]
pub(crate) enum Audience {
    Everybody,
    /// Those who would take it from one of these sessions.
    Of(Vec<StreamName>),
}

/// What came of an offer.
pub(crate) enum Offer {
    Taken,
    /// There was nothing for it, nor for those behind it.
    Declined(Waiter),
    /// No more for now.
    Enough(Waiter),
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Line {
    sessions: Vec<StreamName>,
    kinds: Vec<Kind>,
}

/// Everybody who waits, by the number it got when it came.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    waiting: HashMap<u64, Waiter>,
    /// Some of these numbers may have ended their wait.
    lines: HashMap<Arc<Line>, VecDeque<u64>>,
    ends: BTreeSet<(Monotonic, u64)>,
    next: u64,
}

impl Line {
    fn of(sessions: &[SessionName], kinds: &[Kind]) -> Self {
        Self { sessions: sessions.iter().map(StreamName::session).collect(), kinds: kinds.to_vec() }
    }

    fn is_among(&self, audience: &Audience) -> bool {
        match audience {
            Audience::Everybody => true,
            Audience::Of(streams) => {
                self.sessions.is_empty() || self.sessions.iter().any(|session| streams.contains(session))
            }
        }
    }
}

impl Waiters {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn push(
        &mut self,
        acquire: Acquire,
        since: Monotonic,
        until: Monotonic,
        reply: oneshot::Sender<Result<Acquired, Failure>>,
    ) {
        let line = Arc::new(Line::of(&acquire.sessions, &acquire.kinds));
        let line = self.lines.get_key_value(&line).map_or(line, |(known, _)| Arc::clone(known));
        let number = self.next;
        self.next += 1;
        self.ends.insert((until, number));
        self.lines.entry(Arc::clone(&line)).or_default().push_back(number);
        self.waiting.insert(number, Waiter { command: Command::Acquire(acquire), since, until, reply, line });
    }

    /// When the next wait ends.
    pub fn next_end(&self) -> Option<Monotonic> {
        self.ends.first().map(|(end, _)| *end)
    }

    /// Offers work to an audience; false if it was stopped before everybody in it was asked.
    pub fn offer(&mut self, audience: &Audience, mut offer: impl FnMut(Waiter) -> Offer) -> bool {
        let mut order: Vec<(u64, Arc<Line>)> = self
            .lines
            .iter()
            .filter(|(line, _)| line.is_among(audience))
            .filter_map(|(line, numbers)| Some((*numbers.front()?, Arc::clone(line))))
            .collect();
        order.sort_unstable_by_key(|(number, _)| *number);
        for (_, line) in order {
            while let Some(number) = self.first_of(&line) {
                let Some(waiter) = self.waiting.remove(&number) else { break };
                let until = waiter.until;
                // Whoever has gone away must not be granted anything.
                let outcome = if waiter.reply.is_closed() { Offer::Taken } else { offer(waiter) };
                let (back, go_on) = match outcome {
                    Offer::Taken => {
                        self.ends.remove(&(until, number));
                        continue;
                    }
                    Offer::Declined(waiter) => (waiter, true),
                    Offer::Enough(waiter) => (waiter, false),
                };
                self.waiting.insert(number, back);
                if !go_on {
                    return false;
                }
                break;
            }
        }
        true
    }

    /// Takes out those whose wait is over.
    pub fn take_ended(&mut self, now: Monotonic) -> Vec<Waiter> {
        let mut ended = Vec::new();
        while let Some((until, number)) = self.ends.first().copied().filter(|(until, _)| *until <= now) {
            self.ends.remove(&(until, number));
            if let Some(waiter) = self.waiting.remove(&number) {
                self.first_of(&waiter.line);
                ended.push(waiter);
            }
        }
        ended
    }

    /// Lets go of those who have gone away.
    pub fn forget_gone(&mut self) {
        let gone: Vec<u64> =
            self.waiting.iter().filter(|(_, waiter)| waiter.reply.is_closed()).map(|(number, _)| *number).collect();
        for number in gone {
            if let Some(waiter) = self.waiting.remove(&number) {
                self.ends.remove(&(waiter.until, number));
                self.first_of(&waiter.line);
            }
        }
    }

    /// Takes everybody out, in the order they came.
    pub fn take_all(&mut self) -> Vec<Waiter> {
        self.ends.clear();
        self.lines.clear();
        let mut all: Vec<(u64, Waiter)> = self.waiting.drain().collect();
        all.sort_unstable_by_key(|(number, _)| *number);
        all.into_iter().map(|(_, waiter)| waiter).collect()
    }

    /// The first of a line that still waits; a line without one is gone.
    fn first_of(&mut self, line: &Arc<Line>) -> Option<u64> {
        let numbers = self.lines.get_mut(line)?;
        while let Some(number) = numbers.front() {
            if self.waiting.contains_key(number) {
                return Some(*number);
            }
            numbers.pop_front();
        }
        self.lines.remove(line);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_ids::WorkerId;

    fn wait(waiters: &mut Waiters, session: &str, until: u64) -> oneshot::Receiver<Result<Acquired, Failure>> {
        let (reply, answer) = oneshot::channel();
        let worker = WorkerId::new("alice").unwrap();
        let acquire = Acquire::from(SessionName::new(session).unwrap(), worker);
        waiters.push(acquire, Monotonic(0), Monotonic(until), reply);
        answer
    }

    #[test]
    fn only_the_first_of_a_line_is_asked_when_there_is_nothing() {
        let mut waiters = Waiters::default();
        let _answers: Vec<_> = ["a", "a", "b"].iter().map(|session| wait(&mut waiters, session, 9)).collect();
        let mut asked = 0;

        let all = waiters.offer(&Audience::Everybody, |waiter| {
            asked += 1;
            Offer::Declined(waiter)
        });

        assert!(all);
        assert_eq!((asked, waiters.len()), (2, 3));
    }

    #[test]
    fn only_those_who_would_take_from_a_session_are_asked() {
        let mut waiters = Waiters::default();
        let _answers: Vec<_> = ["a", "b", "b"].iter().map(|session| wait(&mut waiters, session, 9)).collect();
        let b = Audience::Of(vec![StreamName::session(&SessionName::new("b").unwrap())]);

        waiters.offer(&b, |_| Offer::Taken);

        assert_eq!(waiters.len(), 1);
        assert_eq!(waiters.take_all().len(), 1);
    }

    #[test]
    fn an_offer_that_is_stopped_keeps_the_one_it_stopped_at() {
        let mut waiters = Waiters::default();
        let _answers: Vec<_> = (0..3).map(|_| wait(&mut waiters, "a", 9)).collect();
        let mut left = 2;

        let all = waiters.offer(&Audience::Everybody, |waiter| {
            if left == 0 {
                return Offer::Enough(waiter);
            }
            left -= 1;
            Offer::Taken
        });

        assert!(!all);
        assert_eq!((waiters.len(), waiters.next_end()), (1, Some(Monotonic(9))));
    }

    #[test]
    fn those_whose_wait_is_over_and_those_who_have_gone_leave_nothing_behind() {
        let mut waiters = Waiters::default();
        let _stays = wait(&mut waiters, "a", 30);
        let _ends = wait(&mut waiters, "a", 10);
        drop(wait(&mut waiters, "b", 20));

        assert_eq!(waiters.take_ended(Monotonic(10)).len(), 1);
        waiters.forget_gone();

        assert_eq!((waiters.len(), waiters.next_end(), waiters.lines.len()), (1, Some(Monotonic(30)), 1));
        assert_eq!(waiters.take_ended(Monotonic(30)).len(), 1);
        assert!(waiters.lines.is_empty() && waiters.ends.is_empty());
    }

    #[test]
    fn one_who_has_gone_away_is_offered_nothing() {
        let mut waiters = Waiters::default();
        drop(wait(&mut waiters, "a", 9));

        waiters.offer(&Audience::Everybody, |_| panic!("nobody waits"));

        assert!(waiters.is_empty() && waiters.ends.is_empty());
    }
}
