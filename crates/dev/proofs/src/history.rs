//! What the clients asked and what they were told, with the times by one monotonic clock.
//!
//! A client writes down every request when it sends it and what became of it: an answer, a refusal, or nothing it can
//! tell. All clients of a run live in one process, so their times are comparable to the microsecond.

use std::fmt;
use std::sync::Arc;

/// Microseconds since the run began.
pub type Micros = u64;
/// An item's id.
pub type ItemName = Arc<str>;

/// Everything that was seen of a run.
#[derive(Debug, Default)]
pub struct History {
    /// Requests of all clients, in no order.
    pub calls: Vec<Call>,
    /// What was done to the server, in order.
    pub faults: Vec<Fault>,
    /// The rules the session was opened with, as far as they are judged.
    pub rules: Rules,
}

/// The rules of the session.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Counted failures after which an item has failed.
    pub attempts: u32,
    /// The most live leases of a kind.
    pub limits: Vec<(&'static str, usize)>,
}

/// One request of one client.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whose. A client is one worker, and has one request under way for any lease.
    pub client: u32,
    /// When it was sent.
    pub began: Micros,
    /// When the client knew, or gave up.
    pub ended: Micros,
    /// What was asked.
    pub asked: Asked,
    /// What became of it.
    pub outcome: Outcome,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// New items, all of them or none.
    Add(Vec<NewItem>),
    /// Work.
    Acquire(Wish),
    /// To keep a lease.
    Renew {
        /// Which.
        held: Held,
        /// A wished length.
        lease_ms: Option<u64>,
        /// Documents done.
        progress: Option<u64>,
        /// Where to go on from.
        checkpoint: Option<Arc<str>>,
    },
    /// To end an item well, with what is left of it, and for more work in the same step if wished.
    Complete {
        /// Which.
        held: Held,
        /// What is left.
        successors: Vec<NewItem>,
        /// What is wanted next.
        next: Option<Wish>,
    },
    /// To report a failed attempt.
    Fail {
        /// Which.
        held: Held,
        /// No further attempt.
        permanent: bool,
        /// Where to go on from.
        checkpoint: Option<Arc<str>>,
    },
    /// To give a lease back.
    Release {
        /// Which.
        held: Held,
        /// Where to go on from.
        checkpoint: Option<Arc<str>>,
    },
}

/// A wish for work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The key that makes a repeat safe; a fused completion needs none.
    pub key: Arc<str>,
    /// At most so many.
    pub max: u32,
    /// The only kind wanted, or any.
    pub kind: Option<&'static str>,
    /// A wished length.
    pub lease_ms: u64,
    /// How long to wait.
    pub wait_ms: u64,
}

/// A new item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewItem {
    /// Its id, made by one client only.
    pub id: ItemName,
    /// Its kind.
    pub kind: &'static str,
    /// Its priority.
    pub priority: i16,
    /// An item that must be done first, with all that comes of it.
    pub waits_for: Option<ItemName>,
}

/// A lease somebody speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Of which item.
    pub item: ItemName,
    /// Its token.
    pub token: u64,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was acknowledged.
    Ok(Answer),
    /// It was refused: nothing changed.
    Refused(Refusal),
    /// The answer was lost, or the server could not say: it happened or not.
    Unknown,
}

/// An acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What became of each new item: true where it was made by this very request.
    Added(Vec<bool>),
    /// Leases, with how long the request waited for them; none where there was no work.
    Leases {
        /// The leases.
        leases: Vec<Granted>,
        /// How long it waited.
        waited_ms: u64,
    },
    /// The lease goes on for so long.
    Renewed(u64),
    /// The item is done; the leases that came with it.
    Completed(Vec<Granted>),
    /// A failure or a release was taken.
    Returned,
}

/// A lease as it was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Of which item.
    pub item: ItemName,
    /// Of which kind it is.
    pub kind: Arc<str>,
    /// Its token.
    pub token: u64,
    /// How long it lasts from the grant.
    pub lease_ms: u64,
    /// 1 for the first.
    pub attempt: u32,
    /// Where an earlier holder has got to.
    pub checkpoint: Option<Arc<str>>,
    /// How far an earlier holder has got.
    pub progress: u64,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The lease is somebody else's, or nobody's.
    NotHeld,
    /// It has run out.
    Expired,
    /// It was taken back.
    Revoked,
    /// The item is done.
    Completed,
    /// There is no such item.
    ItemUnknown,
    /// Too much at once: nothing changed, try again.
    Busy,
    /// Anything else, by its code.
    Other(Box<str>),
}

impl Refusal {
    /// The refusal that has this stable code.
    pub fn of_code(code: &str) -> Self {
        match code {
            "lease.not_held" => Self::NotHeld,
            "lease.expired" => Self::Expired,
            "lease.revoked" => Self::Revoked,
            "item.completed" => Self::Completed,
            "item.unknown" => Self::ItemUnknown,
            "server.overloaded" => Self::Busy,
            other => Self::Other(other.into()),
        }
    }
}

/// Something that was done to the server.
#[derive(Clone, Debug)]
pub struct Fault {
    /// When.
    pub at: Micros,
    /// What.
    pub what: &'static str,
}

/// The state at the end, as the server lists it.
#[derive(Clone, Debug, Default)]
pub struct Ending {
    /// Every item.
    pub items: Vec<EndItem>,
    /// What the session's status counts, by state.
    pub counted: Vec<(State, u64)>,
    /// What the status says they are in all.
    pub total: u64,
}

