//! What an event does to the state. Cannot fail: what stands in the journal has happened.

use crate::event::Event;
use crate::groups::GroupKey;
use crate::item::{Ended, Item, ItemState, Lease, Past, Revoked};
use crate::session::{Ghost, Mode, Session};
use crate::state::{Due, Shared, Stamp, WorkState};
use capstan_ids::{ItemId, LimitName, SessionName, Token};

mod leases;
mod lifecycle;
mod links;
mod places;

impl WorkState {
    /// Makes an event true. `session` is none for what concerns all of them.
    pub fn apply(&mut self, stamp: Stamp, session: Option<&SessionName>, event: &Event) {
        let Some(name) = session else {
            match event {
                Event::LimitSet { name, value } => self.shared.limits.set(name, *value),
                Event::WorkerSeen { worker, slots, sessions, usage } => {
                    self.shared.slots.note(worker, (*slots, *usage), sessions, stamp.moment.wall);
                }
                _ => {}
            }
            return;
        };
        if let Event::SessionOpened { policy, notes } = event {
            self.open_session(stamp, name, policy, notes.as_deref());
            return;
        }
        let Some(session) = self.sessions.get_mut(name) else {
            debug_assert!(false, "an event of session {name}, which is not open: {event:?}");
            return;
        };
        let ended = Applying { session, shared: &mut self.shared, stamp, unsettled: Vec::new() }.event(event);
        if ended {
            self.sessions.remove(name);
        }
    }

    fn open_session(&mut self, stamp: Stamp, name: &SessionName, policy: &crate::Policy, notes: Option<&str>) {
        let mut session = Session::new(name.clone(), policy.clone(), notes.map(Into::into), stamp.moment.wall);
        // A session made again keeps what still counts of the one before it.
        if let Some(before) = self.sessions.remove(name) {
            for (token, ghost) in before.ghosts {
                for limit in &ghost.limits {
                    let place = session.limits.place(limit);
                    session.limits.granted(place);
                }
                session.add_ghost(token, ghost);
            }
        }
        self.sessions.insert(name.clone(), Box::new(session));
    }
}

/// One event being applied to one session.
pub(crate) struct Applying<'a> {
    pub session: &'a mut Session,
    pub shared: &'a mut Shared,
    pub stamp: Stamp,
    /// Groups whose standing has changed, so that what waits for them is to be looked at again.
    pub unsettled: Vec<u32>,
}

impl Applying<'_> {
    /// Applies it; true if the session is gone with it.
    fn event(&mut self, event: &Event) -> bool {
        match event {
            Event::SessionOpened { .. } => {}
            Event::SessionUpdated { policy, notes } => {
                self.session.policy = policy.clone();
                self.session.notes.clone_from(notes);
                self.session.updated = self.stamp.moment.wall;
                self.look_again();
            }
            Event::SessionDeleted => self.delete_session(),
            Event::ItemAdded { body, parent } => self.add(body, *parent),
            Event::ItemGranted { number, worker, length, key } => self.grant(*number, worker, *length, key.as_ref()),
            Event::LeaseRenewed { number, length, progress, checkpoint } => {
                self.renew(*number, *length, *progress);
                self.note(*number, checkpoint.as_deref());
            }
            Event::LeaseTouched { number, length, progress } => self.touch(*number, *length, *progress),
            Event::ProgressNoted { number, progress } => {
                self.session.change(*number, |item| item.run_mut().progress = *progress);
                self.note(*number, None);
            }
            Event::ItemCompleted { number, result, done, successors } => {
                self.complete(*number, result.as_deref(), *done, *successors);
            }
            Event::AttemptFailed { number, error, delay, progress, checkpoint } => {
                self.end_lease(*number, *progress, checkpoint.as_deref(), false, true);
                self.session.change(*number, |item| {
                    let run = item.run_mut();
                    run.attempts = run.attempts.saturating_add(1);
                    run.forgiven = 0;
                    run.last_error = Some(error.clone());
                    run.delay = *delay;
                });
                self.requeue(*number);
            }
            Event::ItemFailed { number, error, progress, checkpoint, ran_out } => {
                self.fail(*number, error, *progress, checkpoint.as_deref(), *ran_out);
            }
            Event::LeaseReleased { number, progress, checkpoint } => {
                let revoked = self.end_lease(*number, *progress, checkpoint.as_deref(), false, false).revoked;
                if revoked.is_some_and(|revoked| revoked.cancel) {
                    self.cancel_item(*number);
                } else {
                    self.requeue(*number);
                }
            }
            Event::LeaseExpired { number, counted, progress } => {
                self.expire(*number, *counted, *progress);
            }
            Event::LeaseRevoked { number, reason, cancel, counted } => self.revoke(*number, reason, *cancel, *counted),
            Event::ItemCancelled { number } => self.cancel_item(*number),
            Event::ItemRetried { number } => self.retry(*number),
            Event::ItemQueued { number } => {
                self.leave_delay(*number);
                self.enqueue(*number);
            }
            Event::PrioritySet { number, priority } => self.set_priority(*number, *priority),
            Event::ItemDeleted { number } => self.delete_item(*number),
            Event::ItemsDeleted => self.delete_items(),
            Event::GhostEnded { token } => self.end_ghost(*token),
            Event::LimitSet { name, value } => self.session.limits.set(name, *value),
            Event::GateHeld { group, gate } => {
                let place = self.session.groups.place(&GroupKey::Named(group.clone()));
                let group = self.session.groups.at_mut(place);
                group.opened.remove(gate);
                group.gates.insert(gate.clone());
                group.filled = true;
            }
            Event::GateOpened { group, gate } => {
                let place = self.session.groups.place(&GroupKey::Named(group.clone()));
                let group = self.session.groups.at_mut(place);
                group.gates.remove(gate);
                group.opened.insert(gate.clone());
                self.settle_group(place);
            }
            Event::SessionPaused { immediate, reason } => self.pause(*immediate, reason),
            Event::SessionResumed => self.resume(),
            Event::SessionCancelled { reason } => self.cancel(reason),
            Event::SessionClosed => self.session.mode = Mode::Closed,
            Event::ExpiriesSeen => self.session.unseen_expiries = 0,
            Event::LeaseStuck { number } => self.mark_stuck(*number),
            Event::LeasesLooked => self.look_again(),
            Event::WorkerSeen { .. } => {}
        }
        self.settle_waiters();
        self.open_undo_items();
        self.place_turn();
        self.session.mode == Mode::Deleted && self.session.ghosts.is_empty()
    }
}
