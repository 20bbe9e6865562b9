//! Rule 3 and what the architecture says of a journal that does not say yes: full, broken, fenced.

use crate::scripted::Reply;
use crate::stage::*;
use capstan_coordinator::{EndError, Failure, Role, WatchError};
use capstan_ids::Millis;
use capstan_work::{Answer, Command, ItemState};
use std::time::Duration;

#[tokio::test]
async fn memory_that_is_ahead_of_the_log_is_thrown_away() {
    let stage = Stage::new();
    let server = stage.start().with_items(2).await;
    let kept = server.acquire().await;
    stage.script.answer(Reply::Full);

    let refused = server.handle.submit(Command::Acquire(for_alice())).await;

    assert!(matches!(refused, Err(Failure::Full(_))), "{refused:?}");
    assert_eq!((server.count(ItemState::Assigned).await, server.count(ItemState::Ready).await), (1, 1));
    let again = server.acquire().await;
    assert!(again.token > kept.token);
    server.handle.submit(complete(&kept)).await.expect("the lease from before is the same");
    server.handle.read(|state| state.check().unwrap()).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn what_was_granted_in_a_flush_that_was_thrown_away_goes_to_who_still_waits() {
    let stage = Stage::new();
    let server = stage.start().with_items(0).await;
    let first = server.wait(for_alice()).await;
    let second = server.wait(for_alice()).await;
    server.handle.submit(add(&shop(), [1])).await.unwrap();
    let granted = first.await.unwrap().unwrap();
    assert!(matches!(granted.answer, Answer::Granted(_)));
    let third = server.wait(for_alice()).await;
    // Its release is granted to the second in the same flush; the flush is refused, and the lease stands as it was.
    stage.script.answer(Reply::Full);
    let Answer::Granted(grants) = granted.answer else { panic!() };
    let release = |token| Command::Release {
        session: shop(),
        item: id(1),
        holder: capstan_work::Holder::Token(token),
        progress: None,
        checkpoint: None,
    };
    let refused = server.handle.submit(release(grants[0].token)).await;
    assert!(matches!(refused, Err(Failure::Full(_))));
    assert!(matches!(second.await.unwrap(), Err(Failure::Full(_))), "it would have been granted");

    server.handle.submit(release(grants[0].token)).await.expect("the lease is as it was");

    let third = third.await.unwrap().unwrap();
    assert!(matches!(&third.answer, Answer::Granted(again) if again[0].token > grants[0].token));
    server.stop().await;
}

#[tokio::test]
async fn what_is_ready_again_after_memory_was_thrown_away_goes_to_who_came_to_wait_meanwhile() {
    let stage = Stage::new();
    let server = stage.start().with_items(1).await;
    let before = stage.script.offers().len();
    stage.script.hold();
    let first = server.asked(|handle| async move { handle.submit(open(&named("other"), vec![])).await }).await;
    stage.script.offered(before + 1).await;
    let granted = server.asked(|handle| async move { handle.acquire(for_alice(), Duration::ZERO).await }).await;
    let waits = server.asked(|handle| async move { handle.acquire(for_alice(), Duration::from_secs(30)).await }).await;
    stage.script.let_one_go();
    first.await.unwrap().unwrap();
    stage.script.offered(before + 2).await;

    // The flush that grants the only item, and in which the other found nothing and waits, finds no room.
    stage.script.answer(Reply::Full);
    stage.script.let_go();

    assert!(matches!(granted.await.unwrap(), Err(Failure::Full(_))));
    let acquired = waits.await.unwrap().unwrap();
    assert!(matches!(acquired.answer, Answer::Granted(_)), "{acquired:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_full_journal_is_told_at_the_door_and_reads_go_on() {
    let stage = Stage::new();
    let server = stage.start().with_items(1).await;
    let before = stage.script.offers().len();
    stage.script.full(true);

    let change = server.handle.submit(add(&shop(), [7])).await;
    let acquire = server.handle.acquire(for_alice(), Duration::from_secs(5)).await;

    assert!(matches!(change, Err(Failure::Full(_))), "{change:?}");
    assert!(matches!(acquire, Err(Failure::Full(_))), "{acquire:?}");
    assert_eq!(server.count(ItemState::Ready).await, 1);
    assert_eq!(stage.script.offers().len(), before, "nothing was decided");
    stage.script.full(false);
    while matches!(server.handle.submit(add(&shop(), [7])).await, Err(Failure::Full(_))) {}
    assert_eq!(server.count(ItemState::Ready).await, 2);
    server.stop().await;
}

#[tokio::test]
async fn whose_wait_ends_while_the_journal_is_full_is_granted_nothing() {
    let stage = Stage::new();
    let server = stage.start().with_items(1).await;
    let grant = server.acquire().await;
    let waiting = server.wait(for_alice()).await;
    stage.script.full(true);

    // The lease is over by then too, and cannot be ended: there is no room to say so.
    server.pass(Millis::secs(3_600)).await;

    assert!(matches!(waiting.await.unwrap(), Err(Failure::Full(_))));
    assert_eq!(server.count(ItemState::Assigned).await, 1);
    stage.script.full(false);
    while server.count(ItemState::Assigned).await == 1 {}
    assert!(server.acquire().await.token > grant.token);
    server.stop().await;
}

#[tokio::test]
async fn a_full_journal_is_not_asked_again_and_again_while_something_is_due() {
    let stage = Stage::new();
    let server = stage.start().with_items(1).await;
    server.acquire().await;
    stage.script.full(true);
    stage.clock.pass(Millis::secs(3_600));
    server.look().await;
    let before = stage.script.reserved();
    let began = std::time::Instant::now();

    while began.elapsed() < Duration::from_millis(250) {
        server.look().await;
    }

    assert!(stage.script.reserved() - before <= 3, "{} times in 250 ms", stage.script.reserved() - before);
    stage.script.full(false);
    server.stop().await;
}

#[tokio::test]
async fn everybody_is_told_that_the_journal_broke_or_that_another_leads() {
    for (reply, end, why, role) in [
        (Reply::Broken, EndError::Broken("flush in the script".into()), Failure::JournalBroken, Role::Failed),
        (Reply::Fenced, EndError::Fenced, Failure::NotLeader { leader: None }, Role::Standby),
    ] {
        let stage = Stage::new();
        let mut server = stage.start().with_items(0).await;
        let waiting = server.wait(for_alice()).await;
        let mut watch = server.handle.watch(None, None).await.unwrap();
        let before = stage.script.offers().len();
        stage.script.hold();
        let lost = server.asked(|handle| async move { handle.submit(open(&named("other"), vec![])).await }).await;
        stage.script.offered(before + 1).await;
        let queued = server.asked(|handle| async move { handle.read(|_| ()).await }).await;
        stage.script.answer(reply);
        stage.script.let_go();

        assert_eq!(lost.await.unwrap(), Err(why.clone()));
        assert_eq!(queued.await.unwrap(), Err(why.clone()));
        assert_eq!(waiting.await.unwrap(), Err(why.clone()));
        assert!(matches!(watch.next().await, Err(WatchError::Failure(told)) if told == why), "{reply:?}");
        assert_eq!(server.coordinator.ended().await, Err(end));
        assert_eq!(server.handle.read(|_| ()).await, Err(why));
        assert_eq!(server.handle.status().role(), role);
    }
}
