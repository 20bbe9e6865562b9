//! What can be asked of the work core.

use crate::policy::{LimitValue, Policy, PolicyChange};
use crate::progress::Progress;
use crate::usage::Usage;
use capstan_ids::{
    GateName, GroupName, IdempotencyKey, ItemId, Kind, LimitName, Millis, SessionName, Token, WallTime, WorkerId,
};

/// One request, decided in one step.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Opens a session, with its first items and gates if any: all of it or nothing.
    OpenSession {
        /// Its name; refused if there is one of that name.
        session: SessionName,
        /// How its work is handed out.
        policy: Policy,
        /// What the owner keeps with it: JSON text, opaque here.
        notes: Option<Box<str>>,
        /// Items to begin with.
        items: Vec<NewItem>,
        /// Gates to hold from the beginning.
        gates: Vec<(GroupName, GateName)>,
    },
    /// Changes a session's policy or its notes.
    UpdateSession {
        /// Which.
        session: SessionName,
        /// Only what is named changes.
        change: PolicyChange,
        /// New notes, where given.
        notes: Option<Box<str>>,
    },
    /// Removes a session; live leases are revoked and still count until they are acknowledged or over.
    DeleteSession {
        /// Which.
        session: SessionName,
    },
    /// Adds items. Those that exist with the same content are left as they are.
    AddItems {
        /// Where.
        session: SessionName,
        /// What.
        items: Vec<NewItem>,
        /// Gates to hold in groups, in the same step.
        gates: Vec<(GroupName, GateName)>,
        /// What an item that exists with other content does to the rest.
        conflicts: Conflicts,
    },
    /// Removes one item; a live lease is revoked.
    DeleteItem {
        /// Where.
        session: SessionName,
        /// Which.
        item: ItemId,
    },
    /// Removes every item of a session; live leases are revoked.
    DeleteItems {
        /// Where.
        session: SessionName,
    },
    /// Asks for work.
    Acquire(Acquire),
    /// Keeps a lease, and says how far the work has got.
    Renew {
        /// Where.
        session: SessionName,
        /// Which.
        item: ItemId,
        /// Who says so.
        holder: Holder,
        /// How far, where known; replaces what was said before.
        progress: Option<Progress>,
        /// Where to go on from, where it moved.
        checkpoint: Option<Box<str>>,
        /// A wished length; the session's bounds hold.
        lease: Option<Millis>,
    },
    /// Ends an item well.
    Complete(Complete),
    /// Ends an item well and asks for the next in the same step.
    CompleteAndAcquire {
        /// What is done.
        complete: Complete,
        /// What is wanted next; its key is the completed token.
        acquire: Acquire,
    },
    /// Reports that an attempt failed.
    Fail {
        /// Where.
        session: SessionName,
        /// Which.
        item: ItemId,
        /// Who says so.
        holder: Holder,
        /// What went wrong, for people.
        error: Box<str>,
        /// Trying again is of no use: all attempts are used up at once.
        permanent: bool,
        /// The least time before the next attempt, where the cause says (throttling).
        retry_after: Option<Millis>,
        /// Where to go on from, where it moved.
        checkpoint: Option<Box<str>>,
    },
    /// Gives a lease back: no attempt is counted, checkpoint and lease growth stay.
    Release {
        /// Where.
        session: SessionName,
        /// Which.
        item: ItemId,
        /// Who says so.
        holder: Holder,
        /// How far, where known.
        progress: Option<Progress>,
        /// Where to go on from, where it moved.
        checkpoint: Option<Box<str>>,
    },
    /// Makes failed items pending again with a fresh set of attempts.
    Retry {
        /// Where.
        session: SessionName,
        /// Which; none means every failed one.
        items: Vec<ItemId>,
    },
    /// Ends an unfinished item for good; a live lease is revoked.
    CancelItem {
        /// Where.
        session: SessionName,
        /// Which.
        item: ItemId,
    },
    /// Moves an unfinished item forward or back.
    SetPriority {
        /// Where.
        session: SessionName,
        /// Which.
        item: ItemId,
        /// Higher goes first.
        priority: i16,
    },
    /// Limits live leases, now and live; no value lifts the limit.
    SetLimit {
        /// Of one session, or of all sessions together.
        session: Option<SessionName>,
        /// A kind, `global`, or any name that items carry.
        name: LimitName,
        /// 1 to 4,096, or none.
        value: Option<LimitValue>,
    },
    /// Holds a gate in a group: the group is not empty until it is opened.
    HoldGate {
        /// Where.
        session: SessionName,
        /// In which group.
        group: GroupName,
        /// Which.
        gate: GateName,
    },
    /// Opens a gate.
    OpenGate {
        /// Where.
        session: SessionName,
        /// In which group.
        group: GroupName,
        /// Which.
        gate: GateName,
    },
    /// Stops handing out work.
    Pause {
        /// Which.
        session: SessionName,
        /// Holders are told to stop at once; otherwise they finish.
        immediate: bool,
        /// For people.
        reason: Box<str>,
    },
    /// Goes on; failed items become pending with a fresh set of attempts.
    Resume {
        /// Which.
        session: SessionName,
    },
    /// Ends a session's unfinished work for good, then opens its undo items.
    Cancel {
        /// Which.
        session: SessionName,
        /// For people.
        reason: Box<str>,
    },
    /// Ends a session: nothing changes in it any more.
    Close {
        /// Which.
        session: SessionName,
    },
    /// The console contract's sweep: answers how many leases ran out since the last sweep or acquire.
    Sweep {
        /// Where.
        session: SessionName,
    },
    /// Time has passed: ends what has run out, a bounded number of things at once.
    Tick,
}

