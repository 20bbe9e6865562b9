//! The judge: reads a history and the state at its end, and names every promise that was broken.
//!
//! It knows nothing of the server. It believes the clients' clocks and nothing else, and takes an unknown outcome for
//! both. What it accuses is therefore broken for certain; what it cannot see it does not accuse.
//!
//! # What it judges
//! - A1 An acknowledged addition is there at the end, made once; nothing is there that nobody asked for.
//! - A2 A batch, and a completion with its successors, is there as a whole or not at all.
//! - T1 A token belongs to one item and one worker, and is given again only to a repeat of its request.
//! - T2 Tokens grow: what was granted later, as the clients saw it, has the higher one.
//! - L1 No item is handed out while its holder may count on its lease: from the time it asked, for as long as it
//!   waited and the lease lasts, by its own clock, until it gives it up.
//! - L2 A holder within its lease is not refused.
//! - L3 Once a later holder was answered, an earlier token changes nothing; nor does a token that was given up.
//! - L4 A repeat under its key is answered with the leases that still live.
//! - L5 Live leases of a kind stay within its limit.
//! - E1 Completed, and failed for good, is final: no later grant, no second completion, and so it stands at the end.
//! - E2 Reported failures are counted.
//! - C1 A grant carries the last acknowledged checkpoint, or one whose outcome nobody knows.
//! - G1 An item is handed out only after what it waits for, and all that came of it, was completed.
//! - S1 The status counts what the list shows.

mod checkpoints;
mod ending;
mod ends;
mod groups;
mod leases;
mod life;
mod limits;
#[cfg(test)]
mod tests;
mod tokens;

use crate::history::{Ending, History, ItemName};
use life::Lives;
use std::fmt;

/// The promises, by the names they have above.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is explained in the list above")]
pub enum Promise {
    A1,
    A2,
    T1,
    T2,
    L1,
    L2,
    L3,
    L4,
    L5,
    E1,
    E2,
    C1,
    G1,
    S1,
}

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub promise: Promise,
    /// The item concerned, if it is about one.
    pub item: Option<ItemName>,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: ", self.promise)?;
        if let Some(item) = &self.item {
            write!(f, "item {item:?}: ")?;
        }
        f.write_str(&self.what)
    }
}

/// Judges a history by itself.
pub fn check_calls(history: &History) -> Vec<Violation> {
    let lives = Lives::read(history);
    let mut verdict = Verdict::default();
    tokens::check(&lives, &mut verdict);
    for (item, life) in &lives.items {
        leases::check(item, life, &mut verdict);
        ends::check(item, life, &mut verdict);
        checkpoints::check(item, life, &mut verdict);
    }
    leases::check_repeats(&lives, &mut verdict);
    limits::check(&lives, &history.rules, &mut verdict);
    groups::check(&lives, &mut verdict);
    verdict.0
}

/// Judges a history and the state it ended in.
pub fn check(history: &History, ending: &Ending) -> Vec<Violation> {
    let mut verdict = Verdict(check_calls(history));
    ending::check(&Lives::read(history), history, ending, &mut verdict);
    verdict.0
}

/// What was found so far.
#[derive(Default)]
struct Verdict(Vec<Violation>);

impl Verdict {
    fn accuse(&mut self, promise: Promise, item: &ItemName, what: String) {
        self.0.push(Violation { promise, item: Some(ItemName::clone(item)), what });
    }

    fn accuse_all(&mut self, promise: Promise, what: String) {
        self.0.push(Violation { promise, item: None, what });
    }
}
