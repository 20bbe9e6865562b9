//! Asking for work, and what comes of it.

use capstan_ids::{IdempotencyKey, ItemId, Kind, SessionName, Token, WorkerId};
use std::time::Duration;

/// A request for work.
#[derive(Clone, Debug, PartialEq)]
pub struct Acquire {
    /// Who asks.
    pub worker: WorkerId,
    /// Kinds it can do; none means any.
    pub kinds: Vec<Kind>,
    /// Sessions it works for; none means any.
    pub sessions: Vec<SessionName>,
    /// At most so many, 1 to 1,000.
    pub max: u32,
    /// A wished length of each lease; the session's bounds hold.
    pub lease: Option<Duration>,
    /// How long to wait where there is nothing, up to a minute; an answer without work is no error.
    pub wait: Duration,
    /// The same key again hands back the leases that a lost answer gave. A new request needs a new key.
    pub key: Option<IdempotencyKey>,
    /// How many items the worker can do at a time in all, busy or not, where it says: only shown to people.
    pub slots: Option<u32>,
    /// What the worker uses of its machine, where it measures that.
    pub usage: Option<Usage>,
}

/// What a worker uses of its machine, as the system reports it. A figure that cannot be is refused with the whole call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// CPU in percent of the whole machine, 0 to 100.
    pub cpu_percent: f64,
    /// Memory in MB.
    pub memory_mb: u64,
}

impl Acquire {
    /// One item of any kind and session, if there is one at once.
    pub fn any(worker: WorkerId) -> Self {
        Self {
            worker,
            kinds: Vec::new(),
            sessions: Vec::new(),
            max: 1,
            lease: None,
            wait: Duration::ZERO,
            key: None,
            slots: None,
            usage: None,
        }
    }
}

/// Which lease a call speaks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holding {
    /// The item's session.
    pub session: SessionName,
    /// The item.
    pub item: ItemId,
    /// What fences this lease.
    pub token: Token,
}

/// A lease, and the item that goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leased {
    /// Which lease this is.
    pub holding: Holding,
    /// What sort of work it is.
    pub kind: Kind,
    /// The index or collection it is about.
    pub collection: Box<str>,
    /// The part of it.
    pub part: u32,
    /// What is expected of it.
    pub expected: Progress,
    /// What the worker needs to know: JSON text.
    pub payload: Option<Box<str>>,
    /// The lease's length, counted from the grant.
    pub lease: Duration,
    /// How long the request had waited before the grant: the worker counts `lease + waited` from when it asked.
    pub waited: Duration,
    /// 1 for the first.
    pub attempt: u32,
    /// Where an earlier holder got to, as that holder wrote it.
    pub checkpoint: Option<Box<str>>,
    /// How far an earlier holder got.
    pub progress: Progress,
}

/// Documents and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Documents.
    pub documents: u64,
    /// Bytes.
    pub bytes: u64,
}
