//! What waits for what: groups fill, empty once, break, and never wait for themselves (soundness 17).

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_work::{Command, Conflicts, ItemState, NewItem, NoWork, Policy, Rejection, SessionState, WaitsFor};
use world::*;

#[test]
fn an_item_waits_until_its_group_is_empty() {
    let mut world = World::with(Policy::default());
    world.add(vec![item_in("r1", &["restores"]), item_in("r2", &["restores"]), waiting_for_group("index", "restores")]);

    let grants = world.acquire_many("alice", 10);
    assert_eq!(ids(&grants), ["r1", "r2"]);
    world.complete(&grants[0]).unwrap();
    assert_eq!(world.state_of("index"), "waiting");
    world.complete(&grants[1]).unwrap();

    assert_eq!(world.acquire("alice").unwrap().body.id(), "index");
}

#[test]
fn a_group_that_never_held_anything_is_not_empty() {
    let mut world = World::with(Policy::default());
    world.add(vec![waiting_for_group("index", "restores")]);

    assert_eq!(world.nothing_for("alice"), NoWork::NotYet { waiting: 1 });

    world.add(vec![item_in("r1", &["restores"])]);
    let grant = world.acquire("alice").unwrap();
    world.complete(&grant).unwrap();
    assert_eq!(world.acquire("alice").unwrap().body.id(), "index");
}

#[test]
fn a_group_that_was_empty_stays_so_and_takes_nothing_more() {
    let mut world = World::with(Policy::default());
    world.add(vec![item_in("r1", &["restores"])]);
    let grant = world.acquire("alice").unwrap();
    world.complete(&grant).unwrap();

    let refused = world.perform(&adding(vec![item("other"), item_in("late", &["restores"])]));
    assert_eq!(refused, Err(Rejection::GroupComplete("restores".into())));
    assert!(world.work.item(&shop(), &id("other")).is_none(), "refused whole");
    assert!(matches!(world.perform(&holding_gate("restores", "ring")), Err(Rejection::GroupComplete(_))));
    world.add(vec![waiting_for_group("index", "restores")]);
    assert_eq!(world.acquire("alice").unwrap().body.id(), "index");
}

#[test]
fn whoever_fills_a_group_in_steps_holds_a_gate_in_it() {
    let mut world = World::with(Policy::default());
    world.perform(&holding_gate("restores", "planning")).unwrap();
    world.add(vec![item_in("r1", &["restores"]), waiting_for_group("index", "restores")]);
    let grant = world.acquire("alice").unwrap();
    world.complete(&grant).unwrap();
    assert_eq!(world.state_of("index"), "waiting", "the gate holds the group open");

    world.add(vec![item_in("r2", &["restores"])]);
    world.perform(&opening_gate("restores", "planning")).unwrap();
    assert_eq!(world.state_of("index"), "waiting", "the second step is not done");
    let grant = world.acquire("alice").unwrap();
    world.complete(&grant).unwrap();

    assert_eq!(world.acquire("alice").unwrap().body.id(), "index");
}

#[test]
fn a_gate_comes_with_the_items_in_one_step() {
    let mut world = World::with(Policy::default());
    world
        .perform(&Command::AddItems {
            session: shop(),
            items: vec![waiting_for_group("drop", "ring7")],
            gates: vec![(group("ring7"), gate("every-gateway"))],
            conflicts: Conflicts::Refuse,
        })
        .unwrap();

    assert_eq!(world.nothing_for("alice"), NoWork::NotYet { waiting: 1 });
    world.perform(&opening_gate("ring7", "every-gateway")).unwrap();
    assert_eq!(world.acquire("alice").unwrap().body.id(), "drop");
}

#[test]
fn a_gate_that_nobody_holds_cannot_be_opened() {
    let mut world = World::with_items(&["a"]);
    assert!(matches!(world.perform(&opening_gate("ring7", "typo")), Err(Rejection::GateUnknown { .. })));
}

#[test]
fn opening_a_gate_again_answers_as_the_first_time() {
    let mut world = World::with_items(&["a"]);
    world.perform(&holding_gate("ring7", "ready")).unwrap();
    let first = world.perform(&opening_gate("ring7", "ready"));
    let journalled = world.journal.len();

    assert_eq!(world.perform(&opening_gate("ring7", "ready")), first);
    assert_eq!(world.journal.len(), journalled);
}

