//! Completion with what is left, and with what is wanted next (W5; soundness 11, 19).

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_work::{Acquire, Answer, Command, Event, ItemState, NewItem, NoWork, Policy, Progress, Rejection};
use world::*;

/// Defect 3 of the reference: the parent was completed and its successors were not made.
#[test]
fn successors_and_the_parents_completion_are_one_commit() {
    let mut world = World::with_items(&["parent"]);
    let grant = world.acquire("alice").unwrap();
    let from = world.journal.len();

    world.complete_with(&grant, vec![item("s1"), item("s2")]).unwrap();

    assert!(matches!(
        world.events_since(from)[..],
        [
            Event::ItemAdded { parent: Some(0), .. },
            Event::ItemAdded { parent: Some(0), .. },
            Event::ItemCompleted { number: 0, successors: Some(_), .. }
        ]
    ));
    assert_eq!(ids(&world.acquire_many("alice", 9)), ["s1", "s2"]);
}

#[test]
fn twenty_items_with_three_successors_each_add_two_to_what_is_pending_every_time() {
    let mut world = World::with(Policy::default());
    world.add((0..20).map(|n| item(&format!("i{n}"))).collect());
    let mut open = 20;

    for n in 0..20 {
        let Answer::Granted(grants) = world.ask(acquiring_item("alice", &format!("i{n}"))) else {
            panic!("it was ready")
        };
        let rest = (0..3).map(|s| item(&format!("i{n}/{s}"))).collect();
        world.complete_with(&grants[0], rest).unwrap();
        open += 2;
        assert_eq!(world.view().counts.unfinished(), open);
    }
}

#[test]
fn a_second_different_list_is_refused_and_the_same_one_answers_as_before() {
    let mut world = World::with_items(&["parent"]);
    let grant = world.acquire("alice").unwrap();
    let first = world.complete_with(&grant, vec![item("s1"), item("s2")]).unwrap();
    let journalled = world.journal.len();

    assert_eq!(world.complete_with(&grant, vec![item("s1"), item("s2")]).unwrap(), first);
    for other in [vec![], vec![item("s1")], vec![item("s2"), item("s1")], vec![item("s1"), item_of("s2", 1)]] {
        assert!(matches!(world.complete_with(&grant, other), Err(Rejection::OtherSuccessors { .. })));
    }
    assert_eq!(world.journal.len(), journalled);
}

#[test]
fn a_repeat_after_a_crash_answers_as_before() {
    let mut world = World::with_items(&["parent"]);
    let grant = world.acquire("alice").unwrap();
    let first = world.complete_with(&grant, vec![item("s1")]).unwrap();

    world.crash();

    assert_eq!(world.complete_with(&grant, vec![item("s1")]).unwrap(), first);
    assert!(matches!(world.complete_with(&grant, vec![item("s2")]), Err(Rejection::OtherSuccessors { .. })));
}

#[test]
fn an_item_cannot_succeed_itself_and_is_not_completed_by_trying() {
    let mut world = World::with_items(&["parent"]);
    let grant = world.acquire("alice").unwrap();

    let refused = world.complete_with(&grant, vec![item("s1"), item("parent")]);

    assert!(matches!(refused, Err(Rejection::BadSuccessor { .. })), "{refused:?}");
    assert_eq!(world.state_of("parent"), "assigned");
    assert!(world.work.item(&shop(), &id("s1")).is_none());
}

/// Soundness 19.
#[test]
fn successors_that_exist_already_are_refused() {
    let mut world = World::with_items(&["parent", "there"]);
    let grant = world.acquire("alice").unwrap();

    for bad in [vec![item("there")], vec![item("s1"), item("s1")]] {
        let refused = world.complete_with(&grant, bad);
        assert!(matches!(refused, Err(Rejection::BadSuccessor { .. })), "{refused:?}");
    }

    assert_eq!(world.state_of("parent"), "assigned");
}

#[test]
fn an_undo_item_succeeds_nothing() {
    let mut world = World::with_items(&["parent"]);
    let grant = world.acquire("alice").unwrap();
    assert!(matches!(world.complete_with(&grant, vec![undo("u")]), Err(Rejection::BadSuccessor { .. })));
}

/// Defect 7 of the reference: totals never reached 100 %.
#[test]
fn totals_reach_all_of_it_when_and_only_when_all_is_done() {
    let mut world = World::with(Policy::default());
    world.add(vec![item_of("a", 100), item_of("b", 50)]);
    let grants = world.acquire_many("alice", 2);
    world.renew(&grants[0], Some(30)).unwrap();
    assert_eq!((world.view().counts.done.documents, world.view().counts.expected.documents), (30, 150));

    world.complete(&grants[0]).unwrap();
    assert_eq!((world.view().counts.done.documents, world.view().counts.expected.documents), (100, 150));
    world.complete(&grants[1]).unwrap();

    assert_eq!(world.view().counts.done, world.view().counts.expected);
    assert_eq!(world.item("a").progress, documents(100));
}

#[test]
fn a_parents_total_shrinks_to_what_it_did_and_its_successors_carry_the_rest() {
    let mut world = World::with(Policy::default());
    world.add(vec![item_of("a", 100)]);
    let grant = world.acquire("alice").unwrap();
    let complete = capstan_work::Complete {
        done: Some(documents(40)),
        successors: vec![item_of("a/rest", 60)],
        ..completing(&grant)
    };

    world.perform(&Command::Complete(complete)).unwrap();

    let counts = world.view().counts;
    assert_eq!((counts.done.documents, counts.expected.documents), (40, 100));
}

