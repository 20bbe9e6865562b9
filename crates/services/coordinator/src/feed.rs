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

/// A window on the end of the log. Filled only while somebody watches.
#[derive(Debug)]
pub(crate) struct Feed {
    watchers: AtomicUsize,
    window: Mutex<Window>,
    durable: watch::Sender<Position>,
}

#[derive(Debug, Default)]
struct Window {
    commits: VecDeque<Arc<Recorded>>,
    bytes: usize,
}

impl Feed {
    pub fn new(durable: Position) -> Self {
        Self { watchers: AtomicUsize::new(0), window: Mutex::default(), durable: watch::Sender::new(durable) }
    }

    /// Shows a durable commit; `make` is called only if somebody watches.
    pub fn publish(&self, durable: Position, make: impl FnOnce() -> Recorded) {
        if self.watchers.load(Ordering::Acquire) > 0 {
            let recorded = make();
            let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
            window.bytes += recorded.commit.size();
            window.commits.push_back(Arc::new(recorded));
            while window.commits.len() > COMMITS_MAX || window.bytes > BYTES_MAX {
                let Some(oldest) = window.commits.pop_front() else { break };
                window.bytes -= oldest.commit.size();
            }
        } else if self.durable.receiver_count() == 0 {
            let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
            *window = Window::default();
        }
        self.durable.send_replace(durable);
    }

    /// Commits that hold `from` and what comes after, if the window reaches back that far.
    pub fn since(&self, from: Position) -> Option<Vec<Arc<Recorded>>> {
        let window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.commits.front().is_none_or(|first| first.position > from) {
            return None;
        }
        let commits = window.commits.iter().filter(|commit| commit.position.plus(commit.commit.events()) > from);
        Some(commits.cloned().collect())
    }

    pub fn begin(&self) -> watch::Receiver<Position> {
        self.watchers.fetch_add(1, Ordering::AcqRel);
        self.durable.subscribe()
    }

    pub fn end(&self) {
        self.watchers.fetch_sub(1, Ordering::AcqRel);
    }
}
