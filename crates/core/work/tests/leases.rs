//! Who holds what, under which token, and until when (W1, W2, W4, W8; soundness 13, 14).

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_ids::{Token, WorkerId};
use capstan_work::{Acquire, Answer, Command, Event, Holder, LeaseGrowth, NoWork, Policy, Rejection};
use std::collections::BTreeSet;
use world::*;

#[test]
fn a_hundred_acquirers_get_a_hundred_different_items_and_the_next_gets_none() {
    let names: Vec<String> = (0..100).map(|n| format!("i{n}")).collect();
    let mut world = World::with_items(&names.iter().map(String::as_str).collect::<Vec<_>>());

    let got: BTreeSet<String> = (0..100)
        .map(|n| world.acquire(&format!("w{n}")).expect("there is one for each").body.id().to_owned())
        .collect();

    assert_eq!(got.len(), 100);
    assert_eq!(world.nothing_for("w100"), NoWork::HeldByOthers { assigned: 100 });
}

#[test]
fn fifty_workers_share_ten_items_without_a_duplicate() {
    let names: Vec<String> = (0..10).map(|n| format!("i{n}")).collect();
    let mut world = World::with_items(&names.iter().map(String::as_str).collect::<Vec<_>>());

    let grants: Vec<_> = (0..50).filter_map(|n| world.acquire(&format!("w{n}"))).collect();

    assert_eq!(grants.len(), 10);
    assert_eq!(grants.iter().map(|grant| grant.body.id()).collect::<BTreeSet<_>>().len(), 10);
    for grant in &grants {
        world.complete(grant).unwrap();
    }
    assert_eq!(world.view().counts.of(capstan_work::ItemState::Completed), 10);
}

#[test]
fn a_hundred_workers_complete_a_thousand_items_once_each() {
    let mut world = World::with(Policy::default());
    world.add((0..1_000).map(|n| item(&format!("i{n}"))).collect());

    let mut held: Vec<_> = (0..100).filter_map(|n| world.acquire(&format!("w{n}"))).collect();
    let mut completed = BTreeSet::new();
    while let Some(grant) = held.pop() {
        let mut complete = completing(&grant);
        complete.result = Some("\"done\"".into());
        let name = format!("w{}", completed.len() % 100);
        let command = Command::CompleteAndAcquire { complete, acquire: acquiring(&name) };
        let Answer::Completed { item, next } = world.perform_now(&command).unwrap() else { panic!("not completed") };
        assert!(completed.insert(item.body.id().to_owned()), "{:?} was completed twice", item.body.id());
        held.extend(next);
    }

    assert_eq!(completed.len(), 1_000);
    assert_eq!(world.nothing_for("w0"), NoWork::AllDone);
}

#[test]
fn twenty_five_items_are_leased_anew_in_two_rounds_of_expiry_and_never_meanwhile() {
    let policy = Policy { lease: secs(30), attempts: None, ..Policy::default() };
    let mut world = World::with(policy);
    world.add((0..25).map(|n| item(&format!("i{n}"))).collect());

    for round in 0..3 {
        let grants: Vec<_> = (0..5).flat_map(|n| world.acquire_many(&format!("w{n}"), 5)).collect();
        assert_eq!(grants.len(), 25, "round {round}");
        world.pass(secs(29));
        assert_eq!(world.acquire("late"), None, "a live lease is granted to nobody else");
        world.pass(secs(1));
    }
}

#[test]
fn tokens_grow_with_every_grant_even_within_one_acquire() {
    let mut world = World::with_items(&["a", "b", "c"]);

    let mut last = Token::from_wire(0);
    for _ in 0..3 {
        let grants = world.acquire_many("alice", 3);
        for grant in &grants {
            assert!(grant.token > last, "{} after {last}", grant.token);
            last = grant.token;
        }
        for grant in &grants {
            world.release(grant).unwrap();
        }
    }
}

