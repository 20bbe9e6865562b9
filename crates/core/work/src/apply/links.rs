//! Groups filling, emptying and breaking, and the items that wait for them.

use super::{Applying, GroupKey, ItemState};

impl Applying<'_> {
    /// Puts an unfinished item into a group.
    pub(super) fn join(&mut self, number: u64, place: u32) {
        let group = self.session.groups.at_mut(place);
        group.unfinished += 1;
        group.filled = true;
        if let Some(item) = self.session.items.get_mut(number) {
            item.links.get_or_insert_default().groups.push(place);
        }
    }

    /// The place of a group of one item, made from that item and all that came of it so far.
    pub(super) fn group_of_item(&mut self, key: &GroupKey) -> u32 {
        let GroupKey::OfItem(id) = key else { return self.session.groups.place(key) };
        let there = self.session.items.find(id.as_str());
        if let Some(place) = self.session.groups.find(key) {
            // One that is done, of an item that is gone, says nothing of the item that is about to be added.
            if there.is_some() || !self.session.groups.at(place).emptied {
                return place;
            }
        }
        let place = self.session.groups.begin(key);
        let mut family: Vec<u64> = there.into_iter().collect();
        let mut broken = 0;
        while let Some(number) = family.pop() {
            self.session.groups.at_mut(place).filled = true;
            let Some(item) = self.session.items.get(number) else { continue };
            family.extend(item.run.iter().flat_map(|run| &run.children));
            broken += u64::from(item.state.breaks_groups());
            if item.state != ItemState::Completed {
                let waits = item.waits_for().to_vec();
                self.join(number, place);
                self.session.groups.at_mut(place).waits_for.extend(waits);
            }
        }
        let group = self.session.groups.at_mut(place);
        group.broken += broken;
        group.empties();
        place
    }

    /// An item was completed: its groups hold one less.
    pub(super) fn leave_groups(&mut self, number: u64) {
        for place in self.session.item(number).groups().to_vec() {
            self.session.groups.at_mut(place).unfinished -= 1;
            self.settle_group(place);
        }
    }

    /// An item failed, was cancelled or is blocked: what waits for it is blocked.
    pub(super) fn break_groups(&mut self, number: u64) {
        for place in self.session.item(number).groups().to_vec() {
            let group = self.session.groups.at_mut(place);
            group.broken += 1;
            // Only the first one changes anything for those that wait.
            if group.broken == 1 {
                self.unsettled.push(place);
            }
        }
    }

    /// A failed or blocked item goes on: what waits for it waits again.
    pub(super) fn mend_groups(&mut self, number: u64) {
        for place in self.session.item(number).groups().to_vec() {
            self.mend_group(place);
        }
    }

    /// A group holds one item less that breaks it.
    pub(super) fn mend_group(&mut self, place: u32) {
        let group = self.session.groups.at_mut(place);
        group.broken -= 1;
        if group.broken == 0 {
            self.unsettled.push(place);
        }
    }

    /// Lets go of everything that waits for a group, if it is empty now.
    pub(super) fn settle_group(&mut self, place: u32) {
        if self.session.groups.at_mut(place).empties() {
            self.unsettled.push(place);
        }
    }

    /// Looks again at everything that waits for a group whose standing has changed, and at what waits for that.
    ///
    /// A list and not a recursion: chains may be long. It ends because groups never wait for each other.
    pub(super) fn settle_waiters(&mut self) {
        while let Some(place) = self.unsettled.pop() {
            let group = self.session.groups.at_mut(place);
            let waiters = if group.emptied { std::mem::take(&mut group.waiters) } else { group.waiters.clone() };
            for number in waiters {
                let waits = |item: &super::Item| matches!(item.state, ItemState::Waiting | ItemState::Blocked);
                if self.session.items.get(number).is_some_and(waits) {
                    self.settle(number);
                }
            }
        }
    }

    /// Whether an item's groups are all empty, and if not, whether one of them never will be by itself.
    pub(super) fn awaited(&self, number: u64) -> Option<ItemState> {
        let groups = &self.session.groups;
        let mut open = self
            .session
            .item(number)
            .waits_for()
            .iter()
            .map(|place| groups.at(*place))
            .filter(|group| !group.emptied)
            .peekable();
        open.peek()?;
        Some(if open.any(|group| group.broken > 0) { ItemState::Blocked } else { ItemState::Waiting })
    }
}
