//! What has just become durable, for those who watch.

use capstan_ids::Position;
use capstan_journal::Recorded;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Commits kept in memory for watchers that are not far behind.
const COMMITS_MAX: usize = 4_096;
const BYTES_MAX: usize = 32 << 20;
/// What one watcher takes at a time, so that a slow one does not hold memory for all of it.
pub(crate) const TAKE_BYTES: usize = 1 << 20;

/// A window on the end of the log. Filled only while somebody watches.
#[derive(Debug)]
pub(crate) struct Feed {
    watchers: AtomicUsize,
    window: Mutex<Window>,
    reach: watch::Sender<Reach>,
}

/// How far it goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    /// Everything up to here is durable.
    pub durable: Position,
    /// Nothing comes any more.
    pub ended: bool,
}

/// Neighbouring commits: there is no gap between two of them.
#[derive(Debug, Default)]
struct Window {
    commits: VecDeque<Arc<Recorded>>,
    bytes: usize,
}

impl Feed {
    pub fn new(durable: Position) -> Self {
        let reach = watch::Sender::new(Reach { durable, ended: false });
        Self { watchers: AtomicUsize::new(0), window: Mutex::default(), reach }
    }

    /// Shows a durable commit; `make` is called only if somebody watches.
    pub fn publish(&self, durable: Position, make: impl FnOnce() -> Recorded) {
        if self.watchers.load(Ordering::Acquire) > 0 {
            let recorded = make();
            self.window.lock().unwrap_or_else(PoisonError::into_inner).push(recorded);
        } else if self.reach.receiver_count() == 0 {
            *self.window.lock().unwrap_or_else(PoisonError::into_inner) = Window::default();
        }
        self.reach.send_modify(|reach| reach.durable = durable);
    }

    /// Nothing comes any more: whoever watches is told so.
    pub fn end(&self) {
        self.reach.send_modify(|reach| reach.ended = true);
    }

    /// The commit that holds `from` and some of those after it, if the window has it.
    pub fn since(&self, from: Position) -> Option<Vec<Arc<Recorded>>> {
        let window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.commits.front().is_none_or(|first| first.position > from) {
            return None;
        }
        let first = window.commits.partition_point(|recorded| after(recorded) <= from);
        let mut bytes = 0;
        let some = window.commits.iter().skip(first).take_while(|recorded| {
            let more = bytes < TAKE_BYTES;
            bytes += recorded.commit.size();
            more
        });
        Some(some.cloned().collect()).filter(|commits: &Vec<_>| !commits.is_empty())
    }

    pub fn join(&self) -> watch::Receiver<Reach> {
        self.watchers.fetch_add(1, Ordering::AcqRel);
        self.reach.subscribe()
    }

    pub fn leave(&self) {
        self.watchers.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Window {
    fn push(&mut self, recorded: Recorded) {
        // What was published while nobody watched is missing in between.
        if self.commits.back().is_some_and(|last| after(last) != recorded.position) {
            *self = Self::default();
        }
        self.bytes += recorded.commit.size();
        self.commits.push_back(Arc::new(recorded));
        while self.commits.len() > COMMITS_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.commits.pop_front() else { break };
            self.bytes -= oldest.commit.size();
        }
    }
}

/// The position after a commit's last event.
fn after(recorded: &Recorded) -> Position {
    recorded.position.plus(recorded.commit.events())
}

#[cfg(test)]
mod tests {
    use super::*;
    use capstan_ids::{Epoch, StreamName, WallTime};
    use capstan_journal::Commit;

    fn publish(feed: &Feed, first: u64, events: u64, bytes: usize) {
        let mut commit = Commit::new(WallTime(1));
        for _ in 0..events {
            commit.push(&StreamName::new("work").unwrap(), |buffer| buffer.resize(buffer.len() + bytes, 0));
        }
        let recorded = Recorded { position: Position::new(first), epoch: Epoch::new(1), commit };
        feed.publish(Position::new(first + events - 1), || recorded);
    }

    fn firsts(feed: &Feed, from: u64) -> Option<Vec<u64>> {
        feed.since(Position::new(from)).map(|some| some.iter().map(|recorded| recorded.position.get()).collect())
    }

    #[test]
    fn a_window_begins_anew_after_a_commit_that_it_missed() {
        let feed = Feed::new(Position::new(0));
        let receiver = feed.join();
        publish(&feed, 1, 2, 8);
        feed.leave();
        // A receiver still lives: the window is kept, and this one does not come into it.
        publish(&feed, 3, 2, 8);
        let _again = feed.join();
        publish(&feed, 5, 2, 8);

        assert_eq!(firsts(&feed, 3), None, "what it missed is read from the log");
        assert_eq!(firsts(&feed, 6), Some(vec![5]));
        drop(receiver);
    }

    #[test]
    fn a_position_that_the_window_does_not_reach_is_read_from_the_log() {
        let feed = Feed::new(Position::new(0));
        let _receiver = feed.join();
        publish(&feed, 11, 2, 8);

        assert_eq!(firsts(&feed, 10), None);
        assert_eq!(firsts(&feed, 12), Some(vec![11]));
        assert_eq!(firsts(&feed, 13), None);
    }

    #[test]
    fn one_watcher_takes_a_bounded_part_and_always_something() {
        let feed = Feed::new(Position::new(0));
        let _receiver = feed.join();
        for first in 1..=4 {
            publish(&feed, first, 1, TAKE_BYTES);
        }

        assert_eq!(firsts(&feed, 2), Some(vec![2]));
    }

    #[test]
    fn the_window_is_bounded() {
        let feed = Feed::new(Position::new(0));
        let _receiver = feed.join();
        for first in 1..=40 {
            publish(&feed, first, 1, TAKE_BYTES);
        }

        assert_eq!(firsts(&feed, 8), None);
        assert_eq!(firsts(&feed, 9), Some(vec![9]));
    }
}
