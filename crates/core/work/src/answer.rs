//! What an accepted command is answered with.

use crate::body::ItemBody;
use crate::progress::Progress;
use crate::view::ItemView;
use capstan_ids::{ItemId, Millis, SessionName, Token, WallTime};

/// The answer to an accepted command. Nothing of it may be told before the events it saw are durable.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Done, and there is nothing more to say.
    Done,
    /// What became of each added item, in the order they came.
    Added(Vec<Added>),
    /// Work.
    Granted(Vec<Grant>),
    /// No work, and why.
    Nothing(NoWork),
    /// A lease goes on.
    Renewed {
        /// Its length from now.
        lease: Millis,
        /// The end, as shown to people.
        expires: WallTime,
        /// The item after the renewal.
        item: Box<ItemView>,
    },
    /// An item is done; where it was done before, the same as then.
    Completed {
        /// The item as it stands.
        item: Box<ItemView>,
        /// Leases granted in the same step, if they were asked for.
        next: Vec<Grant>,
    },
    /// A failure or release was taken; the item as it stands now.
    Returned {
        /// The item as it stands.
        item: Box<ItemView>,
    },
    /// So many of them.
    Counted(u64),
    /// Time has passed; whether more is due than one step took.
    Ticked {
        /// Call again at once.
        more: bool,
    },
}

/// What became of an added item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is new.
    Created,
    /// It was there, with the same content.
    Unchanged,
    /// It was there with other content, and stays as it was; which field differs.
    Conflict(&'static str),
}

/// A lease handed to a worker, and the item with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// Where.
    pub session: SessionName,
    /// The item as its maker described it.
    pub body: ItemBody,
    /// What fences this lease.
    pub token: Token,
    /// How long it lasts from now; a worker counts from when it asked.
    pub lease: Millis,
    /// Its end, as shown to people.
    pub expires: WallTime,
    /// 1 for the first.
    pub attempt: u32,
    /// Where an earlier holder has got to.
    pub checkpoint: Option<Box<str>>,
    /// How far an earlier holder has got.
    pub progress: Progress,
    /// When it was first handed out.
    pub started: WallTime,
    /// When it was made.
    pub created: WallTime,
}

/// Why there is no work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoWork {
    /// There is no item at all.
    Empty,
    /// Everything is done.
    AllDone,
    /// What is left is held by others, up to a limit or a kind this worker does not do.
    HeldByOthers {
        /// How many leases are live.
        assigned: u64,
    },
    /// What is left is ready, but a limit is reached.
    AtLimit,
    /// What is left is not ready yet: back-off, a not-before time, a group that is not empty.
    NotYet {
        /// How many items wait.
        waiting: u64,
    },
    /// The session does not hand out work now.
    Paused,
    /// What is left has failed, or waits for something that has.
    Failed {
        /// How many have failed.
        failed: u64,
    },
    /// There is work, but none of the kinds asked for.
    OtherKinds,
    /// The session has ended.
    Ended,
    /// The asked-for item is not to be had now: its state.
    ItemNotPending(ItemId, &'static str),
}
