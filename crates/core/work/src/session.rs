//! One session: its items, queues, groups, limits and counts.

use crate::counts::{Counts, Tallies};
use crate::groups::Groups;
use crate::item::{Item, ItemState, Lease};
use crate::items::Items;
use crate::lanes::Lanes;
use crate::limits::Limits;
use crate::policy::Policy;
use capstan_ids::{ItemId, Millis, Monotonic, SessionName, Token, WallTime, WorkerId};
use hashbrown::{HashMap, HashSet};
use minicbor::{Decode, Encode};
use std::collections::{BTreeMap, VecDeque};

/// What a session lets happen.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) enum Mode {
    #[n(0)]
    Running,
    /// Nothing new starts; while leases live it is still pausing.
    #[n(1)]
    Paused(#[n(0)] Box<str>),
    #[n(2)]
    Cancelled(#[n(0)] Box<str>),
    #[n(3)]
    Closed,
    /// Deleted, but leases of it still count.
    #[n(4)]
    Deleted,
}

/// What is known of a worker in a session.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct WorkerRecord {
    /// Leases it holds.
    #[cbor(skip)]
    pub held: u32,
    #[n(0)]
    pub done: u64,
    #[n(1)]
    pub failed: u64,
    #[n(2)]
    pub first_seen: WallTime,
    #[n(3)]
    pub last_seen: WallTime,
}

/// A lease whose item was removed under it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Ghost {
    #[n(0)]
    pub item: ItemId,
    #[n(1)]
    pub worker: WorkerId,
    #[n(2)]
    pub length: Millis,
    /// Names it counts against.
    #[n(3)]
    pub limits: Vec<capstan_ids::LimitName>,
    #[cbor(skip)]
    pub deadline: Monotonic,
}

/// Workers that hold nothing are forgotten beyond so many.
pub(crate) const WORKERS_KEPT: usize = 10_000;

#[derive(Debug)]
pub(crate) struct Session {
    pub name: SessionName,
    pub policy: Policy,
    pub notes: Option<Box<str>>,
    pub mode: Mode,
    pub created: WallTime,
    pub updated: WallTime,
    /// When its first item was first handed out.
    pub started: Option<WallTime>,
    pub items: Items,
    pub lanes: Lanes,
    pub limits: Limits,
    pub groups: Groups,
    pub counts: Counts,
    /// Kept items by lane and state.
    pub tallies: Tallies,
    /// What completed items that are no longer kept add to the counts.
    pub forgotten: Counts,
    pub workers: HashMap<WorkerId, WorkerRecord>,
    /// Items that are leased: few among many.
    pub leased: HashSet<u64>,
    pub ghosts: BTreeMap<Token, Ghost>,
    /// Their tokens by the id that their item had.
    pub haunts: HashMap<ItemId, Vec<Token>>,
    /// Places given in its queues so far.
    pub queued: u64,
    /// Completed items that are kept, in the order they ended.
    pub completed: VecDeque<u64>,
    /// Its share of grants so far, in units that weight divides.
    pub served: u64,
    /// Its place among the sessions that have ready work.
    pub turn: Option<u64>,
    /// Leases that ran out since the last sweep or acquire; memory only.
    pub unseen_expiries: u64,
    /// Leases that are stuck; memory only.
    pub stuck: u64,
    /// When it is looked next whether leases are stuck; memory only.
    pub next_look: Option<Monotonic>,
}

impl Session {
    pub fn new(name: SessionName, policy: Policy, notes: Option<Box<str>>, at: WallTime) -> Self {
        let mut session = Self {
            name,
            policy,
            notes,
            mode: Mode::Running,
            created: at,
            updated: at,
            started: None,
            items: Items::default(),
            lanes: Lanes::default(),
            limits: Limits::default(),
            groups: Groups::default(),
            counts: Counts::default(),
            tallies: Tallies::default(),
            forgotten: Counts::default(),
            workers: HashMap::new(),
            leased: HashSet::new(),
            ghosts: BTreeMap::new(),
            haunts: HashMap::new(),
            queued: 0,
            completed: VecDeque::new(),
            served: 0,
            turn: None,
            unseen_expiries: 0,
            stuck: 0,
            next_look: None,
        };
        for (limit, most) in &session.policy.limits {
            session.limits.set(limit, Some(*most));
        }
        session
    }

