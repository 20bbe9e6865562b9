//! Sessions pausing, ending and going, and items leaving before their time.

use super::{Applying, Due, Ghost, ItemId, ItemState, LimitName, Mode, Token};
use crate::counts::{Counts, Tallies};
use crate::groups::Groups;
use capstan_ids::Millis;

impl Applying<'_> {
    pub(super) fn pause(&mut self, immediate: bool, reason: &str) {
        self.session.mode = Mode::Paused(reason.into());
        if immediate {
            for number in self.session.leased.iter().copied().collect::<Vec<_>>() {
                self.revoke(number, reason, false, false);
            }
        }
    }

    pub(super) fn resume(&mut self) {
        self.session.mode = Mode::Running;
        for number in self.numbers_in(ItemState::Failed) {
            self.retry(number);
        }
    }

    pub(super) fn cancel(&mut self, reason: &str) {
        self.session.mode = Mode::Cancelled(reason.into());
        // Nothing stays queued: emptying the queues at once is cheaper than taking each item out of its own.
        self.session.lanes.clear_queues();
        for number in self.session.items.numbers() {
            match self.session.item(number).state {
                ItemState::Assigned => self.revoke(number, reason, true, false),
                ItemState::Ready => {
                    self.session.change(number, |item| item.state = ItemState::Cancelled);
                    self.break_groups(number);
                }
                ItemState::Waiting | ItemState::Blocked | ItemState::Delayed | ItemState::Failed => {
                    self.cancel_item(number);
                }
                ItemState::Completed | ItemState::Cancelled | ItemState::Dormant => {}
            }
        }
    }

    /// Undo items of a cancelled session become pending once no lease can change anything any more.
    pub(super) fn open_undo_items(&mut self) {
        if !self.session.is_cancelled()
            || self.session.counts.of(ItemState::Dormant) == 0
            || self.session.has_live_leases()
        {
            return;
        }
        for number in self.numbers_in(ItemState::Dormant) {
            self.session.change(number, |item| item.links = None);
            self.requeue(number);
        }
    }

    pub(super) fn cancel_item(&mut self, number: u64) {
        let was = self.session.item(number).state;
        self.leave_place(number, ItemState::Cancelled);
        // A failed or blocked item has broken its groups already, and an undo item belongs to none.
        if !was.breaks_groups() && was != ItemState::Dormant {
            self.break_groups(number);
        }
    }

    pub(super) fn retry(&mut self, number: u64) {
        self.session.change(number, |item| {
            item.state = ItemState::Waiting;
            let run = item.run_mut();
            run.attempts = 0;
            run.forgiven = 0;
            run.delay = Millis::ZERO;
        });
        self.mend_groups(number);
        self.settle(number);
    }

    pub(super) fn delete_item(&mut self, number: u64) {
        let state = self.session.item(number).state;
        self.haunt(number);
        self.forget_unnoted(number);
        if !state.is_final() {
            self.leave_place(number, ItemState::Cancelled);
        }
        let groups = self.session.item(number).groups().to_vec();
        let broken = state.breaks_groups();
        self.adopt_children(number);
        if let Some(item) = self.session.items.remove(number) {
            self.session.counts.leave(&item);
            self.session.tallies.leave(&item);
        }
        if state == ItemState::Completed {
            self.session.completed.retain(|n| *n != number);
        }
        for place in groups.into_iter().filter(|_| state != ItemState::Completed && state != ItemState::Dormant) {
            self.session.groups.at_mut(place).unfinished -= 1;
            if broken {
                self.mend_group(place);
            }
            self.settle_group(place);
        }
    }

    /// What came of a removed item counts as come of its parent, so that who waits for that one waits for them too.
    fn adopt_children(&mut self, number: u64) {
        let children = self.session.item(number).run.as_ref().map_or(Vec::new(), |run| run.children.clone());
        if children.is_empty() {
            return;
        }
        let is_parent = |run: &crate::item::Run| run.children.contains(&number);
        let parent = self.session.items.iter().find(|(_, item)| item.run.as_deref().is_some_and(is_parent));
        if let Some((parent, _)) = parent {
            self.session.change(parent, |item| item.run_mut().children.extend(children));
        }
    }

    pub(super) fn delete_items(&mut self) {
        for number in self.session.leased.iter().copied().collect::<Vec<_>>() {
            self.haunt(number);
            self.forget_unnoted(number);
        }
        for number in self.numbers_in(ItemState::Delayed) {
            self.leave_delay(number);
        }
        let next = self.session.items.next_number();
        // Freeing a million items takes longer than anybody should wait: it is done a little at a time.
        self.shared.removed.push(std::mem::take(&mut self.session.items));
        self.session.items.skip_to(next);
        self.session.lanes.clear_queues();
        self.session.groups = Groups::default();
        self.session.counts = Counts::default();
        self.session.tallies = Tallies::default();
        self.session.forgotten = Counts::default();
        self.session.completed.clear();
        self.session.started = None;
    }

    pub(super) fn delete_session(&mut self) {
        self.delete_items();
        self.session.mode = Mode::Deleted;
        self.session.workers.clear();
        self.look_again();
    }

    /// A live lease outlives its item as a ghost: it counts, and its id is granted to nobody, until it is over.
    fn haunt(&mut self, number: u64) {
        let Some(lease) = self.session.lease(number).cloned() else { return };
        let item = self.session.item(number);
        let limits: Vec<LimitName> = self
            .session
            .lanes
            .at(item.lane)
            .limits
            .iter()
            .map(|place| self.session.limits.at(*place).name.clone())
            .collect();
        let ghost = Ghost {
            item: ItemId::new(item.body.id()).expect("bodies hold valid ids"),
            worker: lease.worker.clone(),
            length: lease.length,
            limits,
            deadline: lease.deadline,
        };
        // The limits stay counted; the alarm and the key change owners.
        self.shared.silence(lease.deadline, &self.session.name, Due::Item(number));
        self.shared.alarm(lease.deadline, &self.session.name, Due::Ghost(lease.token));
        if let Some(key) = &lease.key {
            self.shared.forget(&lease.worker, key, &self.session.name, number);
        }
        let record = self.see_worker(&lease.worker);
        record.held = record.held.saturating_sub(1);
        self.session.change(number, |item| item.run_mut().lease = None);
        self.session.leased.remove(&number);
        self.session.stuck -= u64::from(lease.stuck);
        self.session.add_ghost(lease.token, ghost);
    }

    pub(super) fn is_haunted(&self, number: u64) -> bool {
        !self.session.haunts.is_empty() && self.session.haunts.contains_key(self.session.item(number).body.id())
    }

    pub(super) fn end_ghost(&mut self, token: Token) {
        let Some(ghost) = self.session.remove_ghost(token) else { return };
        self.shared.silence(ghost.deadline, &self.session.name, Due::Ghost(token));
        for name in &ghost.limits {
            let place = self.session.limits.place(name);
            self.session.limits.ended(place);
            let place = self.shared.limits.place(name);
            self.shared.limits.ended(place);
        }
        let again = self.session.items.find(ghost.item.as_str());
        if let Some(number) = again.filter(|number| self.session.item(*number).state == ItemState::Delayed) {
            self.requeue(number);
        }
    }

    fn numbers_in(&self, state: ItemState) -> Vec<u64> {
        if self.session.counts.of(state) == 0 {
            return Vec::new();
        }
        self.session.items.iter().filter(|(_, item)| item.state == state).map(|(number, _)| number).collect()
    }
}
