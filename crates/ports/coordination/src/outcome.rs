//! What a worker says about its work.

use crate::lease::Progress;
use capstan_ids::{GroupName, ItemId, Kind, LimitName};
use std::time::Duration;

/// How far the work has got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// In all, earlier holders' share included; replaces what was said before.
    pub progress: Option<Progress>,
    /// Where to go on from, where it moved: at most 16 KiB, understood only by those who do this kind of work.
    pub checkpoint: Option<Box<str>>,
}

/// How a piece of work ended well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What came of it: JSON text, at most 64 KiB; from an item of a job at most 4 MiB, of which the job keeps its facts.
    pub result: Option<Box<str>>,
    /// What this item itself did, where that differs from what was expected of it.
    pub done: Option<Progress>,
    /// What is left, as items made in the same step. A job makes its own from the result.
    pub successors: Vec<Successor>,
}

/// How an attempt failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// What went wrong, where, and what to do, for people; no secrets.
    pub error: Box<str>,
    /// Trying again is of no use.
    pub permanent: bool,
    /// The least time before the next attempt, where the cause says.
    pub retry_after: Option<Duration>,
    /// Where to go on from, where it moved.
    pub checkpoint: Option<Box<str>>,
}

/// One page of what a job keeps for an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brief {
    /// JSON text, at most 4 MiB.
    pub text: Box<str>,
    /// Where the next page begins, if there is one.
    pub next: Option<u32>,
}

/// A new item, made from the rest of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Successor {
    /// Its id, new in its session.
    pub id: ItemId,
    /// What sort of work it is.
    pub kind: Kind,
    /// The index or collection it is about.
    pub collection: Box<str>,
    /// The part of it.
    pub part: u32,
    /// What is expected of it.
    pub expected: Progress,
    /// Higher goes first.
    pub priority: i16,
    /// Groups it belongs to, beside its parent's.
    pub groups: Vec<GroupName>,
    /// What must be done before it.
    pub waits_for: Vec<Await>,
    /// Limits it counts against, beside its kind's.
    pub limits: Vec<LimitName>,
    /// What its worker needs to know: JSON text, at most 64 KiB.
    pub payload: Option<Box<str>>,
}

impl Successor {
    /// An item with nothing else said.
    pub fn new(id: ItemId, kind: Kind) -> Self {
        Self {
            id,
            kind,
            collection: "".into(),
            part: 0,
            expected: Progress::default(),
            priority: 0,
            groups: Vec::new(),
            waits_for: Vec::new(),
            limits: Vec::new(),
            payload: None,
        }
    }
}

/// What an item can wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Await {
    /// Every item of a group, and whatever came of them.
    Group(GroupName),
    /// One item, and whatever came of it.
    Item(ItemId),
}
