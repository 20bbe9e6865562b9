//! Snapshots that are taken while the session goes on, and what a server makes of them.

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_work::{Command, ItemState, Policy, RestoreError, Slice, WorkState};
use world::*;

/// Begins a snapshot, does something between every two slices, and gives the rows.
fn sliced(
    world: &mut World,
    most: u64,
    mut meanwhile: impl FnMut(&mut World, usize),
) -> (Vec<u8>, Vec<Vec<u8>>, usize) {
    let covers = world.journal.len();
    let header = world.work.begin_snapshot(&shop()).unwrap();
    let mut rows = Vec::new();
    for step in 0.. {
        meanwhile(world, step);
        match world.work.snapshot_slice(&shop(), most) {
            Slice::Rows(more) => rows.extend(more),
            Slice::Whole => break,
            Slice::Abandoned => panic!("nobody gave it up"),
        }
    }
    (header, rows, covers)
}

fn restored(world: &World, header: &[u8], rows: &[Vec<u8>], covers: usize) -> WorkState {
    let mut work = WorkState::new();
    let mut restore = work.restore_session(header, world.now.monotonic).unwrap();
    assert_eq!(restore.name(), &shop());
    for row in rows {
        restore.row(row).unwrap();
    }
    restore.finish();
    work.check().unwrap();
    replay(&mut work, &world.journal[covers..], world.now.monotonic);
    work.restart_terms(world.now.monotonic);
    work.check().unwrap();
    work
}

#[test]
fn a_snapshot_is_the_state_at_its_beginning_whatever_happens_meanwhile() {
    let mut world = World::with(skipping(2));
    world.add((0..600).map(|n| item(&format!("i{n}"))).collect());
    world.acquire_many("alice", 50);
    let at_the_beginning = portrait(&world.work);

    let (header, rows, _) = sliced(&mut world, 64, |world, step| {
        for grant in world.acquire_many("bob", 20) {
            if step % 2 == 0 {
                world.complete(&grant).unwrap()
            } else {
                world.fail(&grant).unwrap()
            };
        }
        world.perform(&deleting_item(&format!("i{}", 599 - step))).unwrap();
        world.add(vec![item(&format!("new{step}"))]);
    });

    assert_eq!(rows.len(), 600);
    let mut work = WorkState::new();
    let mut restore = work.restore_session(&header, world.now.monotonic).unwrap();
    for row in &rows {
        restore.row(row).unwrap();
    }
    restore.finish();
    assert_eq!(portrait(&work), at_the_beginning);
}

#[test]
fn a_snapshot_and_the_journal_after_it_are_the_state() {
    let mut world = World::with(Policy { limits: vec![(limit("backfill"), most(90))], ..skipping(2) });
    world.perform(&holding_gate("later", "ready")).unwrap();
    world.add((0..300).map(|n| item_in(&format!("i{n}"), &["all"])).collect());
    world.add(vec![waiting_for_group("last", "all"), waiting_for_group("gated", "later"), undo("u")]);
    world.acquire_many("alice", 40);
    world.perform(&deleting_item("i0")).unwrap();

    let (header, rows, covers) = sliced(&mut world, 50, |world, step| {
        for grant in world.acquire_many("bob", 5) {
            if step % 2 == 0 {
                world.complete(&grant).unwrap()
            } else {
                world.fail(&grant).unwrap()
            };
        }
    });

    assert_eq!(portrait(&restored(&world, &header, &rows, covers)), portrait(&world.work));
}

/// A timed item in its back-off was due at once after a restore, because its time had come.
#[test]
fn a_back_off_survives_a_restore() {
    let backoff = capstan_work::Backoff::Exponential { initial: secs(100), cap: secs(100) };
    let mut world = World::with(Policy { backoff, ..skipping(9) });
    let not_before = Some(world.now.wall);
    world.add(vec![capstan_work::NewItem { not_before, ..item("a") }]);
    let grant = world.acquire("alice").unwrap();
    world.fail(&grant).unwrap();
    let (header, rows, covers) = sliced(&mut world, 50, |_, _| {});

    world.work = restored(&world, &header, &rows, covers);
    world.settle();

    assert_eq!(world.acquire("alice"), None);
    world.pass(secs(100));
    assert!(world.acquire("alice").is_some());
}

/// A timed item made again under a live lease was granted after a restore, because its time had come (W1).
#[test]
fn an_item_made_again_waits_for_the_old_lease_after_a_restore_too() {
    let mut world = World::with_items(&["a"]);
    world.acquire("alice").unwrap();
    world.perform(&deleting_item("a")).unwrap();
    let not_before = Some(world.now.wall + secs(10));
    world.add(vec![capstan_work::NewItem { not_before, ..item("a") }]);
    let (header, rows, covers) = sliced(&mut world, 50, |_, _| {});

    world.work = restored(&world, &header, &rows, covers);
    world.pass(secs(20));
    assert_eq!(world.acquire("bob"), None);
    world.pass(secs(280));

    assert!(world.acquire("bob").is_some());
}

