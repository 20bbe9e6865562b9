//! Sessions and items.

use crate::server::{Server, item, session_with};
use capstan_client::{Acquire, Class, Item, Policy, v1};
use std::collections::HashSet;

#[tokio::test]
async fn a_session_is_opened_shown_changed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    let request = v1::CreateSessionRequest {
        session: "shop".into(),
        policy: Some(Policy { lease_ms: Some(30_000), attempts: Some(0), ..Policy::default() }),
        notes: Some(r#"{"team":"x"}"#.into()),
        items: vec![item("a"), item("b")],
        ..Default::default()
    };

    let session = client.create_session_with(request.clone()).await.unwrap();
    let again = client.create_session_with(request).await.unwrap_err();
    assert_eq!((again.code(), again.class()), (Some("session.exists"), Class::Conflict));

    let shown = session.get().await.unwrap();
    let policy = shown.policy.unwrap();
    assert_eq!((policy.lease_ms, policy.attempts, policy.weight), (Some(30_000), Some(0), Some(1)));
    assert_eq!(shown.notes.as_deref(), Some(r#"{"team":"x"}"#));
    assert_eq!(shown.status.unwrap().total, 2);

    let change = v1::PolicyChange { weight: Some(7), ..Default::default() };
    session.update(change, Some("[1]".into())).await.unwrap();
    let shown = session.get().await.unwrap();
    assert_eq!((shown.policy.unwrap().weight, shown.notes.as_deref()), (Some(7), Some("[1]")));

    session.close().await.unwrap();
    assert_eq!(session.status().await.unwrap().state(), v1::SessionState::Closed);
    session.delete().await.unwrap();
    assert_eq!(session.get().await.unwrap_err().code(), Some("session.unknown"));
    server.stop().await;
}

#[tokio::test]
async fn sessions_and_items_are_paged_without_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    for number in 0..7 {
        client.create_session(format!("s{number}"), Policy::default()).await.unwrap();
    }
    let session = client.session("s0").unwrap();
    let kinds = ["dump", "restore"];
    let items = (0..25).map(|n| Item { kind: kinds[n % 2].into(), ..item(&format!("i{n}")) }).collect();
    session.add(items).await.unwrap();

    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.sessions(3, &cursor).await.unwrap();
        assert!(page.entries.len() <= 3);
        names.extend(page.entries.into_iter().map(|session| session.name));
        cursor = page.next_cursor;
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["s0", "s1", "s2", "s3", "s4", "s5", "s6"]);

    let mut filter = v1::ListItemsRequest { kinds: vec!["restore".into()], page_size: 5, ..Default::default() };
    let mut ids = Vec::new();
    loop {
        let page = session.items(filter.clone()).await.unwrap();
        ids.extend(page.entries.into_iter().map(|item| item.spec.unwrap().id));
        filter.cursor = page.next_cursor;
        if filter.cursor.is_empty() {
            break;
        }
    }
    assert_eq!(ids, (0..25).filter(|n| n % 2 == 1).map(|n| format!("i{n}")).collect::<Vec<_>>());

    let pending = v1::ListItemsRequest { states: vec![v1::ItemState::Assigned as i32], ..Default::default() };
    assert!(session.items(pending).await.unwrap().entries.is_empty());
    let bad = v1::ListItemsRequest { cursor: "x".into(), ..Default::default() };
    assert_eq!(session.items(bad).await.unwrap_err().class(), Class::Invalid);
    server.stop().await;
}

#[tokio::test]
async fn adding_is_all_or_nothing_unless_each_is_to_be_answered() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    let session = session_with(&client, "shop", &["a"]).await;
    let other = Item { shard_number: 9, ..item("a") };

    let refused = session.add(vec![item("b"), other.clone()]).await.unwrap_err();
    assert_eq!(refused.code(), Some("item.conflict"));
    assert_eq!(session.status().await.unwrap().total, 1);

    let added = session.add_each(vec![item("a"), item("b"), other]).await.unwrap();
    let results: Vec<_> = added.results().collect();
    assert_eq!(results, [v1::AddResult::Unchanged, v1::AddResult::Created, v1::AddResult::Conflict]);
    assert_eq!(added.conflicts, [v1::AddConflict { index: 2, field: "shard_number".into() }]);

    let malformed = session.add_each(vec![item("c"), Item { kind: "No".into(), ..item("d") }]).await.unwrap_err();
    assert!(malformed.to_string().starts_with("items[1].kind must be"), "{malformed}");
    assert_eq!(session.status().await.unwrap().total, 2);
    server.stop().await;
}

