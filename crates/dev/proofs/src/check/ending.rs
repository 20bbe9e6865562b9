//! What must be there at the end, and what cannot be.

use super::checkpoints;
use super::ends::is_final;
use super::life::{Life, Lives};
use super::{Promise, Verdict};
use crate::history::{Asked, Call, EndItem, Ending, History, ItemName, State};
use std::collections::{BTreeMap, HashMap};

pub fn check(lives: &Lives<'_>, history: &History, ending: &Ending, verdict: &mut Verdict) {
    let mut listed: HashMap<&ItemName, &EndItem> = HashMap::new();
    for item in &ending.items {
        if listed.insert(&item.id, item).is_some() {
            verdict.accuse(Promise::A1, &item.id, "it is listed twice".into());
        }
        let asked =
            lives.items.get(&item.id).is_some_and(|life| life.making.iter().any(|(c, _)| c.may_have_happened()));
        if !asked {
            verdict.accuse(Promise::A1, &item.id, "it is there, and nobody made it".into());
        }
    }
    for (item, life) in &lives.items {
        check_item(item, life, listed.get(item).copied(), history, verdict);
    }
    for call in &history.calls {
        check_whole(call, &listed, verdict);
    }
    check_counts(ending, verdict);
}

fn check_item(item: &ItemName, life: &Life<'_>, end: Option<&EndItem>, history: &History, verdict: &mut Verdict) {
    let acknowledged = life.making.iter().find(|(call, _)| call.is_ok()).map(|(call, _)| *call);
    let Some(end) = end else {
        if let Some(call) = acknowledged {
            verdict.accuse(Promise::A1, item, format!("it is not there, although: {call}"));
        } else if let Some(lease) = life.leases.values().next() {
            let what = format!("it is not there, although client-{} held token {}", lease.client, lease.token);
            verdict.accuse(Promise::A1, item, what);
        }
        return;
    };
    let acts = || life.leases.values().flat_map(|lease| lease.acts.iter().copied());
    if let Some(call) = acts().find(|call| is_final(call)) {
        let completed = matches!(call.asked, Asked::Complete { .. });
        let expected = if completed { State::Completed } else { State::Failed };
        if end.state != expected {
            verdict.accuse(Promise::E1, item, format!("it is {:?} at the end, although: {call}", end.state));
        }
        if completed && end.worker.is_some_and(|worker| worker != call.client) {
            verdict.accuse(
                Promise::E1,
                item,
                format!("client-{:?} is said to have completed it, although: {call}", end.worker),
            );
        }
    }
    let tried = |wanted: fn(&Call) -> bool| acts().any(|call| call.may_have_happened() && wanted(call));
    if end.state == State::Completed && !tried(|call| matches!(call.asked, Asked::Complete { .. })) {
        verdict.accuse(Promise::E1, item, "it is completed, and nobody completed it".into());
    }
    let given_up = tried(|call| matches!(call.asked, Asked::Fail { permanent: true, .. }));
    if end.state == State::Failed && !given_up && end.attempts < history.rules.attempts {
        let what = format!("it has failed after {} of {} attempts", end.attempts, history.rules.attempts);
        verdict.accuse(Promise::E1, item, what);
    }
    let failures = |until: u64| life.leases.range(..until).filter(|(_, lease)| lease.has_failed()).count() as u32;
    for lease in life.leases.values().filter(|lease| lease.grant.attempt < 1 + failures(lease.token)) {
        let what = format!(
            "token {} is attempt {}, after {} reported failures",
            lease.token,
            lease.grant.attempt,
            failures(lease.token)
        );
        verdict.accuse(Promise::E2, item, what);
    }
    if end.attempts < failures(u64::MAX) {
        let what = format!("{} attempts are counted, {} failures were acknowledged", end.attempts, failures(u64::MAX));
        verdict.accuse(Promise::E2, item, what);
    }
    if end.state != State::Completed
        && let Err(expected) = checkpoints::judge(life, u64::MAX, end.checkpoint.as_ref())
    {
        let what = format!("it ends with checkpoint {:?}, not with {expected}", end.checkpoint);
        verdict.accuse(Promise::C1, item, what);
    }
}

/// A request that makes several things has made all of them or none.
fn check_whole(call: &Call, listed: &HashMap<&ItemName, &EndItem>, verdict: &mut Verdict) {
    let made = call.makes();
    if made.is_empty() || !call.may_have_happened() {
        return;
    }
    let there = made.iter().filter(|new| listed.contains_key(&new.id)).count();
    if there != 0 && there != made.len() {
        let what = format!("{there} of {} items are there: {call}", made.len());
        verdict.accuse(Promise::A2, &made[0].id, what);
    }
    if let Asked::Complete { held, .. } = &call.asked {
        let parent = listed.get(&held.item).map(|parent| parent.state);
        if there > 0 && parent != Some(State::Completed) {
            let what = format!("its successors are there, and it is {parent:?}: {call}");
            verdict.accuse(Promise::A2, &held.item, what);
        }
    }
}

fn check_counts(ending: &Ending, verdict: &mut Verdict) {
    let mut recount: BTreeMap<State, u64> = BTreeMap::new();
    for item in &ending.items {
        *recount.entry(item.state).or_default() += 1;
    }
    for (state, counted) in &ending.counted {
        let found = recount.get(state).copied().unwrap_or_default();
        if found != *counted {
            let what = format!("the status counts {counted} items {state:?}, the list shows {found}");
            verdict.accuse_all(Promise::S1, what);
        }
    }
    if ending.total != ending.items.len() as u64 {
        let what = format!("the status counts {} items in all, the list shows {}", ending.total, ending.items.len());
        verdict.accuse_all(Promise::S1, what);
    }
}
