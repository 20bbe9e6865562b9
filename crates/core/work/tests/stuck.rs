//! Holders that renew and get no further.

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_ids::Millis;
use capstan_work::{Acquire, Command, Event, Policy, PolicyChange, Rejection};
use world::*;

fn watched(revoke: bool) -> World {
    let policy = Policy { stuck_after: Some(secs(60)), revoke_stuck: revoke, attempts: Some(2), ..Policy::default() };
    let mut world = World::with(policy);
    world.add(vec![item("a"), item("b")]);
    world
}

/// Renews every ten seconds for a minute, with the same figures or with new ones.
fn renew_for_a_minute(world: &mut World, grant: &capstan_work::Grant, moves: bool) {
    for tens in 1..=6 {
        world.pass(secs(10));
        let documents = if moves { tens } else { 7 };
        let _ = world.renew(grant, Some(documents));
    }
    // The first figure is news, whatever it is.
    world.pass(secs(11));
    world.settle();
}

#[test]
fn a_lease_that_is_renewed_and_gets_no_further_is_flagged() {
    let mut world = watched(false);
    let (still, moving) = (world.acquire("alice").unwrap(), world.acquire("bob").unwrap());
    for tens in 1..=8 {
        world.pass(secs(10));
        world.renew(&still, Some(7)).unwrap();
        world.renew(&moving, Some(tens)).unwrap();
    }

    assert_eq!((world.item("a").stuck, world.item("b").stuck, world.view().stuck), (true, false, 1));
    let workers = world.work.workers(Some(&shop()));
    assert_eq!(workers[0].stuck, [id("a")], "{workers:?}");
    assert!(workers[1].stuck.is_empty());
    assert_eq!(world.events_since(0).iter().filter(|event| matches!(event, Event::LeaseRevoked { .. })).count(), 0);
}

#[test]
fn one_that_gets_further_again_is_no_longer_stuck() {
    for checkpoint in [false, true] {
        let mut world = watched(false);
        let grant = world.acquire("alice").unwrap();
        renew_for_a_minute(&mut world, &grant, false);
        assert_eq!(world.view().stuck, 1);

        let news = if checkpoint { (Some(7), Some("here")) } else { (Some(8), None) };
        world.perform(&renewing(&grant, news.0, news.1)).unwrap();
        assert_eq!((world.item("a").stuck, world.view().stuck), (false, 0));

        renew_for_a_minute(&mut world, &grant, false);
        assert_eq!(world.view().stuck, 1, "and is looked at again");
    }
}

#[test]
fn with_revocation_another_worker_gets_it_once_the_holder_was_told_and_it_counts_as_an_attempt() {
    let mut world = watched(true);
    let grant = world.acquire("alice").unwrap();
    renew_for_a_minute(&mut world, &grant, false);

    let told = world.renew(&grant, Some(7)).unwrap_err();
    assert!(matches!(told, Rejection::LeaseRevoked { .. }), "{told}");
    assert_eq!(world.acquire("bob").unwrap().body.id(), "b", "it is not granted before the holder has let go");
    world.release(&grant).unwrap();

    assert_eq!(world.item("a").attempts, 1);
    assert!(world.item("a").last_error.unwrap().contains("alice got no further"));
    assert_eq!(world.acquire("bob").unwrap().body.id(), "a");
}

#[test]
fn an_item_that_stops_every_worker_ends() {
    let mut world = watched(true);
    for worker in ["alice", "bob"] {
        let grant = world.acquire_many(worker, 1).pop().unwrap();
        assert_eq!(grant.body.id(), "a");
        renew_for_a_minute(&mut world, &grant, false);
        // Nobody answers for it: it counts when the lease is over.
        world.pass(secs(300));
        world.settle();
        world.perform(&Command::SetPriority { session: shop(), item: id("a"), priority: 5 }).unwrap();
    }
    assert_eq!(world.state_of("a"), "failed");
    assert_eq!(world.view().stuck, 0);
}

#[test]
fn whoever_completes_what_was_taken_back_has_completed_it() {
    let mut world = watched(true);
    let grant = world.acquire("alice").unwrap();
    renew_for_a_minute(&mut world, &grant, false);

    world.complete(&grant).unwrap();

    assert_eq!((world.state_of("a"), world.item("a").attempts, world.view().stuck), ("completed", 0, 0));
}

#[test]
fn after_a_restart_everybody_has_the_whole_time_again() {
    let mut world = watched(true);
    let grant = world.acquire("alice").unwrap();
    world.pass(secs(50));
    world.crash();
    world.pass(secs(50));
    world.settle();
    assert!(!world.item("a").stuck);

    world.pass(secs(10));
    world.settle();
    assert!(world.item("a").stuck && world.item("a").revoked.is_some());
    assert!(world.renew(&grant, None).is_err());
}

#[test]
fn it_is_looked_only_where_the_policy_says_so_and_as_soon_as_it_does() {
    let mut world = World::with_items(&["a"]);
    let grant = world.acquire("alice").unwrap();
    world.pass(secs(200));
    world.renew(&grant, Some(1)).unwrap();
    world.pass(secs(200));
    world.renew(&grant, Some(1)).unwrap();
    assert_eq!(world.view().stuck, 0);

    let update = |after| Command::UpdateSession {
        session: shop(),
        change: PolicyChange { stuck_after: Some(after), ..PolicyChange::default() },
        notes: None,
    };
    world.perform(&update(secs(60))).unwrap();
    world.pass(secs(1));
    world.settle();
    assert_eq!(world.view().stuck, 1, "the time it stood still already counts");

    world.perform(&update(Millis::ZERO)).unwrap();
    assert_eq!(world.view().policy.stuck_after, None);
    let long = world.perform(&update(secs(8 * 86_400))).unwrap_err();
    assert!(matches!(long, Rejection::OutOfRange { field: "stuck_after", .. }), "{long}");
}

#[test]
fn what_workers_say_of_their_slots_is_shown_while_they_are_heard_of() {
    let mut world = World::with_items(&["a"]);
    let ask = |name, slots, session| Acquire { slots, sessions: vec![session], ..acquiring(name) };
    world.open("other", Policy::default());
    let begun = world.now.wall;
    world.ask(ask("alice", Some(4), shop()));
    world.ask(ask("bob", Some(8), shop()));
    world.ask(ask("eve", None, shop()));
    world.ask(ask("zoe", Some(100), session("other")));
    assert_eq!(world.work.connected_slots(&shop(), begun), Some(12));

    world.pass(secs(60));
    world.ask(ask("bob", Some(2), shop()));

    let (minute, all) = (world.now.wall, world.work.workers(Some(&shop())));
    assert_eq!(world.work.connected_slots(&shop(), minute), Some(2));
    assert_eq!(world.work.connected_slots(&shop(), begun), Some(6), "the last word holds");
    assert_eq!(all.iter().map(|view| view.slots).collect::<Vec<_>>(), [Some(4)], "alice alone holds something");
    assert_eq!(world.journal.iter().filter(|entry| entry.session.is_none()).count(), 0, "nothing of it is journalled");
}
