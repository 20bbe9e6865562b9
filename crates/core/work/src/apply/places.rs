//! Where an item goes: into a queue, to wait for its groups, or to wait out a time.

use super::{Applying, Due, GroupKey, Item, ItemState, Session};
use crate::body::ItemBody;
use crate::command::WaitsFor;
use crate::lanes::PLACE_MASK;
use capstan_ids::{Millis, SessionName};

impl Applying<'_> {
    pub(super) fn add(&mut self, body: &ItemBody, parent: Option<u64>) {
        let plain = body.plain().filter(|_| parent.is_none() && self.session.groups.of_item(body.id()).is_none());
        match plain.and_then(|plain| Some((plain, self.session.lanes.of_kind(plain.kind)?))) {
            Some((plain, lane)) => self.add_plain(body, plain.priority, lane),
            None => self.add_tied(body, parent),
        }
    }

    /// Most items: nothing to join, nothing to wait for, in a lane that is known.
    fn add_plain(&mut self, body: &ItemBody, priority: i16, lane: u32) {
        let (state, created) = (ItemState::Waiting, self.stamp.moment.wall);
        let item = Item {
            body: body.clone(),
            run: None,
            links: None,
            created,
            queued: 0,
            lane,
            priority,
            state,
            timed: false,
        };
        self.session.counts.enter(&item);
        self.session.tallies.enter(&item);
        let number = self.session.items.push(item);
        self.requeue(number);
    }

    fn add_tied(&mut self, body: &ItemBody, parent: Option<u64>) {
        let described = body.unpack();
        let names = Session::limit_names(&described.kind, &described.limits);
        let limits = names.iter().map(|name| self.session.limits.place(name)).collect();
        let lane = self.session.lanes.place(&described.kind, limits);
        let item = Item {
            body: body.clone(),
            run: None,
            links: None,
            created: self.stamp.moment.wall,
            queued: 0,
            lane,
            priority: described.priority,
            state: if described.undo { ItemState::Dormant } else { ItemState::Waiting },
            timed: described.not_before.is_some(),
        };
        self.session.counts.enter(&item);
        self.session.tallies.enter(&item);
        let number = self.session.items.push(item);
        let waits: Vec<u32> = described
            .waits_for
            .iter()
            .map(|wait| match wait {
                WaitsFor::Group(name) => self.session.groups.place(&GroupKey::Named(name.clone())),
                WaitsFor::Item(id) => self.group_of_item(&GroupKey::OfItem(id.clone())),
            })
            .collect();
        let mut groups: Vec<u32> =
            described.groups.iter().map(|name| self.session.groups.place(&GroupKey::Named(name.clone()))).collect();
        if let Some(place) = self.session.groups.of_item(body.id()) {
            // The group of an item of this id that is done and gone: who waits for the new one waits anew.
            let done = self.session.groups.at(place).emptied;
            let key = self.session.groups.at(place).key.clone();
            groups.push(if done { self.session.groups.begin(&key) } else { place });
        }
        if let Some(parent) = parent {
            self.session.change(parent, |item| item.run_mut().children.push(number));
            // A successor takes its parent's groups, but for those it waits for itself.
            groups.extend(self.session.item(parent).groups().iter().filter(|place| !waits.contains(place)));
        }
        groups.sort_unstable();
        groups.dedup();
        if !described.undo {
            for place in &groups {
                self.join(number, *place);
                self.session.groups.at_mut(*place).waits_for.extend(waits.iter().copied());
            }
        }
        for place in &waits {
            let group = self.session.groups.at_mut(*place);
            if !group.emptied {
                group.waiters.push(number);
            }
        }
        if !waits.is_empty()
            && let Some(item) = self.session.items.get_mut(number)
        {
            item.links.get_or_insert_default().waits_for = waits;
        }
        if !described.undo {
            self.settle(number);
        }
    }

    /// Puts an unleased, unfinished item where it belongs now.
    pub(super) fn settle(&mut self, number: u64) {
        let was = self.session.item(number).state;
        let awaited = self.awaited(number);
        match awaited {
            Some(state) => self.session.change(number, |item| item.state = state),
            None => self.requeue(number),
        }
        match (was == ItemState::Blocked, awaited == Some(ItemState::Blocked)) {
            (false, true) => self.break_groups(number),
            (true, false) => self.mend_groups(number),
            (false, false) | (true, true) => {}
        }
    }

    /// Queues an item that waits for nothing but, perhaps, a time.
    pub(super) fn requeue(&mut self, number: u64) {
        let (name, moment) = (self.session.name.clone(), self.stamp.moment);
        let item = self.session.item(number);
        let delay = item.run.as_ref().map_or(Millis::ZERO, |run| run.delay);
        if delay > Millis::ZERO {
            let until = moment.monotonic + delay;
            self.session.change(number, |item| {
                item.state = ItemState::Delayed;
                item.run_mut().delayed_until = until;
            });
            self.shared.alarm(until, &name, Due::Item(number));
        } else if self.is_haunted(number) {
            self.session.change(number, |item| item.state = ItemState::Delayed);
        } else if let Some(at) = item.not_before().filter(|at| *at > moment.wall) {
            self.session.change(number, |item| item.state = ItemState::Delayed);
            self.shared.calendar.insert((at, name, number));
        } else {
            self.enqueue(number);
        }
    }

    /// Queues an item as new.
    pub(super) fn enqueue(&mut self, number: u64) {
        let queued = self.session.queued;
        self.session.queued += 1;
        if queued & PLACE_MASK == 0 {
            self.session.lanes.forget_stale(&self.session.items);
        }
        self.session.change(number, |item| {
            item.state = ItemState::Ready;
            item.queued = queued;
        });
        let session = &mut *self.session;
        session.lanes.push(number, session.items.get(number).expect("it was just changed"));
    }

    /// Forgets what a delayed item waits out.
    pub(super) fn leave_delay(&mut self, number: u64) {
        let (name, not_before) = (self.session.name.clone(), self.session.item(number).not_before());
        if let Some(at) = not_before {
            self.shared.calendar.remove(&(at, name.clone(), number));
        }
        let until = self.session.change(number, |item| {
            let run = item.run.as_mut()?;
            let until = (run.delay > Millis::ZERO).then_some(run.delayed_until);
            run.delay = Millis::ZERO;
            until
        });
        if let Some(until) = until {
            self.shared.silence(until, &name, Due::Item(number));
        }
    }

    /// Takes an item out of whatever it waits in, before its state changes for another reason.
    pub(super) fn leave_place(&mut self, number: u64, state: ItemState) {
        let item = self.session.item(number);
        let (was, lane, priority) = (item.state, item.lane, item.priority);
        if was == ItemState::Delayed {
            self.leave_delay(number);
        }
        self.session.change(number, |item| item.state = state);
        if was == ItemState::Ready {
            self.session.lanes.take(lane, priority, &self.session.items);
        }
    }

    pub(super) fn set_priority(&mut self, number: u64, priority: i16) {
        let item = self.session.item(number);
        let (was, lane, before) = (item.state, item.lane, item.priority);
        self.session.change(number, |item| item.priority = priority);
        if was == ItemState::Ready && before != priority {
            // Among its new equals it queues as new: it has waited among others until now.
            self.session.lanes.take(lane, before, &self.session.items);
            self.enqueue(number);
        }
    }

    /// Gives the session its place among those that have ready work.
    pub(super) fn place_turn(&mut self) {
        let wanted = self.session.hands_out().then_some(self.session.served);
        if self.session.turn == wanted {
            return;
        }
        let name: SessionName = self.session.name.clone();
        if let Some(turn) = self.session.turn {
            self.shared.turns.remove(&(turn, name.clone()));
        } else if let Some((least, _)) = self.shared.turns.first() {
            // Coming back with nothing served meanwhile is no claim on the past.
            self.session.served = self.session.served.max(*least);
        }
        self.session.turn = wanted.map(|_| self.session.served);
        if let Some(turn) = self.session.turn {
            self.shared.turns.insert((turn, name));
        }
    }
}
