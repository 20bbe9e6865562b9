//! Leases that are renewed and get no further.
//!
//! Each session is looked at no sooner than one of its leases can be stuck, and at most once a second: however many
//! renewals there are, they cost nothing here.

use crate::apply::Applying;
use crate::event::Event;
use crate::item::{Item, Lease};
use crate::session::Session;
use crate::state::{Shared, WorkState};
use capstan_ids::{Millis, Monotonic, SessionName};

/// The shortest time between two looks at one session.
const LOOK_EVERY: Millis = Millis::secs(1);

impl WorkState {
    /// What a look at every session that is due for one comes to; what `is_over` says has ended in the same step.
    pub(crate) fn look_for_stuck(
        &self,
        now: Monotonic,
        is_over: &dyn Fn(&SessionName, u64) -> bool,
    ) -> Vec<(Option<SessionName>, Event)> {
        let mut events = Vec::new();
        for (_, name) in self.shared.looks.iter().take_while(|(at, _)| *at <= now) {
            let session = &self.sessions[name];
            for number in session.found_stuck(now).into_iter().filter(|number| !is_over(name, *number)) {
                events.extend(session.stuck_events(number).map(|event| (Some(name.clone()), event)));
            }
            events.push((Some(name.clone()), Event::LeasesLooked));
        }
        events
    }

    pub(crate) fn restart_looks(&mut self, now: Monotonic) {
        self.shared.looks.clear();
        for session in self.sessions.values_mut() {
            session.next_look = None;
            // Terms begin anew: nobody has stood still since.
            session.stuck = 0;
            session.schedule_look(&mut self.shared, now);
        }
    }
}

impl Session {
    /// Leases that have got no further for as long as the policy says, in a set order.
    fn found_stuck(&self, now: Monotonic) -> Vec<u64> {
        let Some(after) = self.policy.stuck_after else { return Vec::new() };
        let stands_still = |lease: &Lease| lease.may_get_stuck() && lease.moved + after <= now;
        let leased = self.leased.iter().copied();
        let mut stuck: Vec<u64> = leased.filter(|number| self.lease(*number).is_some_and(stands_still)).collect();
        stuck.sort_unstable();
        stuck
    }

    fn stuck_events(&self, number: u64) -> impl Iterator<Item = Event> {
        let revoke = self.policy.stuck_after.filter(|_| self.policy.revoke_stuck).map(|after| {
            let worker = self.lease(number).map(|lease| lease.worker.to_string()).unwrap_or_default();
            let reason = format!("{worker} got no further with it for {} s", after.get().div_ceil(1_000)).into();
            Event::LeaseRevoked { number, reason, cancel: false, counted: true }
        });
        std::iter::once(Event::LeaseStuck { number }).chain(revoke)
    }

    /// The next look is when the first of its leases can be stuck.
    pub(crate) fn schedule_look(&mut self, shared: &mut Shared, now: Monotonic) {
        if let Some(at) = self.next_look.take() {
            shared.looks.remove(&(at, self.name.clone()));
        }
        let Some(after) = self.policy.stuck_after else { return };
        let leases = self.leased.iter().filter_map(|number| self.items.get(*number).and_then(Item::lease));
        let first = leases.filter(|lease| lease.may_get_stuck()).map(|lease| lease.moved + after).min();
        if let Some(first) = first {
            let at = first.max(now + LOOK_EVERY);
            self.next_look = Some(at);
            shared.looks.insert((at, self.name.clone()));
        }
    }
}

impl Lease {
    /// It got further; whether it stood still before.
    pub(crate) fn move_on(&mut self, now: Monotonic) -> bool {
        self.moved = now;
        std::mem::take(&mut self.stuck)
    }

    /// Whether it counts as one that gets further: not one that is known to stand still, or was taken back.
    fn may_get_stuck(&self) -> bool {
        !self.stuck && self.revoked.is_none()
    }
}

impl Applying<'_> {
    pub(crate) fn mark_stuck(&mut self, number: u64) {
        if let Some(item) = self.session.items.get_mut(number)
            && let Some(lease) = &mut item.run_mut().lease
            && !lease.stuck
        {
            lease.stuck = true;
            self.session.stuck += 1;
        }
    }

    /// A lease that stood still gets further.
    pub(crate) fn unmark_stuck(&mut self) {
        self.session.stuck -= 1;
        self.expect_look();
    }

    /// A lease is new, or moves again. A session without a look to come has no other that moves.
    pub(crate) fn expect_look(&mut self) {
        if self.session.next_look.is_none()
            && let Some(after) = self.session.policy.stuck_after
        {
            let at = self.stamp.moment.monotonic + after.max(LOOK_EVERY);
            self.session.next_look = Some(at);
            self.shared.looks.insert((at, self.session.name.clone()));
        }
    }

    pub(crate) fn look_again(&mut self) {
        let now = self.stamp.moment.monotonic;
        self.session.schedule_look(self.shared, now);
    }
}