/// A new item, as its maker describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct NewItem {
    /// Its id in the session.
    pub id: ItemId,
    /// What sort of work it is; names the pool that limits it.
    pub kind: Kind,
    /// The index or collection it is about.
    pub index_name: Box<str>,
    /// The part of it.
    pub shard_number: u32,
    /// Documents expected.
    pub document_count: u64,
    /// Bytes expected.
    pub total_size_bytes: u64,
    /// Higher goes first.
    pub priority: i16,
    /// Not handed out before this time.
    pub not_before: Option<WallTime>,
    /// Groups it belongs to.
    pub groups: Vec<GroupName>,
    /// Groups, or items with all their successors, that must be done first.
    pub waits_for: Vec<WaitsFor>,
    /// Further limits it counts against, beside its kind and `global`.
    pub limits: Vec<LimitName>,
    /// Becomes pending only when the session is cancelled, to undo what was done.
    pub undo: bool,
    /// What the worker needs to know: JSON text, at most 64 KiB.
    pub payload: Option<Box<str>>,
}

impl NewItem {
    /// An item of the default kind with nothing else said.
    pub fn new(id: ItemId) -> Self {
        Self {
            id,
            kind: Kind::backfill(),
            index_name: "".into(),
            shard_number: 0,
            document_count: 0,
            total_size_bytes: 0,
            priority: 0,
            not_before: None,
            groups: Vec::new(),
            waits_for: Vec::new(),
            limits: Vec::new(),
            undo: false,
            payload: None,
        }
    }
}

/// What an item can wait for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitsFor {
    /// Every item of a named group, and whatever came of them.
    Group(GroupName),
    /// One item, and whatever came of it.
    Item(ItemId),
}

/// What an added item does that exists with other content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflicts {
    /// The whole batch is refused.
    Refuse,
    /// It is answered as a conflict; the others are added.
    Report,
}

/// Who speaks for a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Whoever knows its token: fenced.
    Token(Token),
    /// A worker by its id alone, as the console contract has it; its restarted self cannot be told from it.
    Worker(WorkerId),
    /// A console client that sends the token too.
    WorkerWithToken(WorkerId, Token),
}

/// A request for work.
#[derive(Clone, Debug, PartialEq)]
pub struct Acquire {
    /// Sessions it may be from; none means any.
    pub sessions: Vec<SessionName>,
    /// Who asks.
    pub worker: WorkerId,
    /// Kinds it can do; none means any.
    pub kinds: Vec<Kind>,
    /// One specific item, which needs exactly one session.
    pub item: Option<ItemId>,
    /// At most so many, 1 to 1,000.
    pub max: u32,
    /// A wished length; the session's bounds hold.
    pub lease: Option<Millis>,
    /// Makes a repeat answer with the leases that still live.
    pub key: Option<IdempotencyKey>,
    /// How many items the worker does at a time in all, busy or not, where it says: only shown to people.
    pub slots: Option<u32>,
    /// What it uses of its machine, where it says: told on of the sessions it holds leases of.
    pub usage: Option<Usage>,
}

impl Acquire {
    /// One item of any kind and any session.
    pub fn any(worker: WorkerId) -> Self {
        Self {
            sessions: Vec::new(),
            worker,
            kinds: Vec::new(),
            item: None,
            max: 1,
            lease: None,
            key: None,
            slots: None,
            usage: None,
        }
    }

    /// One item of one session.
    pub fn from(session: SessionName, worker: WorkerId) -> Self {
        Self { sessions: vec![session], ..Self::any(worker) }
    }
}

/// The good end of an item.
#[derive(Clone, Debug, PartialEq)]
pub struct Complete {
    /// Where.
    pub session: SessionName,
    /// Which.
    pub item: ItemId,
    /// Who says so.
    pub holder: Holder,
    /// What came of it: JSON text, at most 64 KiB.
    pub result: Option<Box<str>>,
    /// What this item itself did, where that differs from what was expected of it.
    pub done: Option<Progress>,
    /// What is left, as items made in the same commit.
    pub successors: Vec<NewItem>,
}

impl Complete {
    /// All of it is done.
    pub fn new(session: SessionName, item: ItemId, holder: Holder) -> Self {
        Self { session, item, holder, result: None, done: None, successors: Vec::new() }
    }
}