#[test]
fn a_token_is_the_position_of_its_grant() {
    let mut world = World::with_items(&["a", "b"]);

    let grants = world.acquire_many("alice", 2);

    for grant in grants {
        let entry = world.journal.iter().find(|entry| entry.position.get() == grant.token.get()).unwrap();
        assert!(matches!(entry.event, Event::ItemGranted { .. }));
    }
}

#[test]
fn a_stale_token_changes_nothing_and_is_told_so() {
    let mut world = World::with(skipping(10));
    world.add(vec![item("a")]);
    let stale = world.acquire("alice").unwrap();
    world.pass(secs(301));
    let live = world.acquire("bob").unwrap();

    let before = portrait(&world.work);
    for command in [
        renewing(&stale, Some(5), Some("c")),
        Command::Complete(completing(&stale)),
        failing(&stale),
        releasing(&stale),
    ] {
        let refused = world.perform(&command).unwrap_err();
        assert!(matches!(&refused, Rejection::NotHolder { state, .. } if state == "worker bob holds it"), "{refused}");
    }

    assert_eq!(portrait(&world.work), before);
    world.complete(&live).unwrap();
}

/// Defect 11 of the reference: a restarted worker of the same id could not be told from its former self.
#[test]
fn a_paused_worker_is_told_apart_from_its_restarted_self_by_its_token() {
    let mut world = World::with(skipping(10));
    world.add(vec![item("a")]);
    let paused = world.acquire("alice").unwrap();
    world.pass(secs(301));
    let restarted = world.acquire("alice").unwrap();

    assert!(matches!(world.renew(&paused, None), Err(Rejection::NotHolder { .. })));
    assert!(matches!(world.complete(&paused), Err(Rejection::NotHolder { .. })));
    let with_id_and_token = Holder::WorkerWithToken(worker("alice"), paused.token);
    let refused = world.perform(&Command::Release {
        session: shop(),
        item: id("a"),
        holder: with_id_and_token,
        progress: None,
        checkpoint: None,
    });
    assert!(matches!(refused, Err(Rejection::NotHolder { .. })));
    assert_eq!(world.complete(&restarted).unwrap().state.name(), "completed");
}

#[test]
fn a_released_item_is_acquirable_at_once_under_a_long_lease() {
    let mut world = World::with(Policy { lease: secs(600), ..Policy::default() });
    world.add(vec![item("a")]);
    let grant = world.acquire("alice").unwrap();

    world.release(&grant).unwrap();

    assert_eq!(world.acquire("bob").unwrap().body.id(), "a");
}

#[test]
fn a_late_release_by_an_old_holder_does_not_disturb_the_new_one() {
    let mut world = World::with(skipping(10));
    world.add(vec![item("a")]);
    let old = world.acquire("alice").unwrap();
    world.pass(secs(301));
    let new = world.acquire("bob").unwrap();

    assert!(matches!(world.release(&old), Err(Rejection::NotHolder { .. })));

    assert_eq!(world.item("a").worker, Some(worker("bob")));
    world.renew(&new, Some(1)).unwrap();
    world.complete(&new).unwrap();
}

#[test]
fn a_release_after_completion_is_refused_and_changes_nothing() {
    let mut world = World::with_items(&["a"]);
    let grant = world.acquire("alice").unwrap();
    world.complete(&grant).unwrap();
    let before = portrait(&world.work);

    assert!(matches!(world.release(&grant), Err(Rejection::AlreadyCompleted { .. })));
    assert_eq!(portrait(&world.work), before);
}

#[test]
fn a_second_release_answers_as_the_first() {
    let mut world = World::with_items(&["a"]);
    let grant = world.acquire("alice").unwrap();
    let first = world.release(&grant).unwrap();
    let journalled = world.journal.len();

    assert_eq!(world.release(&grant).unwrap(), first);
    assert_eq!(world.journal.len(), journalled);
}

