//! What counts as an attempt, and how a poison item ends (soundness 16).

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_work::{Answer, Backoff, Command, Event, ItemState, NoWork, OnExhausted, Policy, Rejection, SessionState};
use world::*;

fn expire(world: &mut World) {
    world.pass(secs(301));
    world.settle();
}

#[test]
fn an_item_has_failed_after_one_attempt_and_three_retries() {
    let mut world = World::with(skipping(4));
    world.add(vec![item("a")]);

    let attempts: Vec<u32> = (0..4)
        .map(|_| {
            let grant = world.acquire("alice").unwrap();
            world.fail(&grant).unwrap();
            grant.attempt
        })
        .collect();

    assert_eq!(attempts, [1, 2, 3, 4]);
    assert_eq!(world.state_of("a"), "failed");
    assert_eq!(world.item("a").last_error.as_deref(), Some("it broke"));
    assert_eq!(world.nothing_for("alice"), NoWork::Failed { failed: 1 });
}

#[test]
fn a_report_after_the_last_lease_ran_out_is_told_that_it_did() {
    for attempts in [1, 2] {
        let mut world = World::with(skipping(attempts));
        world.add(vec![item("a")]);
        let grant = world.acquire("alice").unwrap();
        expire(&mut world);

        let late = world.fail(&grant);

        assert!(matches!(late, Err(Rejection::LeaseExpired { .. })), "{attempts} attempts: {late:?}");
        assert_eq!(world.item("a").attempts, 1);
    }
}

#[test]
fn attempts_that_fail_are_counted_for_the_kind_of_their_item() {
    let mut world = World::with(skipping(4));
    let failed = |world: &World| ["dump", "restore"].map(|sort| world.work.failed_attempts(&shop(), &kind(sort)));

    world.add(vec![of_kind("read", "dump")]);
    let grant = world.acquire("alice").unwrap();
    world.fail(&grant).unwrap();
    world.acquire("alice").unwrap();
    expire(&mut world);
    assert_eq!(failed(&world), [2, 0], "one that failed, and one whose lease ran out");
    let again = world.acquire("alice").unwrap();
    world.complete(&again).unwrap();

    world.add(vec![of_kind("write", "restore")]);
    let grant = world.acquire("alice").unwrap();
    world.perform(&failing_for_good(&grant)).unwrap();
    assert_eq!(failed(&world), [2, 1]);
}

#[test]
fn a_permanent_error_uses_up_all_attempts_at_once() {
    let mut world = World::with(skipping(4));
    world.add(vec![item("a")]);
    let grant = world.acquire("alice").unwrap();

    world.perform(&failing_for_good(&grant)).unwrap();

    assert_eq!(world.state_of("a"), "failed");
}

#[test]
fn unlimited_attempts_never_end() {
    let mut world = World::with(Policy::console());
    world.add(vec![item("a")]);

    for _ in 0..200 {
        let grant = world.acquire("alice").unwrap();
        world.fail(&grant).unwrap();
    }

    assert_eq!(world.item("a").attempts, 200);
}

/// Soundness 16, the poison item: it kills its worker each time before it gets anywhere.
#[test]
fn an_item_that_kills_its_workers_ends() {
    let mut world = World::with(skipping(4));
    world.add(vec![item("poison"), item("healthy")]);

    for round in 0..4 {
        let grant = world.acquire("victim").unwrap();
        assert_eq!(grant.body.id(), "poison");
        if round == 0 {
            let healthy = world.acquire("other").unwrap();
            world.complete(&healthy).unwrap();
        }
        expire(&mut world);
    }

    assert_eq!(world.state_of("poison"), "failed");
    assert_eq!(world.item("poison").last_error.as_deref(), Some("the lease of victim ran out"));
}

#[test]
fn an_expiry_does_not_count_where_the_item_got_further_than_ever() {
    let mut world = World::with(skipping(2));
    world.add(vec![item_of("a", 1_000)]);

    for round in 1..=30 {
        let grant = world.acquire("alice").unwrap();
        world.renew(&grant, Some(round * 10)).unwrap();
        expire(&mut world);
    }

    assert_eq!(world.item("a").attempts, 0);
    assert_eq!(world.state_of("a"), "pending");
}

#[test]
fn getting_as_far_as_before_is_not_further() {
    let mut world = World::with(skipping(3));
    world.add(vec![item_of("a", 1_000)]);
    let grant = world.acquire("alice").unwrap();
    world.renew(&grant, Some(500)).unwrap();
    expire(&mut world);

    for _ in 0..3 {
        let grant = world.acquire("alice").unwrap();
        world.renew(&grant, Some(100)).unwrap();
        world.renew(&grant, Some(500)).unwrap();
        expire(&mut world);
    }

    assert_eq!(world.state_of("a"), "failed");
}

/// Soundness 16: "the first after a grant is journalled at once", so that a crash of the server forgets no progress
/// that excuses an expiry.
#[test]
fn the_first_progress_after_a_grant_is_journalled_at_once() {
    let mut world = World::with(skipping(1));
    world.add(vec![item_of("a", 1_000)]);
    let grant = world.acquire("alice").unwrap();
    let from = world.journal.len();

    world.renew(&grant, Some(10)).unwrap();
    world.renew(&grant, Some(20)).unwrap();
    assert!(matches!(world.events_since(from)[..], [Event::LeaseRenewed { .. }]));

    world.crash();
    expire(&mut world);
    assert_eq!(world.state_of("a"), "pending", "its one attempt is not used up");
}

