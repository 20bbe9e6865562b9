//! The shared stream.

use crate::server::{Server, item, session_with};
use capstan_client::v1::{Ask, ExchangeRequest, ask::Request, reply::Answer};
use capstan_client::{Acquire, Class, Outcome, v1};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_stream::wrappers::ReceiverStream;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_share_a_stream_and_each_gets_its_own_answer() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    let session = session_with(&client, "shop", &[]).await;

    let adding = (0..500).map(|n| {
        let session = session.clone();
        tokio::spawn(async move { session.add(vec![item(&format!("i{n}"))]).await.unwrap().results().next() })
    });
    for added in adding.collect::<Vec<_>>() {
        assert_eq!(added.await.unwrap(), Some(v1::AddResult::Created));
    }
    let working = (0..20).map(|worker| {
        let client = client.clone();
        tokio::spawn(async move {
            let wish = Acquire::by(format!("w{worker}")).from("shop");
            let (mut held, mut done) = (client.acquire(&wish).await.unwrap().leases, Vec::new());
            while let Some(lease) = held.pop() {
                done.push(lease.item().id.clone());
                held = lease.complete_and_acquire(Outcome::default(), &wish).await.unwrap();
            }
            done
        })
    });
    let mut done = Vec::new();
    for worker in working.collect::<Vec<_>>() {
        done.extend(worker.await.unwrap());
    }

    done.sort_unstable();
    let mut all: Vec<_> = (0..500).map(|n| format!("i{n}")).collect();
    all.sort_unstable();
    assert_eq!(done, all, "every item once, and none twice");
    server.stop().await;
}

#[tokio::test]
async fn a_frame_is_decided_in_its_order_and_every_ask_is_answered_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    let session = session_with(&client, "shop", &[]).await;
    let (frames, outgoing) = tokio::sync::mpsc::channel(4);
    let mut answers = client.work().exchange(ReceiverStream::new(outgoing)).await.unwrap().into_inner();
    let acquire = |wait_ms| {
        let (sessions, worker_id) = (vec!["shop".to_owned()], "alice".to_owned());
        Request::Acquire(v1::AcquireRequest { sessions, worker_id, wait_ms, ..Default::default() })
    };
    let add = v1::AddItemsRequest { session: "shop".into(), items: vec![item("a")], ..Default::default() };
    let ask = |sequence, request| Ask { sequence, request: Some(request) };

    let asks = vec![
        ask(7, Request::Add(add)),
        ask(8, acquire(0)),
        ask(9, acquire(0)),
        ask(10, acquire(60_000)),
        ask(11, Request::Release(v1::ReleaseRequest::default())),
        Ask { sequence: 12, request: None },
    ];
    frames.send(ExchangeRequest { asks }).await.unwrap();
    let mut told = BTreeMap::new();
    while told.len() < 5 {
        for reply in answers.message().await.unwrap().unwrap().replies {
            assert!(told.insert(reply.sequence, reply.answer.unwrap()).is_none(), "{} twice", reply.sequence);
        }
    }

    assert!(matches!(&told[&7], Answer::Add(added) if added.results().eq([v1::AddResult::Created])));
    assert!(matches!(&told[&8], Answer::Acquire(acquired) if acquired.leases.len() == 1));
    assert!(matches!(&told[&9], Answer::Acquire(acquired) if acquired.leases.is_empty()));
    for refused in [11, 12] {
        assert!(matches!(&told[&refused], Answer::Problem(problem) if problem.code == "value.invalid"));
    }

    session.add(vec![item("b")]).await.unwrap();
    let late = answers.message().await.unwrap().unwrap().replies.pop().unwrap();
    assert_eq!(late.sequence, 10);
    assert!(matches!(late.answer, Some(Answer::Acquire(acquired)) if acquired.leases.len() == 1));
    drop(frames);
    assert_eq!(answers.message().await.unwrap(), None, "the stream ends when the client ends it");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_are_decided_in_the_order_they_were_sent() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    let session = session_with(&client, "shop", &[]).await;
    let frame = |n: u64| {
        let add =
            v1::AddItemsRequest { session: "shop".into(), items: vec![item(&format!("i{n}"))], ..Default::default() };
        ExchangeRequest { asks: vec![Ask { sequence: n, request: Some(Request::Add(add)) }] }
    };

    let frames = futures::stream::iter((0..300).map(frame).collect::<Vec<_>>());
    let mut answers = client.work().exchange(frames).await.unwrap().into_inner();
    let mut told = 0;
    while let Some(answer) = answers.message().await.unwrap() {
        told += answer.replies.len();
    }

    assert_eq!(told, 300);
    let filter = v1::ListItemsRequest { page_size: 300, ..Default::default() };
    let items = session.items(filter).await.unwrap().entries.into_iter().map(|item| item.spec.unwrap().id);
    assert!(items.eq((0..300).map(|n| format!("i{n}"))));
    server.stop().await;
}

#[tokio::test]
async fn a_frame_beyond_its_limit_ends_the_stream_with_the_limit_named() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let client = server.client().await;
    let asks = (0..5_000).map(|sequence| Ask { sequence, request: None }).collect();
    let frames = futures::stream::iter([ExchangeRequest { asks }]);

    let mut answers = client.work().exchange(frames).await.unwrap().into_inner();
    let status = answers.message().await.unwrap_err();

    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    assert!(status.message().contains("4096"), "{}", status.message());
    server.stop().await;
}

#[tokio::test]
async fn a_client_outlives_its_server_and_repeats_what_got_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let (client, impatient, address) = (server.client().await, server.impatient_client().await, server.address);
    let session = session_with(&client, "shop", &["a"]).await;
    let lease = client.acquire(&Acquire::by("alice").from("shop")).await.unwrap().leases.pop().unwrap();
    server.stop().await;

    let told = impatient.session("shop").unwrap().add(vec![item("b")]).await.unwrap_err();
    assert_eq!(told.class(), Class::Unavailable);
    let adding = tokio::spawn(async move { session.add(vec![item("b")]).await });
    let completing = tokio::spawn(lease.complete(None));
    let server = Server::start_at(folder.path(), address).await;

    adding.await.unwrap().unwrap();
    completing.await.unwrap().unwrap();
    let status = tokio::time::timeout(Duration::from_secs(20), client.session("shop").unwrap().status()).await.unwrap();
    assert_eq!(status.map(|status| (status.pending, status.completed)), Ok((1, 1)));
    server.stop().await;
}
