//! Cancelling, undoing, deleting and closing: leases count until they are over (soundness 12).

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_work::{Answer, Command, NoWork, Policy, Rejection, SessionState};
use world::*;

#[test]
fn cancelling_a_session_ends_what_is_unfinished_and_leaves_what_is_done() {
    let mut world = World::with(skipping(1));
    world.add(vec![item("done"), item("failed"), item("held"), item("ready"), waiting_for_item("waiting", "held")]);
    let grants = world.acquire_many("alice", 3);
    world.complete(&grants[0]).unwrap();
    world.fail(&grants[1]).unwrap();

    world.perform(&cancelling()).unwrap();

    assert_eq!(world.view().state, SessionState::Cancelled);
    assert_eq!(world.state_of("done"), "completed");
    for ended in ["failed", "ready", "waiting"] {
        assert_eq!(world.state_of(ended), "cancelled", "{ended}");
    }
    assert_eq!(world.state_of("held"), "assigned", "until its holder acknowledges");
    assert!(matches!(world.renew(&grants[2], None), Err(Rejection::LeaseRevoked { .. })));
    world.release(&grants[2]).unwrap();
    assert_eq!(world.state_of("held"), "cancelled");
    assert!(matches!(world.perform(&adding(vec![item("late")])), Err(Rejection::SessionEnded(..))));
}

/// Soundness 12: "items that undo wait for all of them".
#[test]
fn undo_items_wait_for_every_lease() {
    let mut world = World::with(Policy::default());
    world.add(vec![item("a"), item("b"), item("c"), undo("drop-target")]);
    assert_eq!(world.view().counts.total(), 3, "an undo item is not work that is left");
    let grants = world.acquire_many("alice", 3);
    world.perform(&deleting_item("c")).unwrap();

    world.perform(&cancelling()).unwrap();
    assert_eq!(world.acquire("bob"), None);
    world.release(&grants[0]).unwrap();
    assert_eq!(world.acquire("bob"), None, "b may still be written to");
    world.complete(&grants[1]).unwrap();
    assert_eq!(world.acquire("bob"), None, "the lease of the deleted c lives");
    world.pass(secs(300));

    let undoing = world.acquire("bob").unwrap();
    assert_eq!(undoing.body.id(), "drop-target");
    world.complete(&undoing).unwrap();
    assert_eq!(world.view().state, SessionState::Cancelled);
    assert_eq!(world.nothing_for("bob"), NoWork::Ended);
}

#[test]
fn undo_items_never_open_where_nothing_is_cancelled() {
    let mut world = World::with(Policy::default());
    world.add(vec![item("a"), undo("drop-target")]);
    let grant = world.acquire("alice").unwrap();
    world.complete(&grant).unwrap();

    assert_eq!(world.nothing_for("alice"), NoWork::AllDone);
    assert_eq!(world.view().state, SessionState::Completed);
}

#[test]
fn an_undo_item_that_failed_can_be_retried_after_the_cancel() {
    let mut world = World::with(skipping(1));
    world.add(vec![undo("drop-target")]);
    world.perform(&cancelling()).unwrap();
    let grant = world.acquire("alice").unwrap();
    world.fail(&grant).unwrap();

    world.perform(&Command::Retry { session: shop(), items: vec![] }).unwrap();

    assert!(world.acquire("alice").is_some());
}

#[test]
fn an_undo_item_may_leave_something_for_a_successor() {
    let mut world = World::with(Policy::default());
    world.add(vec![undo("drop-target")]);
    world.perform(&cancelling()).unwrap();
    let grant = world.acquire("alice").unwrap();

    world.complete_with(&grant, vec![item("drop-rest")]).unwrap();

    assert_eq!(world.acquire("alice").unwrap().body.id(), "drop-rest");
}

/// The rest of a cancelled item became pending in a session that was over, and was handed out as if to undo.
#[test]
fn what_is_left_of_a_cancelled_item_is_cancelled_with_it() {
    let mut world = World::with_items(&["a", "b"]);
    let grants = world.acquire_many("alice", 2);
    world.perform(&cancelling_item("a")).unwrap();
    world.complete_with(&grants[0], vec![item("a/rest")]).unwrap();
    assert_eq!(world.state_of("a/rest"), "cancelled");

    world.perform(&cancelling()).unwrap();
    world.complete_with(&grants[1], vec![item("b/rest")]).unwrap();

    assert_eq!((world.state_of("b"), world.state_of("b/rest")), ("completed", "cancelled"));
    assert_eq!(world.acquire("bob"), None);
}

