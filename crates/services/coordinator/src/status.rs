//! What a server is doing, for health checks and metrics; read without asking the owner.

use crate::failure::Failure;
use capstan_ids::{Epoch, Position};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering, fence};

/// Figures that the owner keeps and anybody may read.
#[derive(Debug, Default)]
pub struct Status {
    role: AtomicU8,
    closed: AtomicBool,
    epoch: AtomicU64,
    durable: AtomicU64,
    /// Backups that are being taken: nothing is let go of meanwhile.
    backups: AtomicU64,
    /// Commands decided since the start.
    pub commands: AtomicU64,
    /// Events made durable since the start.
    pub events: AtomicU64,
    /// Flushes since the start.
    pub flushes: AtomicU64,
    /// Bytes of events made durable since the start.
    pub bytes: AtomicU64,
    /// Microseconds spent in flushes since the start.
    pub flush_micros: AtomicU64,
    /// Requests refused because the queue was full.
    pub overloaded: AtomicU64,
    /// Acquirers that wait for work now.
    pub waiting: AtomicU64,
    /// Snapshots finished since the start.
    pub snapshots: AtomicU64,
    /// Snapshots that failed since the start.
    pub snapshots_failed: AtomicU64,
    /// Pipelines registered since the start.
    pub registrations: AtomicU64,
    /// Pipelines taken out since the start, by whoever asked or by time.
    pub unregistrations: AtomicU64,
    /// Status events of pipelines since the start.
    pub status_updates: AtomicU64,
}

/// While it lives nothing is let go of: what a backup is to hold stays until it was read.
#[derive(Debug)]
pub(crate) struct Hold(Arc<Status>);

impl Hold {
    pub fn on(status: &Arc<Status>) -> Self {
        status.backups.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(status))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.backups.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What a server may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Reading the log; answers nothing yet.
    Starting,
    /// The one that writes.
    Leader,
    /// Follows another.
    Standby,
    /// Draining its queue.
    Stopping,
    /// Its journal failed.
    Failed,
}

impl Role {
    /// Its name outside.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Leader => "leader",
            Self::Standby => "standby",
            Self::Stopping => "stopping",
            Self::Failed => "failed",
        }
    }
}

impl Status {
    /// What the server may do now.
    pub fn role(&self) -> Role {
        match self.role.load(Ordering::Acquire) {
            0 => Role::Starting,
            1 => Role::Leader,
            2 => Role::Standby,
            3 => Role::Stopping,
            _ => Role::Failed,
        }
    }

    /// The leadership it writes under.
    pub fn epoch(&self) -> Epoch {
        Epoch::new(self.epoch.load(Ordering::Acquire))
    }

    /// Everything up to here is durable.
    pub fn durable(&self) -> Position {
        Position::new(self.durable.load(Ordering::Acquire))
    }

    pub(crate) fn set_role(&self, role: Role) {
        self.role.store(role as u8, Ordering::Release);
    }

    /// Turns away what comes from now on, unless another role says so already.
    pub(crate) fn begin_stopping(&self) {
        let (leader, stopping) = (Role::Leader as u8, Role::Stopping as u8);
        // Whoever is fenced or broken keeps saying that.
        let _ = self.role.compare_exchange(leader, stopping, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Nothing is decided any more, and the queue is about to be emptied for the last time.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // Pairs with the one in `is_closed`: who queued too late to be told sees it there.
        fence(Ordering::SeqCst);
    }

    /// Whether what was queued just now may never be looked at.
    pub(crate) fn is_closed(&self) -> bool {
        fence(Ordering::SeqCst);
        self.closed.load(Ordering::SeqCst)
    }

    /// Why an owner that has ended answers nothing.
    pub(crate) fn why_gone(&self) -> Failure {
        match self.role() {
            Role::Failed => Failure::JournalBroken,
            Role::Standby => Failure::NotLeader { leader: None },
            Role::Starting | Role::Leader | Role::Stopping => Failure::Stopped,
        }
    }

    /// Whether somebody takes a backup now.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.backups.load(Ordering::Acquire) > 0
    }

    /// Counts what happened to pipelines.
    pub(crate) fn count_pipeline(&self, event: &capstan_registry::Event) {
        use capstan_registry::Event;
        let counter = match event {
            Event::PipelineRegistered { .. } => &self.registrations,
            Event::PipelineUnregistered { .. } => &self.unregistrations,
            Event::PipelineStatusUpdated { .. } => &self.status_updates,
            _ => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_waiting(&self, waiters: u64) {
        self.waiting.store(waiters, Ordering::Relaxed);
    }

    pub(crate) fn set_epoch(&self, epoch: Epoch) {
        self.epoch.store(epoch.get(), Ordering::Release);
    }

    pub(crate) fn set_durable(&self, position: Position) {
        self.durable.store(position.get(), Ordering::Release);
    }
}
