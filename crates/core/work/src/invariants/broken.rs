//! States that break a promise, made by hand: the checker must see each of them.

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its state should panic")]

use crate::command::{Acquire, Command, Complete, Conflicts, Holder, NewItem};
use crate::groups::GroupKey;
use crate::item::{Item, ItemState};
use crate::policy::{LimitValue, Policy};
use crate::session::Session;
use crate::state::{Context, WorkState};
use crate::{Answer, WaitsFor};
use capstan_ids::{GroupName, ItemId, LimitName, Moment, Monotonic, Position, SessionName, WorkerId};

fn shop() -> SessionName {
    SessionName::new("shop").unwrap()
}

fn item(id: &str) -> NewItem {
    NewItem::new(ItemId::new(id).unwrap())
}

/// Two leased items, two ready ones, one completed, one waiting for a group with the leased ones.
fn sound() -> WorkState {
    let mut work = WorkState::new();
    let mut next = Position::new(1);
    let mut ask = |work: &mut WorkState, command: Command| {
        let context = Context { moment: Moment::default(), next, random: 7 };
        work.perform(&command, context, &mut |_, _| next = next.plus(1)).unwrap()
    };
    let group = GroupName::new("g").unwrap();
    let policy = Policy {
        limits: vec![(LimitName::new("backfill").unwrap(), LimitValue::new(3).unwrap())],
        ..Policy::default()
    };
    let open = Command::OpenSession { session: shop(), policy, notes: None, items: vec![], gates: vec![] };
    ask(&mut work, open);
    let grouped = |id| NewItem { groups: vec![group.clone()], document_count: 10, ..item(id) };
    let waiting = NewItem { waits_for: vec![WaitsFor::Group(group.clone())], ..item("waiting") };
    let items = vec![item("done"), grouped("held"), grouped("kept"), item("ready"), item("spare"), waiting];
    ask(&mut work, Command::AddItems { session: shop(), items, gates: vec![], conflicts: Conflicts::Refuse });
    let acquire = Acquire { max: 3, ..Acquire::from(shop(), WorkerId::new("alice").unwrap()) };
    let Answer::Granted(grants) = ask(&mut work, Command::Acquire(acquire)) else { panic!("there was work") };
    let done = ItemId::new("done").unwrap();
    ask(&mut work, Command::Complete(Complete::new(shop(), done, Holder::Token(grants[0].token))));
    assert_eq!(work.check(), Ok(()));
    work
}

fn session(work: &mut WorkState) -> &mut Session {
    work.sessions.get_mut(&shop()).unwrap()
}

/// An item, changed behind the counters' back.
fn tampered<'a>(work: &'a mut WorkState, id: &str) -> &'a mut Item {
    let session = session(work);
    let number = session.items.find(id).unwrap();
    session.items.get_mut(number).unwrap()
}

/// Breaks a sound state, and expects the checker to name the promise.
#[track_caller]
fn is_seen(promise: &str, break_it: impl FnOnce(&mut WorkState)) {
    let mut work = sound();
    break_it(&mut work);
    let violation = work.check().expect_err("the checker must see it");
    assert_eq!(violation.promise, promise, "{violation}");
}

#[test]
fn w1_an_item_leased_and_ready_at_once_is_seen() {
    is_seen("W1", |work| {
        let session = session(work);
        let number = session.items.find("held").unwrap();
        let lease = session.item(number).lease().cloned();
        let ready = session.items.find("ready").unwrap();
        session.change(ready, |item| item.run_mut().lease = lease);
    });
}

#[test]
fn w1_an_item_that_is_not_found_by_its_id_is_seen() {
    is_seen("W1", |work| {
        let body = crate::ItemBody::pack(&item("other"));
        tampered(work, "spare").body = body;
    });
}

#[test]
fn w2_a_token_given_twice_is_seen() {
    is_seen("W2", |work| {
        let token = tampered(work, "held").lease().unwrap().token;
        tampered(work, "kept").run_mut().lease.as_mut().unwrap().token = token;
    });
}

#[test]
fn w8_an_alarm_that_was_forgotten_is_seen() {
    is_seen("W8", |work| {
        work.shared.alarms.pop_first();
    });
}

#[test]
fn w4_a_completed_item_that_is_granted_again_is_seen() {
    is_seen("W1", |work| {
        let lease = tampered(work, "held").lease().cloned();
        tampered(work, "done").run_mut().lease = lease;
    });
}

#[test]
fn w5_a_group_that_forgets_a_member_is_seen() {
    is_seen("W5", |work| {
        let session = session(work);
        let place = session.groups.find(&GroupKey::Named(GroupName::new("g").unwrap())).unwrap();
        session.groups.at_mut(place).unfinished -= 1;
    });
}