/// Soundness 16: without figures a new checkpoint excuses, at most 20 times in a row.
#[test]
fn a_moving_checkpoint_excuses_twenty_expiries_and_no_more() {
    let mut world = World::with(skipping(1));
    world.add(vec![item("a")]);

    for round in 0..20 {
        let grant = world.acquire("alice").unwrap();
        world.perform(&renewing(&grant, None, Some(&format!("c{round}")))).unwrap();
        expire(&mut world);
        assert_eq!(world.item("a").attempts, 0, "round {round}");
    }
    let grant = world.acquire("alice").unwrap();
    world.perform(&renewing(&grant, None, Some("c20"))).unwrap();
    expire(&mut world);

    assert_eq!(world.state_of("a"), "failed");
}

#[test]
fn the_same_checkpoint_again_excuses_nothing() {
    let mut world = World::with(skipping(2));
    world.add(vec![item("a")]);

    for _ in 0..3 {
        let grant = world.acquire("alice").unwrap();
        world.perform(&renewing(&grant, None, Some("stuck"))).unwrap();
        expire(&mut world);
    }

    assert_eq!(world.state_of("a"), "failed");
}

#[test]
fn a_checkpoint_does_not_excuse_where_figures_say_that_nothing_moved() {
    let mut world = World::with(skipping(1));
    world.add(vec![item_of("a", 100)]);
    let grant = world.acquire("alice").unwrap();
    world.renew(&grant, Some(50)).unwrap();
    expire(&mut world);

    let grant = world.acquire("alice").unwrap();
    world.perform(&renewing(&grant, Some(50), Some("elsewhere"))).unwrap();
    expire(&mut world);

    assert_eq!(world.state_of("a"), "failed");
}

#[test]
fn release_revocation_and_pause_never_count() {
    let mut world = World::with(skipping(1));
    world.add(vec![item("a")]);

    for _ in 0..10 {
        let grant = world.acquire("alice").unwrap();
        world.release(&grant).unwrap();
        let grant = world.acquire("alice").unwrap();
        world.perform(&pausing(true)).unwrap();
        world.fail(&grant).unwrap();
        world.perform(&resuming()).unwrap();
        world.acquire("alice").unwrap();
        world.perform(&pausing(true)).unwrap();
        expire(&mut world);
        world.perform(&resuming()).unwrap();
    }

    assert_eq!(world.item("a").attempts, 0);
    assert_eq!(world.state_of("a"), "pending");
}

#[test]
fn a_failed_attempt_waits_out_its_back_off() {
    let backoff = Backoff::Exponential { initial: secs(10), cap: secs(15) };
    let mut world = World::with(Policy { backoff, ..skipping(10) });
    world.add(vec![item("a")]);

    for (least, most) in [(5, 10), (7, 15), (7, 15)] {
        let grant = world.acquire("alice").unwrap();
        world.fail(&grant).unwrap();
        world.pass(secs(least - 1));
        assert_eq!(world.nothing_for("alice"), NoWork::NotYet { waiting: 1 });
        world.pass(secs(most - least + 1));
    }

    assert!(world.acquire("alice").is_some());
}

#[test]
fn a_back_off_lasts_no_shorter_than_the_cause_says() {
    let mut world = World::with(skipping(10));
    world.add(vec![item("a")]);
    let grant = world.acquire("alice").unwrap();
    let Command::Fail { session, item, holder, error, permanent, checkpoint, .. } = failing(&grant) else {
        unreachable!("`failing` fails")
    };
    let retry_after = Some(secs(60));

    world.perform(&Command::Fail { session, item, holder, error, permanent, retry_after, checkpoint }).unwrap();

    world.pass(secs(59));
    assert_eq!(world.acquire("alice"), None);
    world.pass(secs(1));
    assert!(world.acquire("alice").is_some());
}

#[test]
fn retried_items_have_a_fresh_set_of_attempts() {
    let mut world = World::with(skipping(2));
    world.add(vec![item("a"), item("b")]);
    for _ in 0..2 {
        for grant in world.acquire_many("alice", 2) {
            world.fail(&grant).unwrap();
        }
    }

    let retried = world.perform(&Command::Retry { session: shop(), items: vec![id("b")] });
    assert_eq!(retried, Ok(Answer::Counted(1)));

    assert_eq!((world.state_of("a"), world.state_of("b")), ("failed", "pending"));
    assert_eq!(world.acquire("alice").unwrap().attempt, 1);
    let refused = world.perform(&Command::Retry { session: shop(), items: vec![id("a"), id("b")] });
    assert!(matches!(refused, Err(Rejection::ItemState { .. })), "all of the request or nothing");
    assert_eq!(world.state_of("a"), "failed");
}

#[test]
fn an_exhausted_item_pauses_the_session_where_its_policy_says_so() {
    let mut world = World::with(Policy { attempts: Some(1), ..Policy::default() });
    world.add(vec![item("a"), item("b"), item("c")]);
    let grants = world.acquire_many("alice", 2);

    world.fail(&grants[0]).unwrap();

    assert_eq!(world.view().state, SessionState::Pausing);
    assert_eq!(world.view().reason.as_deref(), Some("item \"a\" has failed: it broke"));
    assert_eq!(world.nothing_for("bob"), NoWork::Paused);
    world.complete(&grants[1]).unwrap();
    assert_eq!(world.view().state, SessionState::Paused);
    world.perform(&resuming()).unwrap();
    assert_eq!(world.view().counts.of(ItemState::Ready), 2, "resume gives the failed one new attempts");
}

#[test]
fn an_exhausted_item_cancels_the_session_where_its_policy_says_so() {
    let mut world = World::with(Policy { attempts: Some(1), on_exhausted: OnExhausted::Fail, ..Policy::default() });
    world.add(vec![item("a"), item("b")]);
    let grant = world.acquire("alice").unwrap();

    world.fail(&grant).unwrap();

    assert_eq!(world.view().state, SessionState::Cancelled);
    assert_eq!(world.state_of("b"), "cancelled");
}
