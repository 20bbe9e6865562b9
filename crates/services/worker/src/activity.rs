//! What a worker is doing, for whoever looks: a terminal, a metric.

use capstan_coordination::{Holding, Leased, Progress};
use capstan_ids::Kind;
use std::collections::BTreeMap;
use std::time::Instant;
use tokio::sync::watch;

/// Everything a worker does and has done.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    /// What runs, by the token of its lease.
    pub running: BTreeMap<u64, Running>,
    /// What was done since the worker began, by kind.
    pub totals: BTreeMap<Kind, Totals>,
    /// Why nothing is dumped now, if so.
    pub hold: Option<String>,
    /// Why items of some kind are left to other workers for a while, if so: their parts lie in another spool.
    pub elsewhere: Option<String>,
    /// Why the coordinator cannot be reached, if so.
    pub away: Option<String>,
}

/// One item being worked on.
#[derive(Clone, Debug)]
pub struct Running {
    /// Which lease.
    pub holding: Holding,
    /// What sort of work.
    pub kind: Kind,
    /// The collection it is about.
    pub collection: Box<str>,
    /// How far it is, earlier holders' share included.
    pub progress: Progress,
    /// What is expected of it.
    pub expected: Progress,
    /// When this worker got it.
    pub since: Instant,
}

/// What was done of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Items completed.
    pub completed: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Items given back unfinished, or lost.
    pub returned: u64,
    /// Documents and bytes that went through it, finished or not.
    pub done: Progress,
}

/// Where tasks say what they do.
#[derive(Clone, Debug)]
pub(crate) struct Board(watch::Sender<Activity>);

/// How a task ended, for the totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Completed,
    Failed,
    Returned,
}

impl Board {
    pub fn new() -> Self {
        Self(watch::Sender::new(Activity::default()))
    }

    pub fn subscribe(&self) -> watch::Receiver<Activity> {
        self.0.subscribe()
    }

    pub fn begin(&self, leased: &Leased) {
        let running = Running {
            holding: leased.holding.clone(),
            kind: leased.kind.clone(),
            collection: leased.collection.clone(),
            progress: leased.progress,
            expected: leased.expected,
            since: Instant::now(),
        };
        self.0.send_modify(|activity| {
            activity.running.insert(running.holding.token.get(), running);
        });
    }

    pub fn advance(&self, leased: &Leased, to: Progress) {
        self.0.send_modify(|activity| {
            let Some(running) = activity.running.get_mut(&leased.holding.token.get()) else { return };
            let done = &mut activity.totals.entry(running.kind.clone()).or_default().done;
            // A task that starts over goes back; what it did is done all the same.
            done.documents += to.documents.saturating_sub(running.progress.documents);
            done.bytes += to.bytes.saturating_sub(running.progress.bytes);
            running.progress = to;
        });
    }

    pub fn end(&self, leased: &Leased, ended: Ended) {
        self.0.send_modify(|activity| {
            activity.running.remove(&leased.holding.token.get());
            let totals = activity.totals.entry(leased.kind.clone()).or_default();
            match ended {
                Ended::Completed => totals.completed += 1,
                Ended::Failed => totals.failed += 1,
                Ended::Returned => totals.returned += 1,
            }
        });
    }

    pub fn hold(&self, reason: Option<String>) {
        self.0.send_if_modified(|activity| std::mem::replace(&mut activity.hold, reason.clone()) != reason);
    }

    pub fn elsewhere(&self, reason: Option<String>) {
        self.0.send_if_modified(|activity| std::mem::replace(&mut activity.elsewhere, reason.clone()) != reason);
    }

    pub fn away(&self, reason: Option<String>) {
        self.0.send_if_modified(|activity| std::mem::replace(&mut activity.away, reason.clone()) != reason);
    }
}
