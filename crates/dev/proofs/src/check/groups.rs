//! G1: an item that waits is handed out only after what it waits for.

use super::life::Lives;
use super::{Promise, Verdict};
use crate::history::{Asked, ItemName, Micros};
use std::collections::HashSet;

pub fn check(lives: &Lives<'_>, verdict: &mut Verdict) {
    for (item, life) in &lives.items {
        let Some(awaited) = life.making.iter().find_map(|(_, new)| new.waits_for.as_ref()) else { continue };
        let Some(lease) = life.leases.values().next() else { continue };
        if let Some(open) = unfinished(lives, awaited, lease.answered) {
            let what = format!("it was handed out by {} µs, before {open:?} was completed", lease.answered);
            verdict.accuse(Promise::G1, item, what);
        }
    }
}

/// An item among `first` and all that came of it that nobody had tried to complete by a time.
fn unfinished<'h>(lives: &'h Lives<'_>, first: &'h ItemName, by: Micros) -> Option<&'h ItemName> {
    let mut seen: HashSet<&ItemName> = HashSet::new();
    let mut open = vec![first];
    while let Some(item) = open.pop() {
        if !seen.insert(item) {
            continue;
        }
        let Some(life) = lives.items.get(item) else { return Some(item) };
        let acts = life.leases.values().flat_map(|lease| &lease.acts);
        let tried: Vec<_> = acts
            .filter(|act| matches!(act.asked, Asked::Complete { .. }) && act.may_have_happened() && act.began < by)
            .collect();
        if tried.is_empty() {
            return Some(item);
        }
        // Only an acknowledged completion has its successors for certain.
        for act in tried.iter().filter(|act| act.is_ok()) {
            open.extend(act.makes().iter().map(|new| &new.id));
        }
    }
    None
}