#[tokio::test]
async fn a_stream_of_items_is_summed_up_and_ends_at_the_first_refusal() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    let session = session_with(&client, "shop", &["i0"]).await;

    let batches = (0..10).map(|b| (0..100).map(|n| item(&format!("i{}", b * 100 + n))).collect::<Vec<_>>());
    let sum = session.add_stream(futures::stream::iter(batches.collect::<Vec<_>>())).await.unwrap();
    assert_eq!((sum.frames, sum.created, sum.unchanged, sum.conflicts), (10, 999, 1, 0));

    let bad = vec![vec![item("new")], vec![Item { shard_number: 1, ..item("i0") }]];
    let refused = session.add_stream(futures::stream::iter(bad)).await.unwrap_err();
    assert_eq!(refused.code(), Some("item.conflict"));
    assert!(refused.to_string().starts_with("frame 1: "), "{refused}");
    assert_eq!(session.item("new").await.unwrap().state(), v1::ItemState::Pending);
    server.stop().await;
}

#[tokio::test]
async fn items_are_moved_cancelled_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    let session = session_with(&client, "shop", &["a", "b", "status/$x", "d"]).await;

    session.set_priority("status/$x", 5).await.unwrap();
    let first = session.acquire(Acquire::by("alice")).await.unwrap().leases.pop().unwrap();
    assert_eq!(first.item().id, "status/$x");
    session.cancel_item("a").await.unwrap();
    assert_eq!(session.item("a").await.unwrap().state(), v1::ItemState::Cancelled);
    session.delete_item("b").await.unwrap();
    assert_eq!(session.item("b").await.unwrap_err().code(), Some("item.unknown"));
    assert_eq!(session.delete_items().await.unwrap(), 3);
    assert_eq!(session.status().await.unwrap().total, 0);
    server.stop().await;
}

#[tokio::test]
async fn groups_gates_limits_and_workers_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    let session = session_with(&client, "shop", &["a", "b"]).await;
    let waits = v1::WaitsFor { awaited: Some(v1::waits_for::Awaited::Group("g".into())) };
    session.hold_gate("g", "ready").await.unwrap();
    session.add(vec![Item { waits_for: vec![waits], ..item("last") }]).await.unwrap();
    assert_eq!(session.item("last").await.unwrap().state(), v1::ItemState::Waiting);
    session.open_gate("g", "ready").await.unwrap();
    assert_eq!(session.item("last").await.unwrap().state(), v1::ItemState::Pending);

    session.set_limit("backfill", Some(1)).await.unwrap();
    let held = session.acquire(Acquire::by("alice").up_to(5)).await.unwrap();
    assert_eq!(held.leases.len(), 1);
    let none = session.acquire(Acquire::by("bob")).await.unwrap();
    assert_eq!(none.nothing.unwrap().reason(), v1::NoWorkReason::AtLimit);
    session.set_limit("backfill", None).await.unwrap();
    client.set_limit("global", Some(2)).await.unwrap();
    assert_eq!(session.acquire(Acquire::by("bob").up_to(5)).await.unwrap().leases.len(), 1);

    let workers = session.workers().await.unwrap();
    let names: HashSet<_> = workers.iter().map(|worker| (worker.worker_id.as_str(), worker.holds.len())).collect();
    assert_eq!(names, HashSet::from([("alice", 1), ("bob", 1)]));
    assert_eq!(client.workers().await.unwrap(), workers);
    assert_eq!(client.session("nosuch").unwrap().workers().await.unwrap_err().code(), Some("session.unknown"));
    server.stop().await;
}