#[test]
fn one_item_can_wait_for_another_and_whatever_comes_of_it() {
    let mut world = World::with(Policy::default());
    world.add(vec![item("plan"), waiting_for_item("verify", "plan")]);
    let plan = world.acquire("alice").unwrap();
    world.complete_with(&plan, vec![item("dump1"), item("dump2")]).unwrap();
    let dumps = world.acquire_many("alice", 10);
    assert_eq!(ids(&dumps), ["dump1", "dump2"]);
    world.complete(&dumps[0]).unwrap();
    world.complete_with(&dumps[1], vec![item("restore")]).unwrap();
    assert_eq!(world.state_of("verify"), "waiting", "a successor of a successor is open");

    let restore = world.acquire("alice").unwrap();
    world.complete(&restore).unwrap();

    assert_eq!(world.acquire("alice").unwrap().body.id(), "verify");
}

#[test]
fn who_comes_late_waits_for_what_is_left_of_an_item() {
    let mut world = World::with(Policy::default());
    world.add(vec![item("plan")]);
    let plan = world.acquire("alice").unwrap();
    world.complete_with(&plan, vec![item("dump")]).unwrap();

    world.add(vec![waiting_for_item("verify", "plan")]);

    assert_eq!(world.state_of("verify"), "waiting");
    let dump = world.acquire("alice").unwrap();
    world.complete(&dump).unwrap();
    assert_eq!(world.state_of("verify"), "pending");
}

#[test]
fn who_comes_after_the_end_waits_for_nothing() {
    let mut world = World::with_items(&["plan"]);
    let plan = world.acquire("alice").unwrap();
    world.complete(&plan).unwrap();

    world.add(vec![waiting_for_item("verify", "plan")]);

    assert_eq!(world.state_of("verify"), "pending");
}

#[test]
fn a_successor_takes_its_parents_groups() {
    let mut world = World::with(Policy::default());
    world.add(vec![item_in("r1", &["restores"]), waiting_for_group("index", "restores")]);
    let grant = world.acquire("alice").unwrap();

    world.complete_with(&grant, vec![item("r1/rest")]).unwrap();

    assert_eq!(world.state_of("index"), "waiting");
    let rest = world.acquire("alice").unwrap();
    world.complete(&rest).unwrap();
    assert_eq!(world.state_of("index"), "pending");
}

/// Soundness 17: "except those it waits for itself".
#[test]
fn a_successor_leaves_those_of_its_parents_groups_that_it_waits_for() {
    let mut world = World::with(Policy::default());
    world.add(vec![item_in("plan", &["dumps", "unit"]), waiting_for_group("report", "unit")]);
    let plan = world.acquire("alice").unwrap();

    world.complete_with(&plan, vec![item("dump"), waiting_for_group("index", "dumps")]).unwrap();

    let dump = world.acquire("alice").unwrap();
    assert_eq!(dump.body.id(), "dump");
    assert_eq!(world.acquire("bob"), None);
    world.complete(&dump).unwrap();
    let index = world.acquire("alice").unwrap();
    assert_eq!(index.body.id(), "index");
    assert_eq!(world.state_of("report"), "waiting", "index is in the unit's group still");
    world.complete(&index).unwrap();
    assert_eq!(world.state_of("report"), "pending");
}

#[test]
fn a_dependent_of_a_failed_item_is_blocked_until_that_is_retried() {
    let mut world = World::with(skipping(1));
    world.add(vec![item_in("r1", &["restores"]), item("free"), waiting_for_group("index", "restores")]);
    let grant = world.acquire("alice").unwrap();

    world.fail(&grant).unwrap();
    assert_eq!(world.state_of("index"), "blocked");
    assert_eq!(world.view().counts.of(ItemState::Blocked), 1);

    world.perform(&Command::Retry { session: shop(), items: vec![] }).unwrap();
    assert_eq!(world.state_of("index"), "waiting");
    for grant in world.acquire_many("alice", 10) {
        world.complete(&grant).unwrap();
    }
    assert_eq!(world.state_of("index"), "pending");
}

