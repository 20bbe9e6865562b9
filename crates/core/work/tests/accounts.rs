//! The tests' own account of events is no rubber stamp: what breaks a promise does not pass it (W1, W3, W4).

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_ids::Position;
use capstan_work::{Event, Policy, Progress};
use world::*;

/// A world in which `a` is held by alice, and the journal entry that granted it.
fn held() -> (World, Entry) {
    let mut world = World::with_items(&["a"]);
    world.acquire("alice").unwrap();
    let grant = world.journal.last().unwrap().clone();
    (world, grant)
}

fn next(world: &World, like: &Entry, event: Event) -> Entry {
    Entry { position: Position::new(world.next.get()), event, ..like.clone() }
}

#[test]
#[should_panic(expected = "W1: two live leases")]
fn two_live_leases_of_an_item_are_seen() {
    let (mut world, grant) = held();
    let again = next(&world, &grant, grant.event.clone());
    world.ledger.see(&again);
}

#[test]
#[should_panic(expected = "W4: item 0 of shop is done, and granted")]
fn a_grant_of_what_is_done_is_seen() {
    let (mut world, grant) = held();
    let done = Event::ItemCompleted { number: 0, result: None, done: Progress::NONE, successors: None };
    let done = next(&world, &grant, done);
    world.ledger.see(&done);
    let again = Entry { position: done.position.plus(1), ..grant };
    world.ledger.see(&again);
}

#[test]
#[should_panic(expected = "positions grow")]
fn a_token_that_does_not_grow_is_seen() {
    let (mut world, grant) = held();
    world.ledger.see(&grant);
}

/// W3: each journalled event matters, so leaving one out is seen by whoever compares a replay with the state.
#[test]
fn a_journal_without_one_of_its_events_makes_another_state() {
    let mut world = World::with(Policy::default());
    world.add(vec![item("a"), item("b")]);
    let grants = world.acquire_many("alice", 2);
    world.complete(&grants[0]).unwrap();
    world.release(&grants[1]).unwrap();
    assert_eq!(portrait(&world.replayed()), portrait(&world.work));

    let last = world.journal.len() - 1;
    for lost in [last - 1, last] {
        let mut damaged = capstan_work::WorkState::new();
        let rest = world.journal.iter().enumerate().filter(|(index, _)| *index != lost);
        replay(&mut damaged, rest.map(|(_, entry)| entry), world.now.monotonic);
        assert_ne!(portrait(&damaged), portrait(&world.work), "without event {lost}");
    }
}
