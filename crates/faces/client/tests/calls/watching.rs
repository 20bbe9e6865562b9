//! Following what happens.

use crate::server::{Server, item, session_with};
use capstan_client::{Acquire, Error, Watch, v1};

async fn events(watch: &mut Watch, count: usize) -> Vec<v1::Change> {
    let mut changes = Vec::new();
    while changes.len() < count {
        changes.push(watch.next().await.unwrap());
    }
    changes
}

#[tokio::test]
async fn a_watcher_is_told_everything_once_in_order_from_where_it_asked() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    let session = session_with(&client, "shop", &["a"]).await;
    session_with(&client, "other", &["x"]).await;

    let mut from_the_beginning = session.watch(Some(1)).await.unwrap();
    let mut from_now = client.watch(None, "").await.unwrap();
    let lease = client.acquire(&Acquire::by("alice").from("shop")).await.unwrap().leases.pop().unwrap();
    let token = lease.token();
    lease.complete(None).await.unwrap();

    let told = events(&mut from_the_beginning, 4).await;
    let names: Vec<_> = told.iter().map(|change| change.event.as_str()).collect();
    assert_eq!(names, ["session_opened", "item_added", "item_granted", "item_completed"]);
    assert!(told.iter().all(|change| change.session == "shop"));
    assert!(told.windows(2).all(|pair| pair[0].position < pair[1].position));
    assert_eq!(told[2].token, Some(token));
    assert_eq!((told[2].item_id.as_deref(), told[2].worker_id.as_deref()), (Some("a"), Some("alice")));

    let told = events(&mut from_now, 2).await;
    assert_eq!((told[0].event.as_str(), told[0].position), ("item_granted", token));
    server.stop().await;
}

#[tokio::test]
async fn a_watch_that_begins_beyond_the_end_is_told_where_to_begin() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;

    let error = client.watch(Some(1_000), "").await.unwrap_err();

    let Error::Refused { begin_at: Some(begin), .. } = error else { panic!("{error:?}") };
    assert!(client.watch(Some(begin), "").await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn a_watch_goes_on_without_a_gap_when_the_server_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let (client, address) = (server.client().await, server.address);
    let session = session_with(&client, "shop", &["a"]).await;
    let mut watch = session.watch(Some(1)).await.unwrap();
    assert_eq!(events(&mut watch, 2).await.len(), 2);

    server.stop().await;
    let server = Server::start_at(folder.path(), address).await;
    session.add(vec![item("b")]).await.unwrap();

    let next = watch.next().await.unwrap();
    assert_eq!((next.event.as_str(), next.item_id.as_deref()), ("item_added", Some("b")));
    server.stop().await;
}
