//! Work for those who ask for it, now or as soon as there is some.

use crate::failure::Failure;
use crate::handle::{Acquired, Outcome};
use crate::message::Pending;
use crate::owner::{BATCH_BYTES, BATCH_COMMANDS, Owner};
use crate::streams;
use crate::waiters::{Audience, Offer, WAITERS_MAX, Waiter};
use capstan_ids::{Millis, Moment, StreamName};
use capstan_journal::Refusal;
use capstan_work::{Acquire, Answer, Command};
use std::time::Duration;
use tokio::sync::oneshot;

type Reply = oneshot::Sender<Result<Acquired, Failure>>;

/// Streams of one flush beyond which everybody is asked: looking each of them up would cost as much.
const AUDIENCE_MAX: usize = 64;
/// When to try again where too many wait already, and how often it is looked whether some of them have gone.
const CROWDED: Millis = Millis::secs(1);

impl Owner {
    pub(crate) fn acquire(
        &mut self,
        acquire: Acquire,
        wait: Duration,
        reply: Reply,
        now: Moment,
        room: &Result<(), Refusal>,
    ) {
        // Whoever has gone away must not be granted anything.
        if reply.is_closed() {
            return;
        }
        if let Err(full) = room {
            self.pending.push(Pending::Acquired(reply, Err(Failure::Full(full.clone()))));
            return;
        }
        let command = Command::Acquire(acquire);
        let outcome = self.perform(&command, now);
        let Command::Acquire(acquire) = command else { return };
        let waits = matches!(outcome, Ok(Answer::Nothing(_))) && !wait.is_zero() && acquire.item.is_none();
        if !waits || self.stopping {
            self.pending.push(Pending::Acquired(reply, acquired(outcome, Duration::ZERO)));
        } else if self.has_a_place_to_wait(now) {
            let until = now.monotonic + Millis(wait.as_millis() as u64);
            self.waiters.push(acquire, now.monotonic, until, reply);
        } else {
            let retry_after = Duration::from_millis(CROWDED.get());
            self.pending.push(Pending::Acquired(reply, Err(Failure::Overloaded { retry_after })));
        }
    }

    fn has_a_place_to_wait(&mut self, now: Moment) -> bool {
        if self.waiters.len() >= WAITERS_MAX && now.monotonic >= self.next_crowd_look {
            self.next_crowd_look = now.monotonic + CROWDED;
            self.waiters.forget_gone();
        }
        self.waiters.len() < WAITERS_MAX
    }

    /// Gives ready work to those who wait for it.
    pub(crate) fn hand_out(&mut self, now: Moment) {
        if self.waiters.is_empty() {
            (self.offer_to_everybody, self.limits_shared) = (false, None);
            return;
        }
        let Some(audience) = self.audience() else { return };
        // What becomes ready later comes with an event.
        self.offer_to_everybody = false;
        if !self.state.work.has_ready_work() {
            return;
        }
        let mut waiters = std::mem::take(&mut self.waiters);
        let mut left = BATCH_COMMANDS;
        let all = waiters.offer(&audience, |waiter| {
            if left == 0 || self.commit.size() >= BATCH_BYTES {
                return Offer::Enough(waiter);
            }
            left -= 1;
            let outcome = self.perform(&waiter.command, now);
            if matches!(outcome, Ok(Answer::Nothing(_))) {
                return Offer::Declined(waiter);
            }
            self.answer_waiter(waiter, outcome, now);
            Offer::Taken
        });
        self.waiters = waiters;
        self.offer_to_everybody = !all;
    }

    /// Who may find work now that was not there before: none where nothing has happened.
    fn audience(&mut self) -> Option<Audience> {
        if self.commit.is_empty() && !self.offer_to_everybody {
            return None;
        }
        let mut touched: Vec<StreamName> = Vec::new();
        let mut everybody = self.offer_to_everybody;
        let mut last: Option<&StreamName> = None;
        for entry in self.commit.entries(self.next) {
            if last.is_some_and(|last| std::ptr::eq(last, entry.stream)) {
                continue;
            }
            last = Some(entry.stream);
            if entry.stream.as_str() == streams::WORK {
                self.limits_shared = None;
                everybody = true;
            } else if touched.len() >= AUDIENCE_MAX {
                everybody = true;
                break;
            } else if !touched.contains(entry.stream) {
                touched.push(entry.stream.clone());
            }
        }
        // A lease that ends in one session makes room for another's where they share a limit.
        let work = &self.state.work;
        let shared = *self.limits_shared.get_or_insert_with(|| work.limits().iter().any(|limit| limit.most.is_some()));
        Some(if everybody || shared { Audience::Everybody } else { Audience::Of(touched) })
    }

    /// Answers those whose wait is over, with why there was nothing.
    pub(crate) fn end_waits(&mut self, now: Moment, room: &Result<(), Refusal>) {
        let ended = if self.stopping { self.waiters.take_all() } else { self.waiters.take_ended(now.monotonic) };
        for waiter in ended.into_iter().filter(|waiter| !waiter.reply.is_closed()) {
            match room {
                Ok(()) => {
                    let outcome = self.perform(&waiter.command, now);
                    self.answer_waiter(waiter, outcome, now);
                }
                Err(full) => self.pending.push(Pending::Acquired(waiter.reply, Err(Failure::Full(full.clone())))),
            }
        }
        self.status.set_waiting(self.waiters.len() as u64);
    }

    fn answer_waiter(&mut self, waiter: Waiter, outcome: Outcome, now: Moment) {
        let waited = Duration::from_millis(now.monotonic.since(waiter.since).get());
        self.pending.push(Pending::Acquired(waiter.reply, acquired(outcome, waited)));
    }
}

fn acquired(outcome: Outcome, waited: Duration) -> Result<Acquired, Failure> {
    Ok(Acquired { answer: outcome?, waited })
}