#[test]
fn nothing_waits_for_an_undo_item_and_it_waits_for_nothing() {
    let mut world = World::with(Policy::default());
    world.add(vec![undo("u")]);
    let mut waiting = waiting_for_group("v", "g");
    waiting.undo = true;

    for bad in [waiting_for_item("a", "u"), waiting] {
        let refused = world.perform(&adding(vec![bad]));
        assert!(matches!(refused, Err(Rejection::OutOfRange { field: "waits_for", .. })), "{refused:?}");
    }
    let refused = world.perform(&adding(vec![undo("w"), waiting_for_item("a", "w")]));
    assert!(matches!(refused, Err(Rejection::OutOfRange { field: "waits_for", .. })), "{refused:?}");
}

#[test]
fn cancelling_one_item_tells_its_holder_and_ends_it() {
    let mut world = World::with_items(&["a"]);
    let grant = world.acquire("alice").unwrap();

    world.perform(&cancelling_item("a")).unwrap();

    let told = world.renew(&grant, None).unwrap_err();
    assert!(told.to_string().contains("the item was cancelled"), "{told}");
    world.pass(secs(300));
    world.settle();
    assert_eq!(world.state_of("a"), "cancelled");
    assert_eq!(world.acquire("bob"), None);
}

/// Soundness 12: an id made again is not granted before the old lease is over or acknowledged.
#[test]
fn a_deleted_item_made_again_is_not_granted_before_the_old_lease_is_over() {
    let mut world = World::with_items(&["a"]);
    let old = world.acquire("alice").unwrap();
    world.perform(&deleting_item("a")).unwrap();
    world.add(vec![item("a")]);

    assert_eq!(world.acquire("bob"), None);
    let told = world.renew(&old, None).unwrap_err();
    assert!(matches!(told, Rejection::LeaseRevoked { .. }), "{told}");
    assert_eq!(world.acquire("bob"), None);
    world.pass(secs(300));

    assert_eq!(world.acquire("bob").unwrap().body.id(), "a");
}

#[test]
fn a_deleted_item_made_again_is_granted_once_the_old_lease_is_acknowledged() {
    for acknowledge in [releasing, failing, |grant: &_| Command::Complete(completing(grant))] {
        let mut world = World::with_items(&["a"]);
        let old = world.acquire("alice").unwrap();
        world.perform(&Command::DeleteItems { session: shop() }).unwrap();
        world.add(vec![item("a")]);
        assert_eq!(world.acquire("bob"), None);

        assert_eq!(world.perform(&acknowledge(&old)), Ok(Answer::Done));

        assert_eq!(world.acquire("bob").unwrap().body.id(), "a");
        assert!(world.complete(&old).is_err(), "the old token is of no use any more");
    }
}

#[test]
fn a_timed_item_made_again_is_granted_neither_before_its_time_nor_under_the_old_lease() {
    let mut world = World::with_items(&["a"]);
    world.acquire("alice").unwrap();
    world.perform(&deleting_item("a")).unwrap();
    let not_before = Some(world.now.wall + secs(100));
    world.add(vec![capstan_work::NewItem { not_before, ..item("a") }]);

    world.pass(secs(150));
    assert_eq!(world.acquire("bob"), None, "its time has come, and the old lease lives");
    world.pass(secs(150));
    assert_eq!(world.acquire("bob").unwrap().body.id(), "a");
}

#[test]
fn deleting_a_session_revokes_and_its_leases_count_until_they_are_over() {
    let mut world = World::with_items(&["a"]);
    world.perform(&limiting_all("backfill", Some(1))).unwrap();
    let old = world.acquire("alice").unwrap();

    world.perform(&Command::DeleteSession { session: shop() }).unwrap();
    assert!(!world.work.has_session(&shop()));
    assert!(matches!(world.renew(&old, None), Err(Rejection::SessionUnknown(_))));

    world.open("shop", Policy::default());
    world.add(vec![item("a"), item("b")]);
    assert_eq!(world.acquire_many("bob", 2), [], "the old lease counts against the limit over all sessions");
    world.pass(secs(300));
    assert_eq!(ids(&world.acquire_many("bob", 2)), ["b"].map(|_| "b"), "b queued first: a waited for the old lease");
}

#[test]
fn a_deleted_session_without_leases_is_gone() {
    let mut world = World::with_items(&["a"]);
    world.perform(&Command::DeleteSession { session: shop() }).unwrap();
    assert!(world.work.session_names().is_empty());
}

#[test]
fn a_session_with_live_leases_is_not_closed() {
    let mut world = World::with_items(&["a"]);
    let grant = world.acquire("alice").unwrap();
    let closing = Command::Close { session: shop() };
    assert!(matches!(world.perform(&closing), Err(Rejection::SessionState { .. })));
    world.complete(&grant).unwrap();

    world.perform(&closing).unwrap();

    assert_eq!(world.view().state, SessionState::Closed);
    assert!(matches!(world.perform(&adding(vec![item("late")])), Err(Rejection::SessionEnded(..))));
    assert_eq!(world.nothing_for("alice"), NoWork::Ended);
}
