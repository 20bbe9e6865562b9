//! The items of a session by number and by id, and a snapshot of them that nobody waits for.
//!
//! Items lie in blocks of 256 under the number they were given. Growing moves nothing, and blocks whose items are all
//! gone are freed. While a snapshot is taken, an item that changes before the slicer has reached it is saved as it
//! was: the snapshot is exactly the state at its beginning, and costs the owner a slice at a time.

use crate::item::Item;
use hashbrown::DefaultHashBuilder;
use hashbrown::HashTable;
use std::collections::{BTreeMap, VecDeque};
use std::hash::BuildHasher;

const BLOCK: u64 = 256;
/// Shards of the id index, so that growing one stops the owner for microseconds.
const SHARDS: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Items {
    blocks: VecDeque<Option<Box<Block>>>,
    first_block: u64,
    next: u64,
    count: u64,
    index: Index,
    snapshot: Option<Cut>,
}

#[derive(Debug)]
struct Block {
    live: u16,
    slots: [Option<Item>; BLOCK as usize],
}

/// A snapshot under way: items below `end` that the slicer has not reached at `cursor`.
#[derive(Debug)]
struct Cut {
    cursor: u64,
    end: u64,
    saved: BTreeMap<u64, Vec<u8>>,
}

/// What a slice of a snapshot came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Slice {
    /// Rows, and there may be more.
    Rows(Vec<Vec<u8>>),
    /// Every row has been given.
    Whole,
    /// What was being saved is gone: the rows given so far are no snapshot.
    Abandoned,
}

impl Items {
    /// The number that the next added item gets.
    pub fn next_number(&self) -> u64 {
        self.next
    }

    pub fn len(&self) -> u64 {
        self.count
    }

    pub fn get(&self, number: u64) -> Option<&Item> {
        let block = (number / BLOCK).checked_sub(self.first_block)?;
        self.blocks.get(usize::try_from(block).ok()?)?.as_ref()?.slots[(number % BLOCK) as usize].as_ref()
    }

    pub fn get_mut(&mut self, number: u64) -> Option<&mut Item> {
        self.save_before_change(number);
        let block = (number / BLOCK).checked_sub(self.first_block)?;
        self.blocks.get_mut(usize::try_from(block).ok()?)?.as_mut()?.slots[(number % BLOCK) as usize].as_mut()
    }

    pub fn find(&self, id: &str) -> Option<u64> {
        self.index.find(id, |number| self.get(number).is_some_and(|item| item.body.has_id(id)))
    }

    /// Adds an item under the next number.
    pub fn push(&mut self, item: Item) -> u64 {
        let number = self.next;
        self.put(number, item);
        number
    }

    /// Adds an item under a number it had before; numbers may be left out, and come in order.
    pub fn put(&mut self, number: u64, item: Item) {
        debug_assert!(number >= self.next, "numbers are given once");
        let block = number / BLOCK;
        if self.blocks.is_empty() {
            self.first_block = block;
        }
        while self.first_block + (self.blocks.len() as u64) <= block {
            self.blocks.push_back(None);
        }
        self.index.insert(number, item.body.id());
        let slot = self.blocks[(block - self.first_block) as usize]
            .get_or_insert_with(|| Box::new(Block { live: 0, slots: [const { None }; BLOCK as usize] }));
        slot.slots[(number % BLOCK) as usize] = Some(item);
        slot.live += 1;
        self.count += 1;
        self.next = number + 1;
    }

    /// Sets the next number after a restore, where the last items are gone.
    pub fn skip_to(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    pub fn remove(&mut self, number: u64) -> Option<Item> {
        self.save_before_change(number);
        let block = usize::try_from((number / BLOCK).checked_sub(self.first_block)?).ok()?;
        let holder = self.blocks.get_mut(block)?;
        let slots = holder.as_mut()?;
        let item = slots.slots[(number % BLOCK) as usize].take()?;
        slots.live -= 1;
        if slots.live == 0 {
            *holder = None;
        }
        while self.blocks.len() > 1 && self.blocks.front().is_some_and(Option::is_none) {
            self.blocks.pop_front();
            self.first_block += 1;
        }
        self.count -= 1;
        self.index.remove(number, item.body.id());
        Some(item)
    }

    /// Every item, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Item)> {
        self.iter_from(0)
    }

