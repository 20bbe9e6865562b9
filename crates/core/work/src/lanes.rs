//! Ready items in the order they are handed out.
//!
//! A lane holds the items of one kind that count against the same limits. Whether a lane may grant is thus one
//! question, however many items wait in it, and a full limit never makes anybody search behind the items it stops.

use crate::item::{Item, ItemState};
use crate::items::Items;
use capstan_ids::Kind;
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

/// The most lanes of one session: kinds times sets of limits in use.
pub(crate) const LANES_MAX: usize = 4_096;

/// Every item counts against its kind and against `global`.
const PLAIN_LIMITS: usize = 2;

#[derive(Debug, Default)]
pub(crate) struct Lanes {
    list: Vec<Lane>,
    by_key: HashMap<(Kind, Box<[u32]>), u32>,
    /// Lanes of items that count against their kind and `global` alone.
    of_kinds: HashMap<Kind, u32>,
}

#[derive(Debug)]
pub(crate) struct Lane {
    pub kind: Kind,
    /// Places in the session's limits that a lease of this lane counts against.
    pub limits: Box<[u32]>,
    /// Attempts at items of this lane that failed; memory only.
    pub failed: u64,
    queues: BTreeMap<Reverse<i16>, VecDeque<Entry>>,
    /// Entries that are items' true places.
    ready: u64,
    /// Entries left behind by items that were taken from the middle.
    stale: u64,
}

/// An item's number and the lowest bits of its place, in eight bytes: the rest of the place stands in the item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry(u64);

const PLACE_BITS: u32 = 24;
/// What of a place an entry holds. When it comes round, entries of the round before must not seem true again.
pub(crate) const PLACE_MASK: u64 = (1 << PLACE_BITS) - 1;

impl Entry {
    fn new(number: u64, queued: u64) -> Self {
        Self(number << PLACE_BITS | queued & PLACE_MASK)
    }

    fn number(self) -> u64 {
        self.0 >> PLACE_BITS
    }

    fn is_true(self, lane: u32, priority: i16, items: &Items) -> bool {
        items.get(self.number()).is_some_and(|item| {
            item.state == ItemState::Ready
                && item.lane == lane
                && item.priority == priority
                && Self::new(self.number(), item.queued) == self
        })
    }
}

impl Lanes {
    pub fn place(&mut self, kind: &Kind, limits: Box<[u32]>) -> u32 {
        if let Some(place) = self.by_key.get(&(kind.clone(), limits.clone())) {
            return *place;
        }
        let place = self.list.len() as u32;
        if limits.len() == PLAIN_LIMITS {
            self.of_kinds.insert(kind.clone(), place);
        }
        self.by_key.insert((kind.clone(), limits.clone()), place);
        self.list.push(Lane { kind: kind.clone(), limits, failed: 0, queues: BTreeMap::new(), ready: 0, stale: 0 });
        place
    }

    /// The lane of items of a kind that have no limits of their own, if there is one.
    pub fn of_kind(&self, kind: &str) -> Option<u32> {
        self.of_kinds.get(kind).copied()
    }

    pub fn at(&self, lane: u32) -> &Lane {
        &self.list[lane as usize]
    }

    /// Counts an attempt at an item of a lane that failed.
    pub fn note_failure(&mut self, lane: u32) {
        self.list[lane as usize].failed += 1;
    }

    pub fn iter(&self) -> impl Iterator<Item = (u32, &Lane)> {
        (0..).zip(&self.list)
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Queues an item that is ready.
    pub fn push(&mut self, number: u64, item: &Item) {
        let lane = &mut self.list[item.lane as usize];
        lane.queues.entry(Reverse(item.priority)).or_default().push_back(Entry::new(number, item.queued));
        lane.ready += 1;
    }

    /// Takes an item out that was ready until now, and has already another state or place.
    pub fn take(&mut self, lane: u32, priority: i16, items: &Items) {
        let place = lane;
        let lane = &mut self.list[place as usize];
        lane.ready -= 1;
        lane.stale += 1;
        lane.drop_stale_head(place, priority, items);
        if lane.stale > lane.ready + 1_024 {
            lane.drop_stale(place, items);
        }
    }

    /// Drops every entry that is nobody's true place.
    pub fn forget_stale(&mut self, items: &Items) {
        for (place, lane) in (0..).zip(&mut self.list).filter(|(_, lane)| lane.stale > 0) {
            lane.drop_stale(place, items);
        }
    }

    pub fn clear_queues(&mut self) {
        for lane in &mut self.list {
            lane.queues.clear();
            lane.ready = 0;
            lane.stale = 0;
        }
    }
}

impl Lane {
    /// Ready items, first first.
    pub fn candidates<'a>(&'a self, place: u32, items: &'a Items) -> impl Iterator<Item = u64> + 'a {
        self.queues.iter().flat_map(move |(Reverse(priority), queue)| {
            queue.iter().filter(move |entry| entry.is_true(place, *priority, items)).map(|entry| entry.number())
        })
    }

    pub fn ready(&self) -> u64 {
        self.ready
    }

    fn drop_stale_head(&mut self, place: u32, priority: i16, items: &Items) {
        let Some(queue) = self.queues.get_mut(&Reverse(priority)) else { return };
        while queue.front().is_some_and(|entry| !entry.is_true(place, priority, items)) {
            queue.pop_front();
            self.stale -= 1;
        }
        if queue.is_empty() {
            self.queues.remove(&Reverse(priority));
        } else if queue.capacity() > 4_096 && queue.len() < queue.capacity() / 4 {
            queue.shrink_to(queue.len() * 2);
        }
    }

    fn drop_stale(&mut self, place: u32, items: &Items) {
        for (Reverse(priority), queue) in &mut self.queues {
            queue.retain(|entry| entry.is_true(place, *priority, items));
        }
        self.queues.retain(|_, queue| !queue.is_empty());
        self.stale = 0;
    }
}
