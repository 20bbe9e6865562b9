//! A command that is on its way to the log when leadership ends: it is not answered as done, and its repeat does it once.

use crate::shared::{Database, Slow};
use crate::{Server, acquire, open, server, shop};
use capstan_coordinator::{Failure, Handle};
use capstan_ids::{ItemId, WorkerId};
use capstan_work::{Acquire, Answer, Command, Complete, Grant, Holder, ItemState};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A completion that asks for the next lease; the completed token is its key.
fn complete_and_acquire(grant: &Grant) -> Command {
    let item = ItemId::new(grant.body.id()).unwrap();
    let complete = Complete::new(shop(), item, Holder::Token(grant.token));
    Command::CompleteAndAcquire { complete, acquire: Acquire::from(shop(), WorkerId::new("alice").unwrap()) }
}

async fn count(handle: &Handle, wanted: ItemState) -> usize {
    let look = move |state: &capstan_coordinator::State| {
        state.check().unwrap();
        let ids = (0..3).map(|number| ItemId::new(format!("orders/{number}")).unwrap());
        ids.filter(|id| state.work.item(&shop(), id).unwrap().state == wanted).count()
    };
    handle.read(look).await.unwrap()
}

/// Sends a command to a leader whose log holds it up, and cuts the leader off; another leads then. What the log does
/// with the command comes only after that.
async fn overtaken(slow: impl FnOnce(&Server) -> &Arc<Slow>) -> (Result<Answer, Failure>, Grant, Server, Handle) {
    let database: Arc<Database> = Arc::default();
    let one = server(&database, "one");
    let handle = one.leads().await;
    let two = server(&database, "two");
    two.stands_by("http://one").await;
    open(&handle, 3).await;
    let grant = acquire(&handle).await.unwrap().remove(0);
    let slow = Arc::clone(slow(&one));
    slow.hold();
    let asked = tokio::spawn({
        let command = complete_and_acquire(&grant);
        async move { handle.submit(command).await }
    });
    let held = Arc::clone(&slow);
    tokio::task::spawn_blocking(move || held.holds_one()).await.unwrap();

    one.wire.cut.store(true, Ordering::SeqCst);
    let next = two.leads().await;
    slow.let_go();

    let told = asked.await.unwrap();
    (told, grant, two, next)
}

/// Repeats it twice: both are told the same, and it is done once.
async fn is_done_once(next: &Handle, grant: &Grant) {
    let once = next.submit(complete_and_acquire(grant)).await.unwrap();
    let again = next.submit(complete_and_acquire(grant)).await.unwrap();
    let tokens = |answer: &Answer| match answer {
        Answer::Completed { next, .. } => next.iter().map(|grant| grant.token).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!((tokens(&once).len(), tokens(&once)), (1, tokens(&again)));
    let counts = [ItemState::Completed, ItemState::Assigned, ItemState::Ready];
    let counts = [count(next, counts[0]).await, count(next, counts[1]).await, count(next, counts[2]).await];
    assert_eq!(counts, [1, 1, 1], "completed, assigned, ready");
}

/// Soundness 11, where nothing of it happened.
#[tokio::test]
async fn a_command_that_comes_to_the_log_after_the_next_leader_changes_nothing_and_is_not_answered() {
    let (told, grant, two, next) = overtaken(|one| &one.wire.slow).await;

    // The log has refused it for good: that another leads is true, and says enough.
    assert!(matches!(told, Err(Failure::NotLeader { .. } | Failure::Away { .. })), "{told:?}");
    assert_eq!(count(&next, ItemState::Completed).await, 0);
    is_done_once(&next, &grant).await;
    two.cluster.stop().await;
}

/// Soundness 11, where all of it happened.
#[tokio::test]
async fn a_command_that_stands_in_the_log_and_was_never_answered_is_unknown_and_its_repeat_does_nothing() {
    let (told, grant, two, next) = overtaken(|one| &one.wire.slow_to_answer).await;

    // That another leads would say that nothing has happened.
    assert!(matches!(told, Err(Failure::Away { .. })), "{told:?}");
    assert_eq!((count(&next, ItemState::Completed).await, count(&next, ItemState::Assigned).await), (1, 1));
    is_done_once(&next, &grant).await;
    two.cluster.stop().await;
}