/// An item at the end.
#[derive(Clone, Debug)]
pub struct EndItem {
    /// Its id.
    pub id: ItemName,
    /// Its state.
    pub state: State,
    /// Counted failures.
    pub attempts: u32,
    /// Where it has got to.
    pub checkpoint: Option<Arc<str>>,
    /// Who completed it.
    pub worker: Option<u32>,
}

/// Where an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// For others.
    Waiting,
    /// For what will never be done.
    Blocked,
    /// To be had, now or later.
    Pending,
    /// Held.
    Assigned,
    /// Done.
    Completed,
    /// Out of attempts.
    Failed,
    /// Ended undone.
    Cancelled,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] =
        [Self::Waiting, Self::Blocked, Self::Pending, Self::Assigned, Self::Completed, Self::Failed, Self::Cancelled];
}

impl Call {
    /// Whether it was acknowledged.
    pub fn is_ok(&self) -> bool {
        matches!(self.outcome, Outcome::Ok(_))
    }

    /// Whether it may have happened.
    pub fn may_have_happened(&self) -> bool {
        !matches!(self.outcome, Outcome::Refused(_))
    }

    /// The leases it was answered with.
    pub fn granted(&self) -> &[Granted] {
        match &self.outcome {
            Outcome::Ok(Answer::Leases { leases, .. } | Answer::Completed(leases)) => leases,
            _ => &[],
        }
    }

    /// The lease it speaks for.
    pub fn held(&self) -> Option<&Held> {
        match &self.asked {
            Asked::Renew { held, .. }
            | Asked::Complete { held, .. }
            | Asked::Fail { held, .. }
            | Asked::Release { held, .. } => Some(held),
            Asked::Add(_) | Asked::Acquire(_) => None,
        }
    }

    /// The checkpoint it brings.
    pub fn checkpoint(&self) -> Option<&Arc<str>> {
        match &self.asked {
            Asked::Renew { checkpoint, .. } | Asked::Fail { checkpoint, .. } | Asked::Release { checkpoint, .. } => {
                checkpoint.as_ref()
            }
            Asked::Complete { .. } | Asked::Add(_) | Asked::Acquire(_) => None,
        }
    }

    /// Whether it gives its lease up.
    pub fn ends_lease(&self) -> bool {
        matches!(self.asked, Asked::Complete { .. } | Asked::Fail { .. } | Asked::Release { .. })
    }

    /// The items it would make.
    pub fn makes(&self) -> &[NewItem] {
        match &self.asked {
            Asked::Add(items) | Asked::Complete { successors: items, .. } => items,
            _ => &[],
        }
    }

    /// Whether an item is spoken of in it.
    pub fn names(&self, item: &str) -> bool {
        self.held().is_some_and(|held| &*held.item == item)
            || self.granted().iter().any(|lease| &*lease.item == item)
            || self.makes().iter().any(|new| &*new.id == item)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |at: Micros| at as f64 / 1e6;
        write!(f, "{:>11.6} to {:>11.6}  client-{:<3} ", seconds(self.began), seconds(self.ended), self.client)?;
        match &self.asked {
            Asked::Add(items) => write!(f, "add {} items from {:?}", items.len(), items.first().map(|item| &*item.id))?,
            Asked::Acquire(wish) => write!(f, "acquire up to {} for {} ms, key {}", wish.max, wish.lease_ms, wish.key)?,
            Asked::Renew { held, lease_ms, progress, checkpoint } => {
                write!(f, "renew {held} lease={lease_ms:?} progress={progress:?} checkpoint={checkpoint:?}")?;
            }
            Asked::Complete { held, successors, next } => {
                write!(f, "complete {held} with {} successors", successors.len())?;
                if let Some(next) = next {
                    write!(f, ", acquire up to {} for {} ms", next.max, next.lease_ms)?;
                }
            }
            Asked::Fail { held, permanent, checkpoint } => {
                write!(f, "fail {held} permanent={permanent} checkpoint={checkpoint:?}")?;
            }
            Asked::Release { held, checkpoint } => write!(f, "release {held} checkpoint={checkpoint:?}")?,
        }
        match &self.outcome {
            Outcome::Unknown => write!(f, " -> unknown"),
            Outcome::Refused(refusal) => write!(f, " -> refused: {refusal:?}"),
            Outcome::Ok(Answer::Leases { leases, waited_ms }) => {
                write!(f, " -> after {waited_ms} ms: ")?;
                tell(f, leases)
            }
            Outcome::Ok(Answer::Completed(leases)) => {
                write!(f, " -> completed ")?;
                tell(f, leases)
            }
            Outcome::Ok(Answer::Added(made)) => {
                write!(f, " -> {} of them new", made.iter().filter(|made| **made).count())
            }
            Outcome::Ok(Answer::Renewed(lease_ms)) => write!(f, " -> renewed for {lease_ms} ms"),
            Outcome::Ok(Answer::Returned) => write!(f, " -> returned"),
        }
    }
}

fn tell(f: &mut fmt::Formatter<'_>, leases: &[Granted]) -> fmt::Result {
    for lease in leases {
        write!(f, "[{:?} token {} for {} ms, attempt {}", lease.item, lease.token, lease.lease_ms, lease.attempt)?;
        write!(f, ", checkpoint {:?}] ", lease.checkpoint)?;
    }
    Ok(())
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} token {}", self.item, self.token)
    }
}
