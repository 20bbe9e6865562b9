//! One item, small: what only some items have is kept apart.

use crate::body::ItemBody;
use crate::event::GrantKey;
use crate::progress::Progress;
use capstan_ids::{Millis, Monotonic, Position, Token, WallTime, WorkerId};
use minicbor::{Decode, Encode};

/// Where an item is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum ItemState {
    /// Some group it waits for is not empty.
    #[n(0)]
    Waiting,
    /// Something it waits for has failed or was cancelled.
    #[n(1)]
    Blocked,
    /// Pending, but not before a time.
    #[n(2)]
    Delayed,
    /// Pending: the next acquirer may have it.
    #[n(3)]
    Ready,
    /// Leased.
    #[n(4)]
    Assigned,
    /// Done, for good.
    #[n(5)]
    Completed,
    /// Out of attempts.
    #[n(6)]
    Failed,
    /// Ended undone.
    #[n(7)]
    Cancelled,
    /// An undo item whose session has not been cancelled; not counted.
    #[n(8)]
    Dormant,
}

impl ItemState {
    /// The state's name outside.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting | Self::Dormant => "waiting",
            Self::Blocked => "blocked",
            Self::Delayed | Self::Ready => "pending",
            Self::Assigned => "assigned",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it counts with what is expected of it and its progress, as all do but completed and dormant ones.
    pub(crate) const fn has_plain_totals(self) -> bool {
        !matches!(self, Self::Completed | Self::Dormant)
    }

    /// Whether a group that holds it is not emptied by the passing of time.
    pub const fn breaks_groups(self) -> bool {
        matches!(self, Self::Blocked | Self::Failed | Self::Cancelled)
    }

    /// Whether nothing more happens to it by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled)
    }
}

/// An item in memory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub body: ItemBody,
    pub run: Option<Box<Run>>,
    pub links: Option<Box<Links>>,
    pub created: WallTime,
    /// Its place among what the session has queued; newer is higher.
    pub queued: u64,
    /// Which lane it queues in.
    pub lane: u32,
    pub priority: i16,
    pub state: ItemState,
    /// Whether its maker gave it a not-before time.
    pub timed: bool,
}

/// What an item has once somebody has worked on it.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(crate) struct Run {
    #[n(0)]
    pub lease: Option<Lease>,
    /// Counted failures since the last fresh set of attempts.
    #[n(1)]
    pub attempts: u32,
    /// Grants so far: the exponent of a doubling lease.
    #[n(2)]
    pub grants: u32,
    /// Expiries in a row that were not counted because a checkpoint moved.
    #[n(3)]
    pub forgiven: u32,
    #[n(4)]
    pub progress: Progress,
    /// The highest progress that is durable.
    #[n(5)]
    pub best: Progress,
    #[n(6)]
    pub checkpoint: Option<Box<str>>,
    #[n(7)]
    pub last_error: Option<Box<str>>,
    #[n(8)]
    pub result: Option<Box<str>>,
    #[n(9)]
    pub last_holder: Option<Past>,
    #[n(10)]
    pub started: Option<WallTime>,
    #[n(11)]
    pub ended: Option<Ended>,
    #[n(12)]
    pub last_progress: Option<WallTime>,
    /// Items made from this one.
    #[n(13)]
    pub children: Vec<u64>,
    /// A digest of the successors it was completed with.
    #[n(14)]
    pub successors: Option<u64>,
    /// What it waits out before it is queued again.
    #[n(15)]
    pub delay: Millis,
    /// When that is over, by this process's clock.
    #[cbor(skip)]
    pub delayed_until: Monotonic,
    /// Progress that only memory has, and when it is to be noted.
    #[cbor(skip)]
    pub unnoted: Option<Monotonic>,
}

/// A lease that has ended.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Past {
    #[n(0)]
    pub worker: WorkerId,
    #[n(1)]
    pub token: Token,
    /// When it ran out, if that is how it ended.
    #[n(2)]
    pub ran_out: Option<WallTime>,
}

/// How an item ended.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Ended {
    #[n(0)]
    pub at: WallTime,
    /// The event that ended it: orders what ended at the same time.
    #[n(1)]
    pub position: Position,
    /// What it did itself.
    #[n(2)]
    pub done: Progress,
}

