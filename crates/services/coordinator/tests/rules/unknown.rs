//! Rules 1 and 2: accession, and answers that the journal lost.

use crate::scripted::Reply;
use crate::stage::*;
use capstan_coordinator::{Failure, StartError};
use capstan_journal::Journal;
use capstan_work::ItemState;

#[tokio::test]
async fn a_leader_stands_in_the_log_before_it_answers_anything() {
    let stage = Stage::new();

    let server = stage.start().with_items(1).await;

    let offers = stage.script.offers();
    let first: Vec<_> = offers[0].1.entries(offers[0].0).map(|e| (e.stream.to_string(), e.event.to_vec())).collect();
    assert_eq!(first, [("leader".to_owned(), b"here:1".to_vec())]);
    server.stop().await;
    assert_eq!(stage.log()[0].epoch.get(), 1);
    stage.start().stop().await;
    assert_eq!(stage.journal().tail().unwrap().epoch.get(), 2);
}

#[tokio::test]
async fn an_accession_that_was_lost_is_tried_again_until_it_stands() {
    let stage = Stage::new();
    stage.script.answer(Reply::LostBeforeWriting);
    stage.script.answer(Reply::LostAfterWriting);

    let server = stage.start().with_items(1).await;

    server.stop().await;
    let leaders = stage
        .log()
        .iter()
        .flat_map(|r| r.commit.entries(r.position).map(|e| e.stream.to_string()).collect::<Vec<_>>())
        .filter(|s| s == "leader")
        .count();
    assert_eq!(leaders, 1);
}

#[tokio::test]
async fn a_server_that_is_fenced_at_its_accession_does_not_start() {
    let stage = Stage::new();
    stage.script.answer(Reply::Fenced);

    assert!(matches!(stage.try_start(), Err(StartError::Accession(_))));
}

#[tokio::test]
async fn an_answer_that_was_lost_is_settled_by_offering_the_same_commit() {
    for lost in [Reply::LostAfterWriting, Reply::LostBeforeWriting] {
        let stage = Stage::new();
        let server = stage.start().with_items(1).await;
        let before = stage.script.offers().len();
        stage.script.answer(lost);

        server.handle.submit(add(&shop(), [7])).await.unwrap();

        let offers = stage.script.offers();
        let [one, again] = &offers[before..] else { panic!("{lost:?}: {} offers", offers.len() - before) };
        assert_eq!(one, again, "{lost:?}");
        assert_eq!(server.count(ItemState::Ready).await, 2);
        server.stop().await;
        assert_eq!(stage.log().iter().filter(|recorded| recorded.commit == one.1).count(), 1, "{lost:?}");
    }
}

#[tokio::test]
async fn who_asks_while_the_journal_is_away_is_sent_away_and_nothing_of_it_is_decided() {
    let stage = Stage::new();
    let server = stage.start().with_items(1).await;
    let offered = stage.script.offers().len();
    stage.script.away(true);
    let lost = server.asked(|handle| async move { handle.submit(add(&shop(), [7])).await }).await;
    stage.script.offered(offered + 1).await;

    let change = server.handle.submit(add(&shop(), [8])).await;
    let read = server.handle.read(|_| ()).await;
    let watch = server.handle.watch(Some(position(1)), None).await.err();
    stage.script.away(false);

    assert!(matches!(change, Err(Failure::Away { retry_after }) if !retry_after.is_zero()), "{change:?}");
    assert!(matches!(read, Err(Failure::Away { .. })), "{read:?}");
    assert!(matches!(watch, Some(capstan_coordinator::WatchError::Failure(Failure::Away { .. }))), "{watch:?}");
    lost.await.unwrap().expect("it was settled once the journal was back");
    assert_eq!(server.count(ItemState::Ready).await, 2, "one and seven; eight was never decided");
    server.stop().await;
}
