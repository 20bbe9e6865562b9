//! A lost reply hands back the same leases (soundness 10).

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_work::{Acquire, Answer, Command, Policy};
use world::*;

fn keyed(name: &str, with: &str) -> Acquire {
    Acquire { key: Some(key(with)), max: 2, ..acquiring(name) }
}

fn granted(world: &mut World, acquire: Acquire) -> Vec<capstan_work::Grant> {
    match world.ask(acquire) {
        Answer::Granted(grants) => grants,
        other => panic!("an acquire answered {other:?}"),
    }
}

#[test]
fn a_repeat_under_a_key_answers_with_the_live_leases_and_what_is_left_of_them() {
    let mut world = World::with_items(&["a", "b", "c"]);
    let first = granted(&mut world, keyed("alice", "k1"));
    world.pass(secs(100));

    let again = granted(&mut world, keyed("alice", "k1"));

    assert_eq!(tokens(&again), tokens(&first));
    assert_eq!(again[0].lease, secs(200));
    assert_eq!(again[0].expires, first[0].expires);
    assert_eq!(world.state_of("c"), "pending", "nothing new is granted");
}

#[test]
fn a_repeat_leaves_out_what_has_ended_meanwhile() {
    let mut world = World::with_items(&["a", "b", "c"]);
    let first = granted(&mut world, keyed("alice", "k1"));
    world.complete(&first[0]).unwrap();

    assert_eq!(ids(&granted(&mut world, keyed("alice", "k1"))), ["b"]);
}

#[test]
fn a_key_lives_as_long_as_its_leases() {
    let mut world = World::with_items(&["a", "b", "c", "d"]);
    for grant in granted(&mut world, keyed("alice", "k1")) {
        world.complete(&grant).unwrap();
    }

    assert_eq!(ids(&granted(&mut world, keyed("alice", "k1"))), ["c", "d"]);
}

#[test]
fn a_key_belongs_to_its_worker() {
    let mut world = World::with_items(&["a", "b", "c", "d"]);
    granted(&mut world, keyed("alice", "k1"));

    assert_eq!(ids(&granted(&mut world, keyed("bob", "k1"))), ["c", "d"]);
}

#[test]
fn another_key_is_another_request() {
    let mut world = World::with_items(&["a", "b", "c", "d"]);
    granted(&mut world, keyed("alice", "k1"));

    assert_eq!(ids(&granted(&mut world, keyed("alice", "k2"))), ["c", "d"]);
}

#[test]
fn a_repeat_after_a_crash_answers_the_same_with_full_terms() {
    let mut world = World::with_items(&["a", "b", "c"]);
    let first = granted(&mut world, keyed("alice", "k1"));
    world.pass(secs(100));

    world.crash();

    let again = granted(&mut world, keyed("alice", "k1"));
    assert_eq!(tokens(&again), tokens(&first));
    assert_eq!(again[0].lease, secs(300), "the coordinator waits that long, so the worker may too");
}

#[test]
fn an_expired_lease_is_not_repeated() {
    let mut world = World::with(skipping(9));
    world.add(vec![item("a")]);
    let first = granted(&mut world, keyed("alice", "k1"));
    world.pass(secs(300));

    let again = granted(&mut world, keyed("alice", "k1"));

    assert!(again[0].token > first[0].token, "a new lease under a new token");
}

#[test]
fn a_revoked_lease_is_not_handed_out_again_by_a_repeat() {
    let mut world = World::with_items(&["a", "b"]);
    granted(&mut world, keyed("alice", "k1"));
    world.perform(&cancelling_item("a")).unwrap();

    assert_eq!(ids(&granted(&mut world, keyed("alice", "k1"))), ["b"]);
}

#[test]
fn keys_span_sessions() {
    let mut world = World::with_items(&["a"]);
    world.open("other", Policy::default());
    world
        .perform(&Command::AddItems {
            session: session("other"),
            items: vec![item("b")],
            gates: vec![],
            conflicts: capstan_work::Conflicts::Refuse,
        })
        .unwrap();
    let any = Acquire { sessions: vec![], ..keyed("alice", "k1") };
    let first = granted(&mut world, any.clone());

    assert_eq!(first.len(), 2);
    assert_eq!(tokens(&granted(&mut world, any)), tokens(&first));
}

#[test]
fn a_key_of_a_deleted_session_is_forgotten() {
    let mut world = World::with_items(&["a", "b"]);
    granted(&mut world, keyed("alice", "k1"));
    world.perform(&Command::DeleteSession { session: shop() }).unwrap();
    world.open("shop", Policy::default());
    world.add(vec![item("c")]);

    assert_eq!(ids(&granted(&mut world, keyed("alice", "k1"))), ["c"]);
}