#[test]
fn a_snapshot_whose_session_is_emptied_or_deleted_is_abandoned() {
    for end in [Command::DeleteItems { session: shop() }, Command::DeleteSession { session: shop() }] {
        let mut world = World::with_items(&["a", "b"]);
        world.work.begin_snapshot(&shop()).unwrap();
        world.perform(&end).unwrap();
        assert_eq!(world.work.snapshot_slice(&shop(), 10), Slice::Abandoned);
    }
}

#[test]
fn a_snapshot_of_nothing_is_none_and_one_given_up_is_abandoned() {
    let mut world = World::with_items(&["a"]);
    assert_eq!(world.work.begin_snapshot(&session("nowhere")), None);
    assert_eq!(world.work.snapshot_slice(&shop(), 10), Slice::Abandoned);
    world.work.begin_snapshot(&shop()).unwrap();
    world.work.abandon_snapshot(&shop());
    assert_eq!(world.work.snapshot_slice(&shop(), 10), Slice::Abandoned);
}

/// Soundness 18: counters stay, and of a forgotten item its old tokens change nothing.
#[test]
fn forgotten_items_keep_their_counts_and_old_tokens_change_nothing() {
    let mut world = World::with(Policy { keep_completed: Some(3), ..Policy::default() });
    world.add((0..10).map(|n| item_of(&format!("i{n}"), 7)).collect());
    let grants = world.acquire_many("alice", 10);
    for grant in &grants {
        world.complete(grant).unwrap();
    }

    let view = world.view();
    assert_eq!(view.counts.of(ItemState::Completed), 10);
    assert_eq!((view.counts.done.documents, view.counts.expected.documents), (70, 70));
    assert_eq!(world.work.items_from(&shop(), 0).unwrap().count(), 3);
    let before = portrait(&world.work);
    assert!(world.complete(&grants[0]).is_err());
    assert!(world.renew(&grants[0], Some(1)).is_err());
    assert!(world.release(&grants[0]).is_err());
    assert_eq!(portrait(&world.work), before);

    let (header, rows, covers) = sliced(&mut world, 2, |_, _| {});
    assert_eq!(portrait(&restored(&world, &header, &rows, covers)), before);
}

#[test]
fn an_old_token_of_a_forgotten_item_is_of_no_use_for_one_of_the_same_id() {
    let mut world = World::with(Policy { keep_completed: Some(1), ..Policy::default() });
    world.add(vec![item("a"), item("b")]);
    let grants = world.acquire_many("alice", 2);
    world.complete(&grants[0]).unwrap();
    world.complete(&grants[1]).unwrap();

    world.add(vec![item("a")]);
    assert!(world.complete(&grants[0]).is_err());
    let again = world.acquire("bob").unwrap();
    assert!(world.complete(&grants[0]).is_err());
    world.complete(&again).unwrap();
}

/// The view of the completed item was looked for after it was forgotten.
#[test]
fn a_policy_that_keeps_no_completed_item_keeps_the_last() {
    let mut world = World::with(Policy { keep_completed: Some(0), ..Policy::default() });
    world.add(vec![item("a"), item("b")]);
    for grant in world.acquire_many("alice", 2) {
        assert_eq!(world.complete(&grant).unwrap().state, ItemState::Completed);
    }
    assert_eq!(world.view().counts.of(ItemState::Completed), 2);
}

#[test]
fn limits_over_all_sessions_have_a_row_of_their_own() {
    let mut world = World::with_items(&["a"]);
    world.perform(&limiting_all("restore", Some(7))).unwrap();

    let mut work = WorkState::new();
    work.restore_shared(&world.work.shared_row()).unwrap();

    assert_eq!(work.limits()[0].most, Some(most(7)));
    assert!(matches!(work.restore_shared(b"nonsense"), Err(RestoreError::Row { row: 0, .. })));
}

#[test]
fn a_row_that_cannot_be_is_refused_with_its_place() {
    let mut world = World::with_items(&["a", "b"]);
    let (header, rows, _) = sliced(&mut world, 50, |_, _| {});
    let mut work = WorkState::new();
    let mut restore = work.restore_session(&header, world.now.monotonic).unwrap();
    restore.row(&rows[1]).unwrap();

    for bad in [&rows[0][..], &rows[1][..], b"", &rows[1][..5]] {
        let refused = restore.row(bad).unwrap_err().to_string();
        assert!(refused.contains("of the snapshot of shop cannot be read"), "{refused}");
    }
}
