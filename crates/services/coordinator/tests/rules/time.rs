//! Only the given clock decides, and shown times never go back.

use crate::stage::*;
use capstan_ids::{Millis, SessionName, WallTime};
use capstan_work::{Answer, Backoff, Command, Conflicts, Holder, ItemState, NewItem, Policy};
use std::time::Duration;

#[tokio::test]
async fn a_lease_ends_when_the_clock_says_so_and_not_before() {
    let server = Stage::new().start().with_items(1).await;
    let grant = server.acquire().await;
    server.pass(Millis(grant.lease.get() - 20_000)).await;
    let waiting = server.wait(for_alice()).await;

    server.pass(Millis(19_999)).await;
    assert_eq!(server.count(ItemState::Assigned).await, 1);
    assert!(!waiting.is_finished());
    server.pass(Millis(1)).await;

    let acquired = waiting.await.unwrap().unwrap();
    assert!(matches!(&acquired.answer, Answer::Granted(next) if next[0].token > grant.token), "{acquired:?}");
    assert_eq!(acquired.waited, Duration::from_secs(20));
    assert!(server.handle.submit(complete(&grant)).await.is_err(), "its token is stale");
    server.stop().await;
}

#[tokio::test]
async fn a_lease_has_its_full_term_after_a_restart() {
    let stage = Stage::new();
    let server = stage.start().with_items(1).await;
    let grant = server.acquire().await;
    server.pass(Millis(grant.lease.get() - 1)).await;
    server.stop().await;

    let server = stage.start();
    server.pass(Millis(grant.lease.get() - 1)).await;
    assert_eq!(server.count(ItemState::Assigned).await, 1);
    server.pass(Millis(1)).await;

    assert_eq!(server.count(ItemState::Assigned).await, 0);
    server.stop().await;
}

#[tokio::test]
async fn an_item_that_backs_off_comes_back_when_it_is_time() {
    let server = Stage::new().start();
    let cap = Millis::secs(10);
    let policy = Policy { backoff: Backoff::Exponential { initial: cap, cap }, ..Policy::default() };
    let opening = Command::OpenSession { session: shop(), policy, notes: None, items: vec![item(1)], gates: vec![] };
    server.handle.submit(opening).await.unwrap();
    let grant = server.acquire().await;
    let failing = Command::Fail {
        session: shop(),
        item: id(1),
        holder: Holder::Token(grant.token),
        error: "no route".into(),
        permanent: false,
        retry_after: None,
        checkpoint: None,
    };
    server.handle.submit(failing).await.unwrap();
    let waiting = server.wait(for_alice()).await;
    assert_eq!(server.count(ItemState::Delayed).await, 1);

    server.pass(cap).await;

    assert!(matches!(waiting.await.unwrap().unwrap().answer, Answer::Granted(_)));
    server.stop().await;
}

#[tokio::test]
async fn an_item_is_not_handed_out_before_its_time() {
    let stage = Stage::new();
    let server = stage.start().with_items(0).await;
    let noon = WallTime(1_790_000_000_000_000) + Millis::secs(20);
    let items = vec![NewItem { not_before: Some(noon), ..item(1) }];
    let adding = Command::AddItems { session: shop(), items, gates: vec![], conflicts: Conflicts::Refuse };
    server.handle.submit(adding).await.unwrap();
    let waiting = server.wait(for_alice()).await;

    server.pass(Millis(19_999)).await;
    assert!(!waiting.is_finished());
    server.pass(Millis(1)).await;

    assert!(matches!(waiting.await.unwrap().unwrap().answer, Answer::Granted(_)));
    server.stop().await;
}

#[tokio::test]
async fn an_owner_with_nothing_to_do_sleeps() {
    let stage = Stage::new();
    let server = stage.start().with_items(1).await;
    server.acquire().await;
    let _waiting = server.wait(for_alice()).await;
    let before = stage.script.reserved();

    // The time it is watched for, not one that anything has to happen in.
    tokio::time::sleep(Duration::from_millis(300)).await;

    assert!(stage.script.reserved() - before <= 1, "it woke {} times", stage.script.reserved() - before);
    server.stop().await;
}

#[tokio::test]
async fn shown_times_never_go_back_however_the_wall_clock_is_set() {
    let stage = Stage::new();
    let mut server = stage.start();
    let mut times = Vec::new();
    for (round, seconds) in [100, 50, 10, 200, 1].into_iter().enumerate() {
        stage.clock.set_wall(WallTime(1_790_000_000_000_000 + seconds * 1_000_000));
        let session = named(&format!("s-{round}"));
        server.open(&session, 1).await;
        times.push(created(&server, session).await);
        if round % 2 == 1 {
            server.stop().await;
            server = stage.start();
        }
    }

    assert!(times.is_sorted(), "{times:?}");
    server.stop().await;
    let commits: Vec<_> = stage.log().iter().map(|recorded| recorded.commit.at()).collect();
    assert!(commits.is_sorted(), "{commits:?}");
}

async fn created(server: &Server, session: SessionName) -> WallTime {
    server.handle.read(move |state| state.work.session(&session).unwrap().created).await.unwrap()
}
