//! Sets of items that others wait for.
//!
//! A group is empty when every item in it, and whatever came of them, is completed and none of its gates is held. One
//! that never held an item or a gate is not empty; once empty it stays so.

use capstan_ids::{GateName, GroupName, ItemId};
use hashbrown::HashMap;
use minicbor::{Decode, Encode};
use std::collections::BTreeSet;

/// What names a group: a name, or the item that it holds with all its successors.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub(crate) enum GroupKey {
    #[n(0)]
    Named(#[n(0)] GroupName),
    #[n(1)]
    OfItem(#[n(0)] ItemId),
}

impl std::fmt::Display for GroupKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(name) => name.fmt(f),
            Self::OfItem(item) => write!(f, "item {item}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub key: GroupKey,
    /// Gates that are held.
    pub gates: BTreeSet<GateName>,
    /// Gates that were opened: opening one again is no mistake.
    pub opened: BTreeSet<GateName>,
    /// Items in it that are not completed.
    pub unfinished: u64,
    /// Of those, failed, cancelled and blocked ones.
    pub broken: u64,
    /// It has held an item or a gate.
    pub filled: bool,
    /// It has been empty, and stays so.
    pub emptied: bool,
    /// Items that wait for it.
    pub waiters: Vec<u64>,
    /// Groups that items of this one wait for.
    pub waits_for: BTreeSet<u32>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Groups {
    places: HashMap<GroupKey, u32>,
    list: Vec<Group>,
    /// Whether any group is of one item, so that added items must be looked up.
    of_items: bool,
}

impl Groups {
    pub fn place(&mut self, key: &GroupKey) -> u32 {
        if let Some(place) = self.places.get(key) {
            return *place;
        }
        self.begin(key)
    }

    /// A new group; one of the same key before it is no longer found, but stays for those that wait for it.
    pub fn begin(&mut self, key: &GroupKey) -> u32 {
        let place = self.list.len() as u32;
        self.of_items |= matches!(key, GroupKey::OfItem(_));
        self.places.insert(key.clone(), place);
        self.list.push(Group {
            key: key.clone(),
            gates: BTreeSet::new(),
            opened: BTreeSet::new(),
            unfinished: 0,
            broken: 0,
            filled: false,
            emptied: false,
            waiters: Vec::new(),
            waits_for: BTreeSet::new(),
        });
        place
    }

    pub fn find(&self, key: &GroupKey) -> Option<u32> {
        self.places.get(key).copied()
    }

    /// The group of an item and its successors, if anybody waits for it.
    pub fn of_item(&self, id: &str) -> Option<u32> {
        if !self.of_items {
            return None;
        }
        self.find(&GroupKey::OfItem(ItemId::new(id).ok()?))
    }

    pub fn at(&self, place: u32) -> &Group {
        &self.list[place as usize]
    }

    pub fn at_mut(&mut self, place: u32) -> &mut Group {
        &mut self.list[place as usize]
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &Group)> {
        (0..).zip(&self.list)
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }
}

impl Group {
    /// Marks it empty if it is so now; true only the first time.
    pub fn empties(&mut self) -> bool {
        let empties = self.filled && !self.emptied && self.unfinished == 0 && self.gates.is_empty();
        self.emptied |= empties;
        empties
    }

    /// Whether something waits, or has waited, for it.
    pub fn is_awaited(&self) -> bool {
        !self.waiters.is_empty()
    }
}