/// A live lease.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Lease {
    #[n(0)]
    pub worker: WorkerId,
    #[n(1)]
    pub token: Token,
    #[n(2)]
    pub granted: WallTime,
    /// The longest length its holder was told of: its full term after a restart.
    #[n(3)]
    pub length: Millis,
    /// Its end as shown to people.
    #[n(4)]
    pub expires: WallTime,
    #[n(5)]
    pub key: Option<GrantKey>,
    #[n(6)]
    pub revoked: Option<Revoked>,
    /// The item got further under it than ever before.
    #[n(7)]
    pub advanced: bool,
    /// A checkpoint moved under it.
    #[n(8)]
    pub checkpointed: bool,
    /// Its end by this process's clock; after a restart, full term.
    #[cbor(skip)]
    pub deadline: Monotonic,
    /// When it last got further, or was granted, by this process's clock.
    #[cbor(skip)]
    pub moved: Monotonic,
    /// It has got no further for too long.
    #[cbor(skip)]
    pub stuck: bool,
}

/// Why a lease was taken back, and what becomes of its item.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(crate) struct Revoked {
    #[n(0)]
    pub reason: Box<str>,
    #[n(1)]
    pub cancel: bool,
    /// It uses up an attempt when it is over.
    #[n(2)]
    #[cbor(with = "crate::flag", has_nil)]
    pub counted: bool,
}

/// Groups an item belongs to or waits for.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(crate) struct Links {
    #[n(0)]
    pub groups: Vec<u32>,
    #[n(1)]
    pub waits_for: Vec<u32>,
}

impl Item {
    pub fn run_mut(&mut self) -> &mut Run {
        self.run.get_or_insert_default()
    }

    pub fn lease(&self) -> Option<&Lease> {
        self.run.as_ref().and_then(|run| run.lease.as_ref())
    }

    /// Begins the full term of its lease, or of what it waits out, `now`; when that will be over.
    pub fn restart_term(&mut self, now: Monotonic) -> Option<Monotonic> {
        let run = self.run.as_mut()?;
        match &mut run.lease {
            Some(lease) => {
                lease.deadline = now + lease.length;
                (lease.moved, lease.stuck) = (now, false);
                Some(lease.deadline)
            }
            None => {
                run.delayed_until = now + run.delay;
                (run.delay > Millis::ZERO).then_some(run.delayed_until)
            }
        }
    }

    pub fn progress(&self) -> Progress {
        self.run.as_ref().map_or(Progress::NONE, |run| run.progress)
    }

    pub fn attempts(&self) -> u32 {
        self.run.as_ref().map_or(0, |run| run.attempts)
    }

    /// What it adds to the session's totals: expected, and done so far.
    pub fn totals(&self) -> (Progress, Progress) {
        match self.run.as_ref().and_then(|run| run.ended) {
            Some(ended) if self.state == ItemState::Completed => (ended.done, ended.done),
            _ => (self.body.expected(), self.progress()),
        }
    }

    /// What it has done when it is completed without saying so: all that was expected, or more.
    pub fn done_when_completed(&self) -> Progress {
        self.body.expected().max(self.progress())
    }

    pub fn not_before(&self) -> Option<WallTime> {
        if self.timed { self.body.unpack().not_before } else { None }
    }

    pub fn groups(&self) -> &[u32] {
        self.links.as_ref().map_or(&[], |links| &links.groups)
    }

    pub fn waits_for(&self) -> &[u32] {
        self.links.as_ref().map_or(&[], |links| &links.waits_for)
    }
}

/// A snapshot's row of one item.
#[derive(Encode, Decode)]
pub(crate) struct Row {
    #[n(0)]
    pub number: u64,
    #[n(1)]
    pub body: ItemBody,
    #[n(2)]
    pub run: Option<Box<Run>>,
    #[n(3)]
    pub links: Option<Box<Links>>,
    #[n(4)]
    pub created: WallTime,
    #[n(5)]
    pub queued: u64,
    #[n(6)]
    pub lane: u32,
    #[n(7)]
    pub priority: i16,
    #[n(8)]
    pub state: ItemState,
    #[n(9)]
    pub timed: bool,
}

impl Item {
    /// Its row in a snapshot.
    pub fn row(&self, number: u64) -> Vec<u8> {
        let row = Row {
            number,
            body: self.body.clone(),
            run: self.run.clone(),
            links: self.links.clone(),
            created: self.created,
            queued: self.queued,
            lane: self.lane,
            priority: self.priority,
            state: self.state,
            timed: self.timed,
        };
        minicbor::to_vec(row).expect("writing to a vector cannot fail")
    }
}

impl From<Row> for Item {
    fn from(row: Row) -> Self {
        Self {
            body: row.body,
            run: row.run,
            links: row.links,
            created: row.created,
            queued: row.queued,
            lane: row.lane,
            priority: row.priority,
            state: row.state,
            timed: row.timed,
        }
    }
}