#[test]
fn a_dependent_of_a_cancelled_item_is_blocked() {
    let mut world = World::with(Policy::default());
    world.add(vec![item("plan"), waiting_for_item("verify", "plan")]);

    world.perform(&cancelling_item("plan")).unwrap();

    assert_eq!(world.state_of("verify"), "blocked");
    assert_eq!(world.view().state, SessionState::CompletedWithFailures);
}

#[test]
fn a_group_with_two_failed_items_stays_broken_until_both_are_retried() {
    let mut world = World::with(skipping(1));
    world.add(vec![item_in("r1", &["g"]), item_in("r2", &["g"]), waiting_for_group("index", "g")]);
    for grant in world.acquire_many("alice", 2) {
        world.fail(&grant).unwrap();
    }

    world.perform(&Command::Retry { session: shop(), items: vec![id("r1")] }).unwrap();
    assert_eq!(world.state_of("index"), "blocked");
    world.perform(&Command::Retry { session: shop(), items: vec![id("r2")] }).unwrap();
    assert_eq!(world.state_of("index"), "waiting");
}

#[test]
fn groups_that_would_wait_for_each_other_are_refused() {
    let mut world = World::with(Policy::default());
    let waiting_in =
        |name: &str, of: &str, awaited: &str| NewItem { groups: vec![group(of)], ..waiting_for_group(name, awaited) };
    world.add(vec![waiting_in("a", "g1", "g2"), waiting_in("b", "g2", "g3")]);

    for circle in [waiting_in("c", "g3", "g1"), waiting_in("c", "g3", "g3"), waiting_for_item("c", "c")] {
        let refused = world.perform(&adding(vec![circle]));
        assert!(matches!(refused, Err(Rejection::GroupCycle { .. })), "{refused:?}");
    }
    let both = world.perform(&adding(vec![waiting_for_item("x", "y"), waiting_for_item("y", "x")]));
    assert!(matches!(both, Err(Rejection::GroupCycle { .. })), "{both:?}");
}

/// The group of `x` was made only when `y` began to wait for it: what `x` itself waited for was not seen then.
#[test]
fn a_circle_through_an_item_nobody_waited_for_until_now_is_refused() {
    let mut world = World::with(Policy::default());
    world.add(vec![waiting_for_group("x", "g")]);

    let circle = NewItem { groups: vec![group("g")], ..waiting_for_item("y", "x") };
    let refused = world.perform(&adding(vec![circle]));

    assert!(matches!(refused, Err(Rejection::GroupCycle { .. })), "{refused:?}");
}

#[test]
fn a_circle_through_a_group_of_an_item_made_later_is_refused() {
    let mut world = World::with(Policy::default());
    world.add(vec![waiting_for_group("x", "g"), waiting_for_item("w", "x")]);

    let circle = NewItem { groups: vec![group("g")], ..waiting_for_item("y", "x") };

    assert!(matches!(world.perform(&adding(vec![circle])), Err(Rejection::GroupCycle { .. })));
}

#[test]
fn a_long_chain_in_one_batch_is_added_at_once() {
    let mut world = World::with(Policy::default());
    let mut chain = vec![item("i0")];
    chain.extend((1..2_000).map(|n| waiting_for_item(&format!("i{n}"), &format!("i{}", n - 1))));

    world.add(chain);

    assert_eq!(world.view().counts.of(ItemState::Waiting), 1_999);
}

#[test]
fn waiting_for_an_item_that_is_not_there_is_refused() {
    let mut world = World::with(Policy::default());
    let refused = world.perform(&adding(vec![waiting_for_item("a", "nowhere")]));
    assert!(matches!(refused, Err(Rejection::ItemUnknown { .. })));
}

#[test]
fn a_deleted_item_holds_nobody_up() {
    let mut world = World::with(Policy::default());
    world.add(vec![item_in("r1", &["g"]), item_in("r2", &["g"]), waiting_for_group("index", "g")]);
    let grant = world.acquire("alice").unwrap();
    world.complete(&grant).unwrap();

    world.perform(&deleting_item("r2")).unwrap();

    assert_eq!(world.state_of("index"), "pending");
}

