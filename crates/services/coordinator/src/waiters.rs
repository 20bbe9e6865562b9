//! Acquirers that wait for work.
//!
//! Those who ask for the same are one line: when the first of it gets nothing, the others are not asked. Lines take
//! turns, the one whose first has waited longest goes first.

use crate::failure::Failure;
use crate::handle::Acquired;
use capstan_ids::{Kind, Monotonic, SessionName};
use capstan_work::Acquire;
use std::collections::{BTreeMap, HashMap, VecDeque};
use tokio::sync::oneshot;

/// The most that wait at a time.
pub(crate) const WAITERS_MAX: usize = 100_000;

/// One that waits.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub acquire: Acquire,
    pub since: Monotonic,
    pub until: Monotonic,
    pub reply: oneshot::Sender<Result<Acquired, Failure>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Line {
    sessions: Vec<SessionName>,
    kinds: Vec<Kind>,
}

/// Everybody who waits.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    lines: HashMap<Line, VecDeque<Waiter>>,
    /// When waits end, with how many end then.
    ends: BTreeMap<Monotonic, usize>,
    count: usize,
}

impl Waiters {
    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub fn push(&mut self, waiter: Waiter) {
        let line = Line { sessions: waiter.acquire.sessions.clone(), kinds: waiter.acquire.kinds.clone() };
        *self.ends.entry(waiter.until).or_default() += 1;
        self.count += 1;
        self.lines.entry(line).or_default().push_back(waiter);
    }

    /// When the next wait ends.
    pub fn next_end(&self) -> Option<Monotonic> {
        self.ends.keys().next().copied()
    }

    /// Offers work to those who wait: `offer` hands back a waiter that got nothing.
    pub fn offer(&mut self, mut offer: impl FnMut(Waiter) -> Option<Waiter>) {
        let mut order: Vec<(Monotonic, Line)> =
            self.lines.iter().filter_map(|(line, waiters)| Some((waiters.front()?.since, line.clone()))).collect();
        order.sort_unstable_by_key(|(since, _)| *since);
        for (_, line) in order {
            let Some(waiters) = self.lines.get_mut(&line) else { continue };
            while let Some(waiter) = waiters.pop_front() {
                let until = waiter.until;
                // Whoever has gone away must not be granted anything.
                let back = if waiter.reply.is_closed() { None } else { offer(waiter) };
                match back {
                    None => {
                        self.count -= 1;
                        end(&mut self.ends, until);
                    }
                    Some(waiter) => {
                        waiters.push_front(waiter);
                        break;
                    }
                }
            }
            if waiters.is_empty() {
                self.lines.remove(&line);
            }
        }
    }

    /// Takes out those whose wait is over.
    pub fn take_ended(&mut self, now: Monotonic) -> Vec<Waiter> {
        if self.next_end().is_none_or(|end| end > now) {
            return Vec::new();
        }
        let mut ended = Vec::new();
        for waiters in self.lines.values_mut() {
            let (over, waiting): (VecDeque<_>, VecDeque<_>) =
                waiters.drain(..).partition(|waiter| waiter.until <= now || waiter.reply.is_closed());
            *waiters = waiting;
            ended.extend(over);
        }
        self.lines.retain(|_, waiters| !waiters.is_empty());
        for waiter in &ended {
            end(&mut self.ends, waiter.until);
        }
        self.count -= ended.len();
        ended
    }

    /// Takes everybody out.
    pub fn take_all(&mut self) -> Vec<Waiter> {
        self.ends.clear();
        self.count = 0;
        self.lines.drain().flat_map(|(_, waiters)| waiters).collect()
    }
}

fn end(ends: &mut BTreeMap<Monotonic, usize>, until: Monotonic) {
    if let std::collections::btree_map::Entry::Occupied(mut entry) = ends.entry(until) {
        *entry.get_mut() -= 1;
        if *entry.get() == 0 {
            entry.remove();
        }
    }
}
