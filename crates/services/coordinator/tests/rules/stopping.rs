//! A stop answers what came before it and turns away what comes after.

use crate::stage::*;
use capstan_coordinator::{Failure, WatchError};
use capstan_work::{Answer, ItemState};

#[tokio::test]
async fn what_was_asked_before_a_stop_is_answered_and_what_comes_later_is_turned_away() {
    let stage = Stage { queue: 2, ..Stage::new() };
    let server = stage.start().with_items(0).await;
    let waiting = server.wait(for_alice()).await;
    let mut watch = server.handle.watch(None, None).await.unwrap();
    let before = stage.script.offers().len();
    stage.script.hold();
    let submit = |number| server.asked(move |handle| async move { handle.submit(add(&shop(), [number])).await });
    let flushing = submit(1).await;
    stage.script.offered(before + 1).await;
    // The queue is full now: the stop has to find its way all the same.
    let queued = [submit(2).await, submit(3).await];
    let handle = server.handle.clone();

    let stopping = tokio::spawn(server.stop());
    tokio::task::yield_now().await;

    let late = handle.submit(add(&shop(), [4])).await;
    assert_eq!(late, Err(Failure::Stopped));
    stage.script.let_go();
    flushing.await.unwrap().unwrap();
    for queued in queued {
        queued.await.unwrap().unwrap();
    }
    assert!(matches!(waiting.await.unwrap().unwrap().answer, Answer::Granted(_)));
    stopping.await.unwrap();
    assert_eq!(handle.read(|_| ()).await, Err(Failure::Stopped));
    let last = loop {
        match watch.next().await {
            Ok(change) => drop(change),
            Err(error) => break error,
        }
    };
    assert!(matches!(last, WatchError::Failure(Failure::Stopped)), "{last:?}");
    let server = stage.start();
    assert_eq!((server.count(ItemState::Assigned).await, server.count(ItemState::Ready).await), (1, 2));
    server.stop().await;
}

#[tokio::test]
async fn who_waits_for_work_is_told_at_a_stop_that_there_was_none() {
    let stage = Stage::new();
    let server = stage.start().with_items(0).await;
    let waiting = server.wait(for_alice()).await;

    server.stop().await;

    let acquired = waiting.await.unwrap().unwrap();
    assert!(matches!(acquired.answer, Answer::Nothing(_)), "{acquired:?}");
}
