//! What the seat and the turns tell one another.

use super::term::Leadership;
use capstan_ids::{Epoch, Monotonic, Position};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The state between both threads.
#[derive(Debug)]
pub(crate) struct Shared {
    known: Mutex<Known>,
    changed: Condvar,
}

/// What is known now.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The leadership that this server has, and its gate.
    pub elected: Option<(Epoch, Leadership)>,
    /// Where the leader is reached, this server included.
    pub leader: Option<String>,
    /// The highest epoch seen, in the register or in the journal.
    pub highest: Epoch,
    /// The end of the log as this server has seen it: it never comes earlier, unless the database was set back.
    pub reached: Position,
    /// When the turns last read the log to its end: whoever cannot read it does not run for the place.
    pub followed: Option<Monotonic>,
    /// The turns cannot lead, or no longer: the seat gives the place up.
    pub give_up: Option<Epoch>,
    /// The server stops.
    pub stopping: bool,
    /// The owner has ended: the place may be left.
    pub left: bool,
    /// Why the register cannot be reached.
    pub trouble: Option<String>,
}

impl Shared {
    pub fn new() -> Self {
        Self { known: Mutex::default(), changed: Condvar::new() }
    }

    pub fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known, and wakes the other.
    pub fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.known());
        self.changed.notify_all();
    }

    /// The server stops.
    pub fn stop(&self) {
        self.change(|known| known.stopping = true);
    }

    /// Waits until something that `done` looks for is known, for so long at the most.
    pub fn wait(&self, longest: Duration, done: impl Fn(&Known) -> bool) {
        let guard = self.known();
        let waited = self.changed.wait_timeout_while(guard, longest, |known| !done(known));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}
