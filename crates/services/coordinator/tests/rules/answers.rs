//! Rule 4, C1 and C4: every answer waits for what it saw and did, and no queue is without a limit.

use crate::scripted::Reply;
use crate::stage::*;
use capstan_coordinator::{EndError, Failure};
use capstan_work::{Command, Conflicts, Holder, ItemState, NewItem, Progress};
use std::time::Duration;
use tokio::task::JoinHandle;

type Fate = JoinHandle<Result<(), Failure>>;

/// A flush that completes an item, and holds whatever can be answered from that; it has been offered to the journal,
/// which is held.
async fn a_flush_of_everything(server: &Server) -> Vec<(&'static str, Fate)> {
    let (grant, other) = (server.acquire().await, server.acquire().await);
    let script = &server.stage.script;
    let before = script.offers().len();
    script.hold();
    let opening = open(&named("other"), vec![]);
    let first = server.asked(|handle| async move { handle.submit(opening).await }).await;
    script.offered(before + 1).await;
    // While that one flushes, these come together in the next.
    let mut fates = Vec::new();
    for (what, command) in commands(&grant, &other) {
        fates.push((what, server.asked(|handle| async move { handle.submit(command).await.map(drop) }).await));
    }
    let read = server.asked(|handle| async move { handle.read(|state| drop(state.work.session(&shop()))).await });
    fates.push(("a read", read.await));
    let poll = server.asked(|handle| async move { handle.acquire(for_alice(), Duration::ZERO).await.map(drop) });
    fates.push(("an acquire", poll.await));
    script.let_one_go();
    first.await.unwrap().unwrap();
    script.offered(before + 2).await;
    fates
}

fn commands(grant: &capstan_work::Grant, other: &capstan_work::Grant) -> [(&'static str, Command); 6] {
    let renewal = |number, holder: &capstan_work::Grant| Command::Renew {
        session: shop(),
        item: id(number),
        holder: Holder::Token(holder.token),
        progress: Some(Progress { documents: 1, bytes: 1 }),
        checkpoint: None,
        lease: None,
    };
    let different = NewItem { priority: 9, ..item(0) };
    let conflict =
        Command::AddItems { session: shop(), items: vec![different], gates: vec![], conflicts: Conflicts::Refuse };
    [
        ("a completion", complete(grant)),
        ("its repeat", complete(grant)),
        ("a renewal", renewal(1, other)),
        ("an empty answer", Command::Acquire(for_alice())),
        ("a conflict", conflict),
        ("a renewal of what is completed", renewal(0, grant)),
    ]
}

#[tokio::test]
async fn no_answer_is_given_before_what_it_saw_is_durable() {
    let stage = Stage::new();
    let server = stage.start().with_items(2).await;
    let mut fates = a_flush_of_everything(&server).await;

    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    for (what, fate) in &mut fates {
        assert!(!is_done(fate), "{what} was answered before the flush");
    }
    stage.script.let_go();

    for (what, fate) in fates {
        let outcome = fate.await.unwrap();
        let rejected = matches!(what, "a conflict" | "a renewal of what is completed");
        assert_eq!(matches!(outcome, Err(Failure::Rejected(_))), rejected, "{what}: {outcome:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_a_lost_flush_would_have_answered_is_told_to_nobody() {
    let stage = Stage::new();
    let mut server = stage.start().with_items(2).await;
    let fates = a_flush_of_everything(&server).await;

    stage.script.answer(Reply::Broken);
    stage.script.let_go();

    for (what, fate) in fates {
        assert_eq!(fate.await.unwrap(), Err(Failure::JournalBroken), "{what}");
    }
    assert!(matches!(server.coordinator.ended().await, Err(EndError::Broken(_))));
    drop(server);
    let server = stage.start();
    assert_eq!((server.count(ItemState::Completed).await, server.count(ItemState::Assigned).await), (0, 2));
    server.stop().await;
}

#[tokio::test]
async fn several_commands_of_one_submission_see_each_other_and_are_one_commit() {
    let stage = Stage::new();
    let server = stage.start().with_items(0).await;
    let before = stage.script.offers().len();
    let ask = Command::Acquire(for_alice());

    let commands = vec![add(&shop(), [1, 2]), ask.clone(), add(&shop(), [1, 2]), ask];
    let outcomes = server.handle.submit_many(commands).await.unwrap();

    let tokens: Vec<_> = outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Ok(capstan_work::Answer::Granted(grants)) => Some(grants[0].token),
            _ => None,
        })
        .collect();
    let offers = &stage.script.offers()[before..];
    let [(first, commit)] = offers else { panic!("{} commits", offers.len()) };
    // Two items, a grant, nothing new, a grant: a token is the position of its grant's event.
    assert_eq!(commit.events(), 4);
    assert_eq!(tokens, [2, 3].map(|place| capstan_ids::Token::granted_at(first.plus(place))));
    server.stop().await;
}

#[tokio::test]
async fn one_more_than_the_queue_holds_is_turned_away_and_nothing_of_it_is_decided() {
    let stage = Stage { queue: 2, ..Stage::new() };
    let server = stage.start().with_items(0).await;
    let before = stage.script.offers().len();
    stage.script.hold();
    let submit = |number| server.asked(move |handle| async move { handle.submit(add(&shop(), [number])).await });
    let flushing = submit(1).await;
    stage.script.offered(before + 1).await;
    let queued = [submit(2).await, submit(3).await];

    let turned_away = submit(4).await.await.unwrap();

    assert!(matches!(turned_away, Err(Failure::Overloaded { retry_after }) if !retry_after.is_zero()));
    assert_eq!(server.handle.status().overloaded.load(std::sync::atomic::Ordering::Relaxed), 1);
    stage.script.let_go();
    flushing.await.unwrap().unwrap();
    for queued in queued {
        queued.await.unwrap().unwrap();
    }
    assert_eq!(server.count(ItemState::Ready).await, 3);
    server.stop().await;
}
