//! Leases.

use crate::server::{Server, item, session_with};
use capstan_client::{Acquire, Class, Client, Error, Item, News, Outcome, Policy, v1};
use std::time::{Duration, Instant};

async fn one(client: &Client, wish: Acquire) -> capstan_client::Lease {
    client.acquire(&wish).await.unwrap().leases.pop().unwrap()
}

#[tokio::test]
async fn work_goes_from_hand_to_hand_until_it_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    let session = client.create_session("shop", Policy::default()).await.unwrap();
    session.add(vec![Item { payload: Some(r#"{"n":1}"#.into()), ..item("a") }]).await.unwrap();

    let mut lease = one(&client, Acquire::by("alice").from("shop").lease(Duration::from_secs(60))).await;
    assert_eq!((lease.item().payload.as_deref(), lease.told().attempt), (Some(r#"{"n":1}"#), 1));
    assert!(lease.remaining() > Duration::from_secs(50) && lease.remaining() <= Duration::from_secs(60));
    let progress = Some(v1::Progress { documents: 3, bytes: 30 });
    lease.renew(News { progress, checkpoint: Some("3".into()) }).await.unwrap();
    lease.release(News::default()).await.unwrap();

    let lease = one(&client, Acquire::by("bob").from("shop")).await;
    assert_eq!((lease.told().checkpoint.as_deref(), lease.told().progress), (Some("3"), progress));
    assert_eq!(lease.fail("no luck", false).await.unwrap(), v1::ItemState::Pending);

    let lease = one(&client, Acquire::by("carol").from("shop")).await;
    assert_eq!(lease.told().attempt, 2);
    assert_eq!(session.item("a").await.unwrap().last_error.as_deref(), Some("no luck"));
    lease.complete(Some(r#"{"ok":true}"#.into())).await.unwrap();

    let done = session.item("a").await.unwrap();
    assert_eq!((done.state(), done.worker_id.as_deref()), (v1::ItemState::Completed, Some("carol")));
    assert_eq!(done.result.as_deref(), Some(r#"{"ok":true}"#));
    let nothing = client.acquire(&Acquire::by("dave").from("shop")).await.unwrap();
    assert_eq!(nothing.nothing.unwrap().reason(), v1::NoWorkReason::AllDone);
    server.stop().await;
}

#[tokio::test]
async fn completing_one_item_hands_over_the_next_and_its_successors() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    session_with(&client, "shop", &["a", "b"]).await;
    let wish = Acquire::by("alice").from("shop");

    let lease = one(&client, wish.clone()).await;
    let rest = Outcome { successors: vec![Item { priority: 9, ..item("a/rest") }], ..Outcome::default() };
    let next = lease.complete_and_acquire(rest, &wish).await.unwrap();

    assert_eq!(next.iter().map(|lease| lease.item().id.as_str()).collect::<Vec<_>>(), ["a/rest"]);
    let mut held = next;
    while let Some(lease) = held.pop() {
        held = lease.complete_and_acquire(Outcome::default(), &wish).await.unwrap();
    }
    assert_eq!(client.session("shop").unwrap().status().await.unwrap().completed, 3);
    server.stop().await;
}

#[tokio::test]
async fn a_waiting_acquirer_gets_new_work_at_once_and_a_silent_one_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    let session = session_with(&client, "shop", &[]).await;

    let waiter = tokio::spawn({
        let client = client.clone();
        async move { client.acquire(&Acquire::by("alice").from("shop").wait(Duration::from_secs(50))).await }
    });
    while client.info().await.unwrap().waiting == 0 {
        tokio::task::yield_now().await;
    }
    let added = Instant::now();
    session.add(vec![item("a")]).await.unwrap();
    let acquired = waiter.await.unwrap().unwrap();

    assert_eq!(acquired.leases[0].item().id, "a");
    assert!(added.elapsed() < Duration::from_secs(5), "it waited {:?}", added.elapsed());
    let short = client.acquire(&Acquire::by("bob").from("shop").wait(Duration::from_millis(20))).await.unwrap();
    assert!(short.leases.is_empty());
    server.stop().await;
}

#[tokio::test]
async fn an_acquirer_that_goes_away_takes_no_work_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    let session = session_with(&client, "shop", &[]).await;

    let waiter = tokio::spawn({
        let client = client.clone();
        async move { client.acquire(&Acquire::by("alice").from("shop").wait(Duration::from_secs(50))).await }
    });
    while client.info().await.unwrap().waiting == 0 {
        tokio::task::yield_now().await;
    }
    waiter.abort();
    assert!(waiter.await.unwrap_err().is_cancelled());
    // Frames of one connection are read in their order: when this is answered, the server knows of the end before it.
    client.info().await.unwrap();
    session.add(vec![item("a")]).await.unwrap();

    assert_eq!(session.status().await.unwrap().assigned, 0);
    server.stop().await;
}

#[tokio::test]
async fn the_same_key_is_handed_the_same_lease() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    session_with(&client, "shop", &["a", "b"]).await;
    let wish = Acquire::by("alice").from("shop").key("k");

    let (first, again) = (one(&client, wish.clone()).await, one(&client, wish).await);
    assert_eq!(first.token(), again.token());

    let without = Acquire::by("alice").from("shop");
    assert_ne!(one(&client, without).await.token(), first.token());
    server.stop().await;
}

#[tokio::test]
async fn a_stale_token_is_told_so_and_many_renewals_are_answered_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    session_with(&client, "shop", &["a"]).await;
    let lease = one(&client, Acquire::by("alice").from("shop")).await;
    let renewal = |token, item: &str| v1::RenewRequest {
        session: "shop".into(),
        item_id: item.into(),
        token,
        ..Default::default()
    };

    let renewals = vec![
        renewal(lease.token(), "a"),
        renewal(lease.token() + 1_000, "a"),
        renewal(lease.token(), "nosuch"),
        renewal(0, "a"),
    ];
    let outcomes = client.renew_many(renewals).await.unwrap();

    assert_eq!(outcomes[0].as_ref().unwrap().lease_ms, 300_000);
    let codes: Vec<_> = outcomes[1..].iter().map(|outcome| outcome.as_ref().unwrap_err().code().unwrap()).collect();
    assert_eq!(codes, ["lease.not_held", "item.unknown", "value.invalid"]);
    server.stop().await;
}

#[tokio::test]
async fn pausing_at_once_revokes_and_resuming_brings_failed_items_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    let session = session_with(&client, "shop", &["a", "b"]).await;
    let mut held = one(&client, Acquire::by("alice").from("shop")).await;

    session.pause(true, "maintenance").await.unwrap();
    let told = held.renew(News::default()).await.unwrap_err();
    assert_eq!((told.code(), told.class()), (Some("lease.revoked"), Class::Gone));
    held.release(News::default()).await.unwrap();
    assert_eq!(session.status().await.unwrap().state(), v1::SessionState::Paused);
    session.resume().await.unwrap();

    let lease = one(&client, Acquire::by("alice").from("shop")).await;
    let id = lease.item().id.clone();
    assert_eq!(lease.fail("broken for good", true).await.unwrap(), v1::ItemState::Failed);
    assert_eq!(session.retry(vec![id]).await.unwrap(), 1);
    session.cancel("enough").await.unwrap();
    assert_eq!(session.status().await.unwrap().cancelled, 2);
    server.stop().await;
}

#[tokio::test]
async fn a_client_without_a_server_says_so() {
    let error = Client::connect("http://127.0.0.1:1").await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }) && error.to_string().contains("127.0.0.1:1"), "{error}");
    for bad in ["", "127.0.0.1:80", "https://h:1", "http://"] {
        assert!(matches!(Client::connect(bad).await.unwrap_err(), Error::Invalid { field: "url", .. }), "{bad}");
    }
}