/// The group of an item that was done and deleted said that the new item of that id was done too.
#[test]
fn who_waits_for_an_item_made_again_waits_for_the_new_one() {
    let mut world = World::with(Policy::default());
    world.add(vec![item("plan"), waiting_for_item("verify", "plan")]);
    let plan = world.acquire("alice").unwrap();
    world.complete(&plan).unwrap();
    world.perform(&deleting_item("plan")).unwrap();

    world.add(vec![item("plan"), waiting_for_item("again", "plan")]);

    assert_eq!((world.state_of("verify"), world.state_of("again")), ("pending", "waiting"));
}

#[test]
fn the_order_within_a_batch_does_not_matter() {
    let mut world = World::with(Policy::default());
    world.add(vec![waiting_for_item("verify", "plan"), item("plan")]);

    assert_eq!(world.acquire("alice").unwrap().body.id(), "plan");
    assert_eq!(world.state_of("verify"), "waiting");
}

/// What came of a deleted item was forgotten with it.
#[test]
fn who_waits_for_an_item_waits_for_the_successors_of_a_deleted_successor() {
    let mut world = World::with(Policy::default());
    world.add(vec![item("plan")]);
    let plan = world.acquire("alice").unwrap();
    world.complete_with(&plan, vec![item("dump")]).unwrap();
    let dump = world.acquire("alice").unwrap();
    world.complete_with(&dump, vec![item("restore")]).unwrap();
    world.perform(&deleting_item("dump")).unwrap();

    world.add(vec![waiting_for_item("verify", "plan")]);

    assert_eq!(world.state_of("verify"), "waiting");
}

/// Liveness: where nothing can move, the session says so and why.
#[test]
fn a_session_in_which_nothing_can_move_says_so_and_why() {
    let mut world = World::with(skipping(1));
    world.perform(&holding_gate("ring7", "every-gateway")).unwrap();
    world.add(vec![waiting_for_group("drop", "ring7")]);
    assert_eq!(world.view().reason.as_deref(), Some("1 items wait for gate every-gateway of group ring7"));

    world.add(vec![item("a"), waiting_for_item("b", "a")]);
    assert_eq!(world.view().reason, None, "something can move");
    let grant = world.acquire("alice").unwrap();
    assert_eq!(world.view().reason, None, "something moves");
    world.perform(&opening_gate("ring7", "every-gateway")).unwrap();
    let drop = world.acquire("alice").unwrap();
    world.complete(&drop).unwrap();
    world.fail(&grant).unwrap();

    let view = world.view();
    assert_eq!(view.state, SessionState::CompletedWithFailures);
    let reason = view.reason.unwrap();
    assert!(reason.contains("1 items have failed, 1 are blocked"), "{reason}");
    assert_eq!(world.nothing_for("alice"), NoWork::Failed { failed: 1 });
}

#[test]
fn waiting_for_several_groups_is_waiting_for_all_of_them() {
    let mut world = World::with(Policy::default());
    let both = NewItem {
        waits_for: vec![WaitsFor::Group(group("g1")), WaitsFor::Item(id("a")), WaitsFor::Group(group("g2"))],
        ..item("last")
    };
    world.add(vec![item("a"), item_in("b", &["g1"]), item_in("c", &["g2"]), both]);

    for _ in 0..3 {
        assert_eq!(world.state_of("last"), "waiting");
        let grant = world.acquire("alice").unwrap();
        world.complete(&grant).unwrap();
    }

    assert_eq!(world.acquire("alice").unwrap().body.id(), "last");
}

#[test]
fn who_waits_for_what_waits_for_a_failed_item_is_blocked_too() {
    let mut world = World::with(skipping(1));
    world.add(vec![item("a"), waiting_for_item("b", "a"), waiting_for_item("c", "b")]);
    let grant = world.acquire("alice").unwrap();

    world.fail(&grant).unwrap();

    assert_eq!((world.state_of("b"), world.state_of("c")), ("blocked", "blocked"));
    assert_eq!(world.view().state, SessionState::CompletedWithFailures);
    world.perform(&resuming()).unwrap();
    assert_eq!((world.state_of("b"), world.state_of("c")), ("waiting", "waiting"));
}
