//! Clients of the console contract, which know a worker id and no token.

#![allow(clippy::unwrap_used, reason = "a test that is wrong about its world should panic")]

mod world;

use capstan_work::{Answer, Command, Complete, Holder, NoWork, Policy, Progress, Rejection};
use world::*;

fn by_id(name: &str) -> Holder {
    Holder::Worker(worker(name))
}

fn renew(world: &mut World, name: &str, documents: u64) -> Result<Answer, Rejection> {
    world.perform(&Command::Renew {
        session: shop(),
        item: id("a"),
        holder: by_id(name),
        progress: Some(Progress { documents, bytes: documents * 10 }),
        checkpoint: None,
        lease: None,
    })
}

fn complete(world: &mut World, name: &str) -> Result<Answer, Rejection> {
    world.perform(&Command::Complete(Complete::new(shop(), id("a"), by_id(name))))
}

fn console() -> World {
    let mut world = World::with(Policy::console());
    world.add(vec![item_of("a", 100)]);
    world
}

#[test]
fn a_session_made_there_has_a_fixed_lease_and_unlimited_attempts() {
    let policy = Policy::console();
    assert_eq!((policy.lease, policy.attempts, policy.limits.len()), (secs(300), None, 0));
}

#[test]
fn a_worker_id_is_enough_to_renew_and_complete() {
    let mut world = console();
    world.acquire("w1").unwrap();

    assert!(matches!(renew(&mut world, "w1", 40), Ok(Answer::Renewed { lease, .. }) if lease == secs(300)));
    let Ok(Answer::Completed { item, .. }) = complete(&mut world, "w1") else { panic!("not completed") };

    assert_eq!(item.worker, Some(worker("w1")));
    assert_eq!(item.expires, None);
}

#[test]
fn another_owner_is_refused_before_expiry_is_looked_at() {
    let mut world = console();
    world.acquire("w1").unwrap();

    assert!(matches!(renew(&mut world, "w2", 1), Err(Rejection::NotHolder { .. })));
    world.pass(secs(301));
    assert!(matches!(renew(&mut world, "w2", 1), Err(Rejection::NotHolder { .. })));
}

#[test]
fn the_last_holder_of_an_expired_lease_is_told_so_until_somebody_else_holds_it() {
    let mut world = console();
    world.acquire("w1").unwrap();
    world.pass(secs(301));

    for _ in 0..2 {
        assert!(matches!(renew(&mut world, "w1", 1), Err(Rejection::LeaseExpired { .. })));
        assert!(matches!(complete(&mut world, "w1"), Err(Rejection::LeaseExpired { .. })));
        world.perform(&Command::Sweep { session: shop() }).unwrap();
    }
    world.acquire("w2").unwrap();
    assert!(matches!(renew(&mut world, "w1", 1), Err(Rejection::NotHolder { .. })));
    complete(&mut world, "w2").unwrap();
    assert!(matches!(complete(&mut world, "w1"), Err(Rejection::AlreadyCompleted { .. })));
}

#[test]
fn an_item_whose_lease_ran_out_shows_as_pending_without_a_worker() {
    let mut world = console();
    world.acquire("w1").unwrap();
    world.pass(secs(301));
    world.settle();

    let view = world.item("a");
    assert_eq!((view.state.name(), view.worker, view.expires), ("pending", None, None));
    assert!(view.started.is_some(), "it stays as it was first handed out");
}

#[test]
fn a_sweep_answers_how_many_leases_ran_out_since_the_last() {
    let mut world = World::with(Policy::console());
    world.add(vec![item("a"), item("b"), item("c")]);
    world.acquire_many("w1", 2);
    world.pass(secs(301));
    let sweep = Command::Sweep { session: shop() };

    assert_eq!(world.perform(&sweep), Ok(Answer::Counted(2)));
    assert_eq!(world.perform(&sweep), Ok(Answer::Counted(0)));
}

#[test]
fn progress_replaces_what_was_said_and_survives_reassignment() {
    let mut world = console();
    world.acquire("w1").unwrap();
    renew(&mut world, "w1", 50).unwrap();
    renew(&mut world, "w1", 30).unwrap();
    assert_eq!(world.item("a").progress, Progress { documents: 30, bytes: 300 });

    world.pass(secs(301));
    let again = world.acquire("w2").unwrap();

    assert_eq!(again.progress.documents, 30);
    assert_eq!(world.view().counts.done.documents, 30);
}

#[test]
fn a_client_that_sends_its_token_too_is_held_to_both() {
    let mut world = console();
    let grant = world.acquire("w1").unwrap();
    let with = |name: &str, token| {
        Command::Complete(Complete::new(shop(), id("a"), Holder::WorkerWithToken(worker(name), token)))
    };

    let stale = capstan_ids::Token::from_wire(grant.token.get() + 1);
    assert!(world.perform(&with("w1", stale)).is_err());
    assert!(world.perform(&with("w2", grant.token)).is_err());
    assert!(world.perform(&with("w1", grant.token)).is_ok());
}

#[test]
fn completing_twice_answers_the_same_with_the_same_time() {
    let mut world = console();
    world.acquire("w1").unwrap();
    let first = complete(&mut world, "w1").unwrap();
    world.pass(secs(60));

    assert_eq!(complete(&mut world, "w1").unwrap(), first);
}

/// Defect 2 of the reference, where it concerns this crate: nothing to do is an answer, and says why.
#[test]
fn nothing_to_do_is_an_answer_that_says_why() {
    let mut world = World::with(Policy::console());
    assert_eq!(world.nothing_for("w1"), NoWork::Empty);
    world.add(vec![item("a")]);
    let grant = world.acquire("w1").unwrap();
    assert_eq!(world.nothing_for("w2"), NoWork::HeldByOthers { assigned: 1 });
    world.perform(&pausing(false)).unwrap();
    assert_eq!(world.nothing_for("w2"), NoWork::Paused);
    world.perform(&resuming()).unwrap();
    world.complete(&grant).unwrap();
    assert_eq!(world.nothing_for("w2"), NoWork::AllDone);
}
