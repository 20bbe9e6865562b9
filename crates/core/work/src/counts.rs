//! Counts and totals of a session, kept as items change (W6).

use crate::item::{Item, ItemState};
use crate::progress::Progress;
use minicbor::{Decode, Encode};

/// How many items are in each state, and what they add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Counts {
    /// By [`ItemState`], forgotten ones among the completed.
    #[n(0)]
    states: [u64; 9],
    /// Documents and bytes expected in all.
    #[n(1)]
    pub expected: Progress,
    /// Documents and bytes done.
    #[n(2)]
    pub done: Progress,
}

impl Counts {
    /// How many items are in a state.
    pub fn of(&self, state: ItemState) -> u64 {
        self.states[state as usize]
    }

    /// Every item but dormant ones.
    pub fn total(&self) -> u64 {
        self.states.iter().sum::<u64>() - self.of(ItemState::Dormant)
    }

    /// Items that may still move by themselves.
    pub fn unfinished(&self) -> u64 {
        [ItemState::Waiting, ItemState::Delayed, ItemState::Ready, ItemState::Assigned].map(|s| self.of(s)).iter().sum()
    }

    /// Items that the next acquirer may have, now or after a time.
    pub fn pending(&self) -> u64 {
        self.of(ItemState::Ready) + self.of(ItemState::Delayed)
    }

    pub(crate) fn is_below(&self, most: u64) -> bool {
        self.states.iter().all(|count| *count < most)
    }

    /// An item went from one state to another, its expected total being what it was.
    pub(crate) fn shift(&mut self, from: ItemState, to: ItemState, before: Progress, after: Progress) {
        self.states[from as usize] -= 1;
        self.states[to as usize] += 1;
        self.done -= before;
        self.done += after;
    }

    pub(crate) fn enter(&mut self, item: &Item) {
        self.states[item.state as usize] += 1;
        if item.state != ItemState::Dormant {
            let (expected, done) = item.totals();
            self.expected += expected;
            self.done += done;
        }
    }

    pub(crate) fn leave(&mut self, item: &Item) {
        self.leave_as(item.state, item.totals());
    }

    /// An item leaves that was counted in this state with these totals, expected and done.
    pub(crate) fn leave_as(&mut self, state: ItemState, (expected, done): (Progress, Progress)) {
        self.states[state as usize] -= 1;
        if state != ItemState::Dormant {
            self.expected -= expected;
            self.done -= done;
        }
    }
}

/// Kept items by lane and state, from which the counts of each kind are summed when somebody looks.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tallies(Vec<[u64; 9]>);

impl Tallies {
    pub fn enter(&mut self, item: &Item) {
        let lane = item.lane as usize;
        if self.0.len() <= lane {
            self.0.resize(lane + 1, [0; 9]);
        }
        self.0[lane][item.state as usize] += 1;
    }

    pub fn leave(&mut self, item: &Item) {
        self.0[item.lane as usize][item.state as usize] -= 1;
    }

    pub fn shift(&mut self, lane: u32, from: ItemState, to: ItemState) {
        if from != to {
            let tally = &mut self.0[lane as usize];
            tally[from as usize] -= 1;
            tally[to as usize] += 1;
        }
    }

    /// Adds those of a lane to the counts of its kind.
    pub fn add_to(&self, lane: u32, states: &mut [u64; 9]) {
        for (sum, count) in states.iter_mut().zip(self.0.get(lane as usize).into_iter().flatten()) {
            *sum += count;
        }
    }

    /// Whether both hold the same, whatever lanes they know without items.
    pub fn same_as(&self, other: &Self) -> bool {
        let lanes = self.0.len().max(other.0.len());
        let at = |tallies: &Self, lane: usize| tallies.0.get(lane).copied().unwrap_or_default();
        (0..lanes).all(|lane| at(self, lane) == at(other, lane))
    }
}