#[test]
fn w5_a_group_emptied_while_something_in_it_is_open_is_seen() {
    is_seen("W5", |work| {
        let session = session(work);
        let place = session.groups.find(&GroupKey::Named(GroupName::new("g").unwrap())).unwrap();
        session.groups.at_mut(place).emptied = true;
    });
}

#[test]
fn w6_a_counter_that_is_off_by_one_is_seen() {
    is_seen("W6", |work| {
        let item = tampered(work, "ready").clone();
        session(work).counts.enter(&item);
    });
}

#[test]
fn w6_a_total_that_is_off_by_one_is_seen() {
    is_seen("W6", |work| session(work).counts.done.documents += 1);
}

#[test]
fn w7_a_slot_that_leaked_is_seen() {
    is_seen("W7", |work| {
        let session = session(work);
        let place = session.limits.place(&LimitName::new("backfill").unwrap());
        session.limits.granted(place);
    });
}

#[test]
fn w7_a_slot_that_leaked_over_all_sessions_is_seen() {
    is_seen("W7", |work| {
        let place = work.shared.limits.place(&LimitName::new("global").unwrap());
        work.shared.limits.granted(place);
    });
}

#[test]
fn w7_a_worker_that_seems_to_hold_more_than_it_does_is_seen() {
    is_seen("W7", |work| {
        session(work).workers.values_mut().for_each(|record| record.held += 1);
    });
}

#[test]
fn w8_a_lease_that_would_never_end_is_seen() {
    is_seen("W8", |work| {
        let lease = tampered(work, "held").run_mut().lease.as_mut().unwrap();
        lease.deadline = Monotonic(lease.deadline.0 + 1);
    });
}

#[test]
fn w9_a_session_that_lost_its_turn_is_seen() {
    is_seen("W9", |work| session(work).turn = None);
}

#[test]
fn w9_an_older_item_behind_a_newer_one_is_seen() {
    is_seen("W9", |work| {
        // The same ready items, queued again in the wrong order.
        let session = session(work);
        let (ready, spare) = (session.items.find("ready").unwrap(), session.items.find("spare").unwrap());
        session.lanes.clear_queues();
        for number in [spare, ready] {
            session.lanes.push(number, session.items.get(number).unwrap());
        }
    });
}

#[test]
fn w10_a_ready_item_that_nobody_would_find_is_seen() {
    is_seen("W10", |work| session(work).lanes.clear_queues());
}

#[test]
fn w10_an_item_that_waits_for_nothing_is_seen() {
    is_seen("W10", |work| {
        let session = session(work);
        let number = session.items.find("waiting").unwrap();
        session.change(number, |item| item.links = None);
    });
}

#[test]
fn w10_a_blocked_item_that_nothing_blocks_is_seen() {
    is_seen("W10", |work| {
        let session = session(work);
        let number = session.items.find("waiting").unwrap();
        session.change(number, |item| item.state = ItemState::Blocked);
    });
}

/// An entry holds 24 bits of its item's place: 2^24 places later an entry left behind would have seemed true again,
/// and its item would have been handed out twice in one step (W1).
#[test]
fn an_entry_left_behind_does_not_come_back_when_places_come_round() {
    let mut work = sound();
    let mut next = Position::new(1_000);
    let mut ask = |work: &mut WorkState, command: Command| {
        let context = Context { moment: Moment::default(), next, random: 7 };
        let answer = work.perform(&command, context, &mut |_, _| next = next.plus(1)).unwrap();
        assert_eq!(work.check(), Ok(()));
        answer
    };
    let alice = || WorkerId::new("alice").unwrap();
    let spare = ItemId::new("spare").unwrap();
    let place = work.sessions[&shop()].item(work.sessions[&shop()].items.find("spare").unwrap()).queued;
    let specific = Acquire { item: Some(spare.clone()), ..Acquire::from(shop(), alice()) };
    let Answer::Granted(grants) = ask(&mut work, Command::Acquire(specific)) else { panic!("it was ready") };

    session(&mut work).queued = (1 << 24) - 1;
    let more = vec![item("wraps"), item("wrapped")];
    ask(&mut work, Command::AddItems { session: shop(), items: more, gates: vec![], conflicts: Conflicts::Refuse });
    session(&mut work).queued = (1 << 24) + place;
    let holder = Holder::Token(grants[0].token);
    ask(&mut work, Command::Release { session: shop(), item: spare, holder, progress: None, checkpoint: None });

    let no_limit = Command::SetLimit { session: Some(shop()), name: LimitName::new("backfill").unwrap(), value: None };
    ask(&mut work, no_limit);
    let all = Acquire { max: 10, ..Acquire::from(shop(), alice()) };
    let Answer::Granted(grants) = ask(&mut work, Command::Acquire(all)) else { panic!("there was work") };
    let ids: Vec<&str> = grants.iter().map(|grant| grant.body.id()).collect();
    assert_eq!(ids, ["ready", "wraps", "wrapped", "spare"]);
}
