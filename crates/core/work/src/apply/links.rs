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
        if let Some(place) = self.session.groups.find(key) {
            return place;
        }
        let place = self.session.groups.place(key);
        let GroupKey::OfItem(id) = key else { return place };
        let mut family: Vec<u64> = self.session.items.find(id.as_str()).into_iter().collect();
        let mut broken = 0;
        while let Some(number) = family.pop() {
            self.session.groups.at_mut(place).filled = true;
            let Some(item) = self.session.items.get(number) else { continue };
            family.extend(item.run.iter().flat_map(|run| &run.children));
            broken += u64::from(matches!(item.state, ItemState::Failed | ItemState::Cancelled));
            if item.state != ItemState::Completed {
                self.join(number, place);
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

    /// An item failed or was cancelled: what waits for it is blocked.
    pub(super) fn break_groups(&mut self, number: u64) {
        for place in self.session.item(number).groups().to_vec() {
            self.session.groups.at_mut(place).broken += 1;
            self.settle_group(place);
        }
    }

    /// A failed item goes on: what waits for it waits again.
    pub(super) fn mend_groups(&mut self, number: u64) {
        for place in self.session.item(number).groups().to_vec() {
            self.session.groups.at_mut(place).broken -= 1;
            self.settle_group(place);
        }
    }

    /// Looks again at everything that waits for a group.
    pub(super) fn settle_group(&mut self, place: u32) {
        let group = self.session.groups.at_mut(place);
        let waiters = if group.empties() { std::mem::take(&mut group.waiters) } else { group.waiters.clone() };
        for number in waiters {
            let waits = self
                .session
                .items
                .get(number)
                .is_some_and(|item| matches!(item.state, ItemState::Waiting | ItemState::Blocked));
            if waits {
                self.settle(number);
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
