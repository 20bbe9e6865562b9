//! A standby in front of a leader: whoever asks it gets the leader's answer.

use crate::server::{Server, item};
use capstan_api::{Door, Lines, Standby, standby};
use capstan_client::{Acquire, Client, Error, Options, Policy};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

struct Follower {
    address: SocketAddr,
    door: Door,
    over: CancellationToken,
    closing: CancellationToken,
}

fn knowing(leader: Option<String>) -> Standby {
    let (over, lines) = (CancellationToken::new(), Lines::default());
    Standby { leader, epoch: 7, trouble: None, version: "0.0.0".into(), over, lines }
}

impl Follower {
    async fn of(leader: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (known, closing) = (knowing(leader), CancellationToken::new());
        let over = known.over.clone();
        let door = Door::new(standby(known));
        tokio::spawn(capstan_api::serve(listener, door.clone(), closing.clone()));
        Self { address, door, over, closing }
    }

    async fn client(&self) -> Client {
        let options = Options { retry_for: Duration::ZERO, ..Options::default() };
        Client::connect_with(format!("http://{}", self.address), options).await.unwrap()
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

#[tokio::test]
async fn calls_and_streams_through_a_standby_reach_the_leader() {
    let folder = tempfile::tempdir().unwrap();
    let leader = Server::start(folder.path()).await;
    let follower = Follower::of(Some(leader.url())).await;
    let client = follower.client().await;

    let session = client.create_session("shop", Policy::default()).await.unwrap();
    let mut changes = session.watch(Some(0)).await.unwrap();
    session.add(vec![item("a"), item("b")]).await.unwrap();
    let lease = client.acquire(&Acquire::by("alice").from("shop")).await.unwrap().leases.pop().unwrap();
    lease.complete(None).await.unwrap();

    assert_eq!(leader.client().await.session("shop").unwrap().status().await.unwrap().completed, 1);
    assert_eq!(changes.next().await.unwrap().session, "shop", "the stream comes through");
    drop((changes, client));
    leader.stop().await;
}

#[tokio::test]
async fn a_refusal_of_the_leader_comes_through_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let leader = Server::start(folder.path()).await;
    let follower = Follower::of(Some(leader.url())).await;

    let refused = follower.client().await.session("nowhere").unwrap().get().await.unwrap_err();
    assert!(matches!(&refused, Error::Refused { code, .. } if code == "session.unknown"), "{refused:?}");
    leader.stop().await;
}

#[tokio::test]
async fn a_standby_says_who_leads() {
    let follower = Follower::of(Some("http://127.0.0.1:9".into())).await;
    let ready = follower.get("/health/ready").await;
    assert!(ready.starts_with("HTTP/1.1 200 "), "{ready}");
    for fact in [r#""role":"standby""#, r#""leader":"http://127.0.0.1:9""#, r#""epoch":7"#, r#""status":"ready""#] {
        assert!(ready.contains(fact), "{fact} in {ready}");
    }
    assert!(Follower::of(None).await.get("/health/ready").await.starts_with("HTTP/1.1 503 "));
}

#[tokio::test]
async fn what_cannot_reach_a_leader_has_not_happened_and_is_told_so() {
    // Nothing listens there: the port was free a moment ago.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for leader in [None, Some(format!("http://{gone}"))] {
        let follower = Follower::of(leader).await;
        let answer = follower.get("/api/v1/sessions").await;
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("server.not_leader"), "{answer}");
        let refused = follower.client().await.session("shop").unwrap().get().await.unwrap_err();
        assert!(refused.to_string().contains("ask again"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_leader_that_never_answers_is_given_up_when_another_leads() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let follower = Follower::of(Some(format!("http://{}", silent.local_addr().unwrap()))).await;
    let over = follower.over.clone();
    let asked = async { follower.get("/api/v1/sessions").await };
    let changed = async {
        // It has the request: from here on nobody knows.
        let (mut stream, _) = silent.accept().await.unwrap();
        let mut some = [0; 64];
        assert!(stream.read(&mut some).await.unwrap() > 0);
        over.cancel();
        stream
    };
    let (answer, _stream) = tokio::join!(asked, changed);
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("server.outcome_unknown"), "{answer}");
}

#[tokio::test]
async fn two_standbys_do_not_pass_a_request_to_and_fro() {
    let one = Follower::of(None).await;
    let two = Follower::of(Some(format!("http://{}", one.address))).await;
    one.door.exchange(standby(knowing(Some(format!("http://{}", two.address)))));

    let answer = two.get("/api/v1/sessions").await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("server.not_leader"), "{answer}");
}

#[tokio::test]
async fn a_door_serves_other_routes_from_the_next_request_on() {
    let follower = Follower::of(None).await;
    assert!(follower.get("/health/ready").await.contains("standby"));
    follower.door.exchange(axum::Router::new());
    assert!(follower.get("/health/ready").await.starts_with("HTTP/1.1 404 "));
}