/// W4; defect 8 of the reference: completing twice moved the time, renewing revived the lease.
#[test]
fn completed_is_final() {
    let mut world = World::with_items(&["a"]);
    let grant = world.acquire("alice").unwrap();
    let first = world.complete(&grant).unwrap();
    world.pass(secs(60));

    let again = world.complete(&grant).unwrap();
    assert_eq!(again, first, "the same answer, with the same time");
    assert!(matches!(world.renew(&grant, None), Err(Rejection::AlreadyCompleted { .. })));
    assert!(matches!(world.fail(&grant), Err(Rejection::AlreadyCompleted { .. })));
    assert_eq!(world.item("a").expires, None);

    let theirs = Command::Complete(capstan_work::Complete::new(shop(), id("a"), Holder::Worker(worker("bob"))));
    let refused = world.perform(&theirs).unwrap_err();
    assert!(matches!(&refused, Rejection::AlreadyCompleted { by, .. } if by == "alice"), "{refused}");
    assert!(matches!(world.perform(&cancelling_item("a")), Err(Rejection::ItemState { .. })));
    world.perform(&cancelling()).unwrap();
    assert_eq!(world.state_of("a"), "completed", "cancel leaves what is completed");
}

#[test]
fn renewing_moves_the_end_and_nothing_else_is_needed() {
    let mut world = World::with(Policy { lease: secs(30), ..Policy::default() });
    world.add(vec![item("a")]);
    let grant = world.acquire("alice").unwrap();

    for _ in 0..10 {
        world.pass(secs(29));
        world.renew(&grant, None).unwrap();
    }

    assert_eq!(world.state_of("a"), "assigned");
    world.pass(secs(30));
    assert_eq!(world.acquire("bob").unwrap().body.id(), "a");
}

#[test]
fn a_wished_length_stays_within_the_sessions_bounds() {
    let policy = Policy { lease_min: secs(10), lease: secs(30), lease_max: secs(60), ..Policy::default() };
    let mut world = World::with(policy);
    world.add(vec![item("a"), item("b"), item("c")]);

    for (wished, given) in [(Some(secs(1)), secs(10)), (None, secs(30)), (Some(secs(900)), secs(60))] {
        let Answer::Granted(grants) = world.ask(Acquire { lease: wished, ..acquiring("alice") }) else {
            panic!("there was work")
        };
        assert_eq!(grants[0].lease, given);
    }
}

#[test]
fn a_doubling_lease_grows_with_every_grant_up_to_the_longest_and_survives_a_release() {
    let policy = Policy { lease: secs(10), lease_max: secs(50), growth: LeaseGrowth::Doubling, ..Policy::default() };
    let mut world = World::with(policy);
    world.add(vec![item("a")]);

    let lengths: Vec<u64> = (0..5)
        .map(|_| {
            let grant = world.acquire("alice").unwrap();
            world.release(&grant).unwrap();
            grant.lease.get() / 1_000
        })
        .collect();

    assert_eq!(lengths, [10, 20, 40, 50, 50]);
}

/// W8: the wall clock is only shown.
#[test]
fn a_jumping_wall_clock_ends_no_lease_and_keeps_none_alive() {
    let mut world = World::with(Policy { lease: secs(30), ..Policy::default() });
    world.add(vec![item("a")]);
    let grant = world.acquire("alice").unwrap();

    world.shift_wall_clock(86_400 * 1_000_000);
    assert_eq!(world.acquire("bob"), None);
    world.renew(&grant, None).unwrap();
    world.shift_wall_clock(-10 * 86_400 * 1_000_000);
    world.pass(secs(30));

    assert_eq!(world.acquire("bob").unwrap().body.id(), "a");
}

/// Soundness 14, W8: a new leader does not know how much of a lease has passed.
#[test]
fn every_lease_has_its_full_term_after_a_restart() {
    let mut world = World::with(Policy { lease: secs(30), ..Policy::default() });
    world.add(vec![item("a")]);
    let grant = world.acquire("alice").unwrap();
    world.pass(secs(25));

    world.crash();
    world.pass(secs(29));

    assert_eq!(world.acquire("bob"), None, "4 s before its full term, 24 s after its first end");
    world.complete(&grant).unwrap();
}