    /// Items from a number on, in the order they were added.
    pub fn iter_from(&self, from: u64) -> impl Iterator<Item = (u64, &Item)> {
        let skipped = (from / BLOCK).saturating_sub(self.first_block) as usize;
        self.blocks
            .iter()
            .enumerate()
            .skip(skipped)
            .flat_map(move |(index, block)| {
                let first = (self.first_block + index as u64) * BLOCK;
                block.iter().flat_map(move |block| {
                    block
                        .slots
                        .iter()
                        .enumerate()
                        .filter_map(move |(slot, item)| Some((first + slot as u64, item.as_ref()?)))
                })
            })
            .filter(move |(number, _)| *number >= from)
    }

    pub fn numbers(&self) -> Vec<u64> {
        self.iter().map(|(number, _)| number).collect()
    }

    /// Frees at most `most` blocks of items that are no longer part of anything; whether that was all.
    pub fn shed(&mut self, most: usize) -> bool {
        let most = most.min(self.blocks.len());
        drop(self.blocks.drain(..most));
        self.blocks.is_empty()
    }

    /// Starts a snapshot of the items as they are now.
    pub fn begin_snapshot(&mut self) {
        self.snapshot = Some(Cut { cursor: self.first_block * BLOCK, end: self.next, saved: BTreeMap::new() });
    }

    pub fn abandon_snapshot(&mut self) {
        self.snapshot = None;
    }

    /// The next rows of the snapshot, those of at most `most` numbers.
    pub fn snapshot_slice(&mut self, most: u64) -> Slice {
        let Some(mut cut) = self.snapshot.take() else { return Slice::Abandoned };
        if cut.cursor >= cut.end {
            return Slice::Whole;
        }
        let end = cut.end.min(cut.cursor + most);
        let later = cut.saved.split_off(&end);
        let mut rows = std::mem::replace(&mut cut.saved, later);
        for (number, item) in self.iter_from(cut.cursor).take_while(|(number, _)| *number < end) {
            rows.entry(number).or_insert_with(|| item.row(number));
        }
        cut.cursor = end;
        self.snapshot = Some(cut);
        Slice::Rows(rows.into_values().collect())
    }

    fn save_before_change(&mut self, number: u64) {
        let Some(cut) = &self.snapshot else { return };
        if number < cut.cursor || number >= cut.end || cut.saved.contains_key(&number) {
            return;
        }
        if let Some(row) = self.get(number).map(|item| item.row(number))
            && let Some(cut) = &mut self.snapshot
        {
            cut.saved.insert(number, row);
        }
    }
}

/// Ids to numbers. The ids themselves stay in the items: an entry is half of the id's hash and a number below 2^40, so
/// that a shard grows without looking at a single item.
#[derive(Debug)]
struct Index {
    hasher: DefaultHashBuilder,
    shards: Box<[HashTable<Entry>]>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: [u8; 4],
    number: [u8; 5],
}

impl Default for Index {
    fn default() -> Self {
        Self { hasher: DefaultHashBuilder::default(), shards: (0..SHARDS).map(|_| HashTable::new()).collect() }
    }
}

impl Entry {
    fn new(hash: u64, number: u64) -> Self {
        let number = number.to_le_bytes();
        Self { hash: (hash as u32).to_le_bytes(), number: [number[0], number[1], number[2], number[3], number[4]] }
    }

    fn number(self) -> u64 {
        let n = self.number;
        u64::from_le_bytes([n[0], n[1], n[2], n[3], n[4], 0, 0, 0])
    }

    /// What the table sorts it by: it uses the lowest and the highest bits, so the half is spread over all of them.
    fn place(self) -> u64 {
        place(u64::from(u32::from_le_bytes(self.hash)))
    }
}

fn place(hash: u64) -> u64 {
    (hash & u64::from(u32::MAX)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Index {
    fn find(&self, id: &str, is_it: impl Fn(u64) -> bool) -> Option<u64> {
        let hash = self.hasher.hash_one(id);
        let half = (hash as u32).to_le_bytes();
        let found = self.shards[shard(hash)].find(place(hash), |entry| entry.hash == half && is_it(entry.number()));
        found.map(|entry| entry.number())
    }

    fn insert(&mut self, number: u64, id: &str) {
        let hash = self.hasher.hash_one(id);
        self.shards[shard(hash)].insert_unique(place(hash), Entry::new(hash, number), |entry| entry.place());
    }

    fn remove(&mut self, number: u64, id: &str) {
        let hash = self.hasher.hash_one(id);
        if let Ok(entry) = self.shards[shard(hash)].find_entry(place(hash), |entry| entry.number() == number) {
            entry.remove();
        }
    }
}

/// The upper half of the hash chooses the shard; the lower half is in the entry.
fn shard(hash: u64) -> usize {
    (hash >> 48) as usize % SHARDS
}
