//! Pausing: holders finish or are told to stop, nothing new starts, nothing is counted (soundness 12).

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_work::{Acquire, Answer, NoWork, Rejection, SessionState};
use world::*;

#[test]
fn a_controlled_pause_lets_holders_finish_and_starts_nothing() {
    let mut world = World::with_items(&["a", "b"]);
    let grant = world.acquire("alice").unwrap();

    world.perform(&pausing(false)).unwrap();

    assert_eq!(world.view().state, SessionState::Pausing);
    assert_eq!(world.nothing_for("bob"), NoWork::Paused);
    world.renew(&grant, Some(1)).unwrap();
    world.complete(&grant).unwrap();
    assert_eq!(world.view().state, SessionState::Paused);
    assert_eq!(world.view().reason.as_deref(), Some("maintenance"));
}

/// Soundness 12: telling is not acknowledging.
#[test]
fn a_revoked_item_is_granted_to_nobody_until_its_holder_has_acknowledged() {
    let mut world = World::with_items(&["a"]);
    let grant = world.acquire("alice").unwrap();
    world.perform(&pausing(true)).unwrap();
    world.perform(&resuming()).unwrap();

    let told = world.renew(&grant, Some(1)).unwrap_err();
    assert!(matches!(&told, Rejection::LeaseRevoked { reason, .. } if reason == "maintenance"), "{told}");
    assert_eq!(world.acquire("bob"), None, "being told is not acknowledging");
    world.release(&grant).unwrap();

    assert_eq!(world.acquire("bob").unwrap().body.id(), "a");
}

#[test]
fn a_revoked_item_is_granted_again_when_its_old_end_has_passed() {
    let mut world = World::with_items(&["a"]);
    world.acquire("alice").unwrap();
    world.perform(&pausing(true)).unwrap();
    world.perform(&resuming()).unwrap();

    world.pass(secs(299));
    assert_eq!(world.acquire("bob"), None);
    world.pass(secs(1));

    assert_eq!(world.acquire("bob").unwrap().body.id(), "a");
    assert_eq!(world.item("a").attempts, 0);
}

#[test]
fn a_renewal_does_not_prolong_a_revoked_lease() {
    let mut world = World::with_items(&["a"]);
    let grant = world.acquire("alice").unwrap();
    world.pass(secs(200));
    world.perform(&pausing(true)).unwrap();
    world.renew(&grant, None).unwrap_err();
    world.perform(&resuming()).unwrap();

    world.pass(secs(100));

    assert_eq!(world.acquire("bob").unwrap().body.id(), "a");
}

#[test]
fn completing_acknowledges_a_revocation_and_is_final() {
    let mut world = World::with_items(&["a"]);
    let grant = world.acquire("alice").unwrap();
    world.perform(&pausing(true)).unwrap();

    assert_eq!(world.complete(&grant).unwrap().state.name(), "completed");
    assert_eq!(world.view().state, SessionState::Paused);
}

#[test]
fn a_controlled_pause_may_become_an_immediate_one() {
    let mut world = World::with_items(&["a"]);
    let grant = world.acquire("alice").unwrap();
    world.perform(&pausing(false)).unwrap();
    world.renew(&grant, None).unwrap();

    world.perform(&pausing(true)).unwrap();

    assert!(matches!(world.renew(&grant, None), Err(Rejection::LeaseRevoked { .. })));
}

#[test]
fn resume_gives_failed_items_a_fresh_set_of_attempts() {
    let mut world = World::with(skipping(1));
    world.add(vec![item("a"), item("b")]);
    for grant in world.acquire_many("alice", 2) {
        world.fail(&grant).unwrap();
    }

    world.perform(&resuming()).unwrap();

    assert_eq!((world.state_of("a"), world.item("a").attempts), ("pending", 0));
    assert_eq!(world.acquire_many("alice", 2).len(), 2);
}

#[test]
fn pausing_and_resuming_again_change_nothing() {
    let mut world = World::with_items(&["a"]);
    world.perform(&pausing(false)).unwrap();
    let journalled = world.journal.len();
    assert_eq!(world.perform(&pausing(false)), Ok(Answer::Done));
    assert_eq!(world.journal.len(), journalled);
    world.perform(&resuming()).unwrap();
    let journalled = world.journal.len();
    assert_eq!(world.perform(&resuming()), Ok(Answer::Done));
    assert_eq!(world.journal.len(), journalled);
}

#[test]
fn a_pause_survives_a_crash_and_so_does_a_revocation() {
    let mut world = World::with_items(&["a", "b"]);
    let grant = world.acquire("alice").unwrap();
    world.perform(&pausing(true)).unwrap();

    world.crash();

    assert_eq!(world.view().state, SessionState::Pausing);
    assert_eq!(world.nothing_for("bob"), NoWork::Paused);
    assert!(matches!(world.renew(&grant, None), Err(Rejection::LeaseRevoked { .. })));
}

#[test]
fn a_paused_session_holds_up_no_other() {
    let mut world = World::with_items(&["a"]);
    world.perform(&pausing(false)).unwrap();
    world.open("other", skipping(1));
    let other = capstan_work::Command::AddItems {
        session: session("other"),
        items: vec![item("b")],
        gates: vec![],
        conflicts: capstan_work::Conflicts::Refuse,
    };
    world.perform(&other).unwrap();

    let answer = world.ask(Acquire::any(worker("alice")));

    assert!(matches!(answer, Answer::Granted(grants) if ids(&grants) == ["b"]));
}
