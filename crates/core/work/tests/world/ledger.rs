//! Who holds what, by the events alone: an account that shares no code with the crate's own.

use super::Entry;
use capstan_ids::{Position, SessionName, WorkerId};
use capstan_work::Event;
use std::collections::{BTreeMap, BTreeSet};

/// Live leases by session and number, the highest token so far, and what is finished for good.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub live: BTreeMap<(SessionName, u64), (Position, WorkerId)>,
    pub highest: Position,
    final_ones: BTreeSet<(SessionName, u64)>,
    /// Leases whose item was removed under them, by the id the item had.
    ghosts: BTreeMap<(SessionName, u64), String>,
    ids: BTreeMap<(SessionName, u64), String>,
    next_number: BTreeMap<SessionName, u64>,
}

impl Ledger {
    /// Enters an event, and panics where it breaks a promise.
    pub fn see(&mut self, entry: &Entry) {
        assert!(entry.position > self.highest, "positions grow");
        self.highest = entry.position;
        let Some(session) = &entry.session else { return };
        let at = |number: u64| (session.clone(), number);
        match &entry.event {
            Event::SessionOpened { .. } => {
                self.next_number.insert(session.clone(), 0);
            }
            Event::ItemAdded { body, .. } => {
                let next = self.next_number.entry(session.clone()).or_default();
                self.ids.insert((session.clone(), *next), body.id().to_owned());
                *next += 1;
            }
            Event::ItemGranted { number, worker, .. } => {
                let before = self.live.insert(at(*number), (entry.position, worker.clone()));
                assert_eq!(before, None, "W1: two live leases of item {number} of {session}");
                assert!(!self.final_ones.contains(&at(*number)), "W4: item {number} of {session} is done, and granted");
                let id = &self.ids[&at(*number)];
                let haunted = self.ghosts.iter().any(|((of, _), ghost)| of == session && ghost == id);
                assert!(!haunted, "W1: {id} of {session} is granted while the lease of the one before it lives");
            }
            Event::ItemCompleted { number, .. } => {
                assert!(self.live.remove(&at(*number)).is_some(), "W4: nobody held item {number} of {session}");
                assert!(self.final_ones.insert(at(*number)), "W4: item {number} of {session} is completed twice");
            }
            Event::AttemptFailed { number, .. }
            | Event::ItemFailed { number, .. }
            | Event::LeaseReleased { number, .. }
            | Event::LeaseExpired { number, .. } => {
                assert!(self.live.remove(&at(*number)).is_some(), "nobody held item {number} of {session}");
            }
            Event::ItemDeleted { number } => self.remove(session, *number),
            Event::ItemsDeleted | Event::SessionDeleted => {
                let numbers: Vec<u64> = self.ids.range(at(0)..=at(u64::MAX)).map(|((_, number), _)| *number).collect();
                for number in numbers {
                    self.remove(session, number);
                }
            }
            Event::GhostEnded { token } => {
                assert!(
                    self.ghosts.remove(&(session.clone(), token.get())).is_some(),
                    "no removed item had lease {token}"
                );
            }
            _ => {}
        }
    }

    fn remove(&mut self, session: &SessionName, number: u64) {
        let id = self.ids.remove(&(session.clone(), number));
        if let (Some((token, _)), Some(id)) = (self.live.remove(&(session.clone(), number)), id) {
            self.ghosts.insert((session.clone(), token.get()), id);
        }
        self.final_ones.remove(&(session.clone(), number));
    }
}