/// Soundness 14: the holder counts on the longest length it was ever told of.
#[test]
fn the_full_term_after_a_restart_is_the_longest_length_acknowledged() {
    let mut world = World::with(Policy { lease: secs(30), ..Policy::default() });
    world.add(vec![item("a")]);
    let grant = world.acquire("alice").unwrap();
    for wished in [120, 60] {
        let Command::Renew { session, item, holder, progress, checkpoint, .. } = renewing(&grant, None, None) else {
            unreachable!("`renewing` renews")
        };
        let lease = Some(secs(wished));
        world.perform(&Command::Renew { session, item, holder, progress, checkpoint, lease }).unwrap();
    }

    world.crash();
    world.pass(secs(119));
    assert_eq!(world.acquire("bob"), None);
    world.pass(secs(1));
    assert_eq!(world.acquire("bob").unwrap().body.id(), "a");
}

#[test]
fn a_longer_term_is_journalled_and_a_plain_renewal_is_not() {
    let mut world = World::with_items(&["a"]);
    let grant = world.acquire("alice").unwrap();
    let from = world.journal.len();

    world.renew(&grant, None).unwrap();
    assert_eq!(world.events_since(from), Vec::<&Event>::new());

    let Command::Renew { session, item, holder, progress, checkpoint, .. } = renewing(&grant, None, None) else {
        unreachable!("`renewing` renews")
    };
    let lease = Some(secs(900));
    world.perform(&Command::Renew { session, item, holder, progress, checkpoint, lease }).unwrap();
    assert!(matches!(world.events_since(from)[..], [Event::LeaseRenewed { length, .. }] if *length == secs(900)));
}

/// W3: what a renewal alone brought reaches the journal within ten seconds, or with the next change of the item.
#[test]
fn progress_that_only_memory_has_is_noted_every_ten_seconds() {
    let mut world = World::with_items(&["a"]);
    let grant = world.acquire("alice").unwrap();
    world.renew(&grant, Some(1)).unwrap();
    let from = world.journal.len();

    for documents in 2..=50 {
        world.pass(secs(1));
        world.renew(&grant, Some(documents)).unwrap();
    }

    let noted = world.events_since(from);
    assert!(noted.iter().all(|event| matches!(event, Event::ProgressNoted { .. })), "{noted:?}");
    assert!((4..=5).contains(&noted.len()), "49 renewals in 49 s made {} events", noted.len());
}

#[test]
fn a_checkpoint_is_journalled_before_it_is_acknowledged() {
    let mut world = World::with_items(&["a"]);
    let grant = world.acquire("alice").unwrap();

    world.perform(&renewing(&grant, None, Some("here"))).unwrap();
    world.crash();

    assert_eq!(world.item("a").checkpoint.as_deref(), Some("here"));
    world.pass(secs(301));
    assert_eq!(world.acquire("bob").unwrap().checkpoint.as_deref(), Some("here"));
}

#[test]
fn a_specific_item_is_granted_or_its_state_is_told() {
    let mut world = World::with_items(&["a", "b"]);

    let Answer::Granted(grants) = world.ask(acquiring_item("alice", "b")) else { panic!("it was ready") };
    assert_eq!(ids(&grants), ["b"]);
    assert_eq!(world.ask(acquiring_item("bob", "b")), Answer::Nothing(NoWork::ItemNotPending(id("b"), "assigned")));
    assert!(matches!(world.perform(&Command::Acquire(acquiring_item("bob", "c"))), Err(Rejection::ItemUnknown { .. })));
}

#[test]
fn a_worker_shows_what_it_holds_and_what_became_of_its_work() {
    let mut world = World::with(skipping(4));
    world.add((0..4).map(|n| item(&format!("i{n}"))).collect());
    let grants = world.acquire_many("alice", 4);

    world.complete(&grants[0]).unwrap();
    world.fail(&grants[1]).unwrap();

    let views = world.work.workers(Some(&shop()));
    let alice = views.iter().find(|view| view.worker == WorkerId::new("alice").unwrap()).unwrap();
    assert_eq!((alice.done, alice.failed), (1, 1));
    let held: Vec<&str> = alice.holds.iter().map(|(item, ..)| item.as_str()).collect();
    assert_eq!(held, ["i2", "i3"]);
}