#[test]
fn more_done_than_expected_counts_on_both_sides() {
    let mut world = World::with(Policy::default());
    world.add(vec![item_of("a", 10)]);
    let grant = world.acquire("alice").unwrap();
    world.renew(&grant, Some(25)).unwrap();

    world.complete(&grant).unwrap();

    let counts = world.view().counts;
    assert_eq!((counts.done, counts.expected), (documents(25), documents(25)));
}

fn completing_and_acquiring(grant: &capstan_work::Grant, acquire: Acquire) -> Command {
    Command::CompleteAndAcquire { complete: completing(grant), acquire }
}

#[test]
fn the_next_item_comes_with_the_completion() {
    let mut world = World::with_items(&["a", "b"]);
    let grant = world.acquire("alice").unwrap();

    let answer = world.perform(&completing_and_acquiring(&grant, acquiring("alice"))).unwrap();

    let Answer::Completed { item, next } = answer else { panic!("not completed: {answer:?}") };
    assert_eq!((item.state, ids(&next)), (ItemState::Completed, vec!["b"]));
}

/// Soundness 11: the completed token is the key of what was given with it.
#[test]
fn a_repeat_of_complete_and_acquire_answers_with_the_leases_it_was_given() {
    let mut world = World::with_items(&["a", "b", "c"]);
    let grant = world.acquire("alice").unwrap();
    let command = completing_and_acquiring(&grant, acquiring("alice"));
    let Ok(Answer::Completed { next: first, .. }) = world.perform(&command) else { panic!("not completed") };
    world.pass(secs(10));

    let Ok(Answer::Completed { next: again, .. }) = world.perform(&command) else { panic!("not completed") };

    assert_eq!(tokens(&again), tokens(&first));
    assert_eq!(again[0].lease, secs(290), "what is left of it");
    assert_eq!(world.state_of("c"), "pending", "nothing new is stranded");
}

#[test]
fn a_late_repeat_of_complete_and_acquire_strands_no_new_work() {
    let mut world = World::with_items(&["a", "b", "c"]);
    let grant = world.acquire("alice").unwrap();
    let command = completing_and_acquiring(&grant, acquiring("alice"));
    let Ok(Answer::Completed { next, .. }) = world.perform(&command) else { panic!("not completed") };
    world.complete(&next[0]).unwrap();

    let Ok(Answer::Completed { next, .. }) = world.perform(&command) else { panic!("not completed") };

    assert_eq!(next, []);
    assert_eq!(world.state_of("c"), "pending");
}

#[test]
fn a_repeat_of_complete_and_acquire_survives_a_crash() {
    let mut world = World::with_items(&["a", "b"]);
    let grant = world.acquire("alice").unwrap();
    let command = completing_and_acquiring(&grant, acquiring("alice"));
    let Ok(Answer::Completed { next: first, .. }) = world.perform(&command) else { panic!("not completed") };

    world.crash();

    let Ok(Answer::Completed { next: again, .. }) = world.perform(&command) else { panic!("not completed") };
    assert_eq!(tokens(&again), tokens(&first));
}

/// The completion was applied, and then the request for more was refused.
#[test]
fn a_request_for_more_that_cannot_be_is_refused_with_the_completion() {
    let mut world = World::with_items(&["a", "b"]);
    let grant = world.acquire("alice").unwrap();

    for bad in [
        Acquire { max: 0, ..acquiring("alice") },
        Acquire::from(session("nowhere"), worker("alice")),
        acquiring_item("alice", "nothing"),
        Acquire { sessions: vec![], ..acquiring_item("alice", "b") },
    ] {
        assert!(world.perform(&completing_and_acquiring(&grant, bad)).is_err());
        assert_eq!(world.state_of("a"), "assigned");
    }
}

#[test]
fn a_completion_with_nothing_more_to_do_is_a_completion() {
    let mut world = World::with_items(&["a"]);
    let grant = world.acquire("alice").unwrap();

    let answer = world.perform(&completing_and_acquiring(&grant, acquiring("alice"))).unwrap();

    assert!(matches!(answer, Answer::Completed { next, .. } if next.is_empty()));
    assert_eq!(world.nothing_for("alice"), NoWork::AllDone);
}

#[test]
fn a_successor_may_be_the_next_item() {
    let mut world = World::with_items(&["a"]);
    let grant = world.acquire("alice").unwrap();
    let complete = capstan_work::Complete { successors: vec![item("a/rest")], ..completing(&grant) };

    let answer = world.perform(&Command::CompleteAndAcquire { complete, acquire: acquiring("alice") }).unwrap();

    assert!(matches!(answer, Answer::Completed { next, .. } if ids(&next) == ["a/rest"]));
}

#[test]
fn figures_beyond_what_json_holds_are_refused() {
    let mut world = World::with_items(&["a"]);
    let grant = world.acquire("alice").unwrap();
    let done = Some(Progress { documents: 1 << 53, bytes: 0 });

    let refused = world.perform(&Command::Complete(capstan_work::Complete { done, ..completing(&grant) }));

    assert!(matches!(refused, Err(Rejection::OutOfRange { field: "documents_processed", .. })));
}

/// Defect 9 of the reference: bytes were held in 32 bits, and ids with `/`, `$` and spaces could not be reached.
#[test]
fn any_id_and_any_size_will_do() {
    let mut world = World::with(Policy::default());
    let names = ["a/b", "$x", "with space", "status", "acquire", "ünïcode", "\u{0}"];
    let sized = |name: &&str| NewItem { total_size_bytes: 5_000_000_000, ..item(name) };
    world.add(names.iter().map(sized).collect());

    for grant in world.acquire_many("alice", 10) {
        world.complete(&grant).unwrap();
    }

    assert_eq!(world.view().counts.done.bytes, 35_000_000_000);
    assert!(names.iter().all(|name| world.state_of(name) == "completed"));
}