    /// Changes an item, keeping the counts true.
    pub fn change<T>(&mut self, number: u64, change: impl FnOnce(&mut Item) -> T) -> T {
        let item = self.items.get_mut(number).expect("events name items that are there");
        let (was, before) = (item.state, item.progress());
        if !was.has_plain_totals() {
            self.counts.leave(item);
            let outcome = change(item);
            self.counts.enter(item);
            self.tallies.shift(item.lane, was, item.state);
            return outcome;
        }
        let outcome = change(item);
        self.tallies.shift(item.lane, was, item.state);
        // What is expected of an item is packed in its body: it is read only where it changes what is counted.
        if item.state.has_plain_totals() {
            self.counts.shift(was, item.state, before, item.progress());
        } else {
            self.counts.leave_as(was, (item.body.expected(), before));
            self.counts.enter(item);
        }
        outcome
    }

    pub fn item(&self, number: u64) -> &Item {
        self.items.get(number).expect("events name items that are there")
    }

    /// Takes in a lease whose item is gone.
    pub fn add_ghost(&mut self, token: Token, ghost: Ghost) {
        self.haunts.entry(ghost.item.clone()).or_default().push(token);
        self.ghosts.insert(token, ghost);
    }

    pub fn remove_ghost(&mut self, token: Token) -> Option<Ghost> {
        let ghost = self.ghosts.remove(&token)?;
        if let Some(tokens) = self.haunts.get_mut(&ghost.item) {
            tokens.retain(|other| *other != token);
            if tokens.is_empty() {
                self.haunts.remove(&ghost.item);
            }
        }
        Some(ghost)
    }

    /// Leases of items that had this id and are gone.
    pub fn ghosts_of(&self, id: &str) -> impl Iterator<Item = (Token, &Ghost)> {
        self.haunts.get(id).into_iter().flatten().filter_map(|token| Some((*token, self.ghosts.get(token)?)))
    }

    /// Whether work is handed out.
    pub fn is_running(&self) -> bool {
        self.mode == Mode::Running
    }

    pub fn is_cancelled(&self) -> bool {
        matches!(self.mode, Mode::Cancelled(_))
    }

    /// Whether any lease of it still counts.
    pub fn has_live_leases(&self) -> bool {
        self.counts.of(ItemState::Assigned) > 0 || !self.ghosts.is_empty()
    }

    /// Whether an acquirer could be granted something, limits aside.
    pub fn hands_out(&self) -> bool {
        // A cancelled session hands out its undo items, once every lease is over.
        (self.is_running() || self.is_cancelled()) && self.counts.of(ItemState::Ready) > 0
    }

    pub fn lease(&self, number: u64) -> Option<&Lease> {
        self.items.get(number).and_then(Item::lease)
    }

    /// The name of what it is doing.
    pub fn state(&self) -> SessionState {
        match &self.mode {
            Mode::Running => {
                if self.counts.total() == 0 || self.counts.unfinished() > 0 {
                    SessionState::Running
                } else if self.counts.of(ItemState::Failed)
                    + self.counts.of(ItemState::Cancelled)
                    + self.counts.of(ItemState::Blocked)
                    > 0
                {
                    SessionState::CompletedWithFailures
                } else {
                    SessionState::Completed
                }
            }
            Mode::Paused(_) if self.has_live_leases() => SessionState::Pausing,
            Mode::Paused(_) => SessionState::Paused,
            Mode::Cancelled(_) => SessionState::Cancelled,
            Mode::Closed | Mode::Deleted => SessionState::Closed,
        }
    }
}

/// What a session is doing, as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Handing out work, or ready to.
    Running,
    /// Nothing new starts; leases are still live.
    Pausing,
    /// Nothing runs.
    Paused,
    /// Everything in it is done.
    Completed,
    /// Everything that could be done is.
    CompletedWithFailures,
    /// Its unfinished work was cancelled.
    Cancelled,
    /// It is over.
    Closed,
}

impl SessionState {
    /// Its name outside.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Pausing => "pausing",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::CompletedWithFailures => "completed_with_failures",
            Self::Cancelled => "cancelled",
            Self::Closed => "closed",
        }
    }
}
