//! Deliveries to a receiver that takes, fails, refuses, asks for time, hangs, and sends elsewhere.

#![expect(clippy::unwrap_used, reason = "a test fails where a step of it does")]

mod receiver;

use capstan_webhook::{Address, AllowList, Courier, Fate, Letter, Mailbox, OpenError, Patience, Webhook};
use receiver::{Receiver, Reply};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Fast enough for a test, and in the same proportions.
const HASTE: Patience = Patience {
    connect: Duration::from_secs(10),
    answer: Duration::from_secs(10),
    rest: Duration::from_millis(20),
    rest_max: Duration::from_millis(100),
    asked_max: Duration::from_millis(1_500),
    give_up: Duration::from_secs(20),
};

fn open(url: &str, patience: Patience) -> Result<Vec<Webhook>, OpenError> {
    let allowed = AllowList::parse(["127.0.0.1"]).unwrap();
    Webhook::open([Address::parse(url).unwrap()], &allowed, "capstan/1.2.3", patience)
}

fn letter(id: &str) -> Letter {
    Letter { id: id.into(), body: format!("{{\"id\":\"{id}\"}}").into(), mark: 7 }
}

/// A courier at work, and the fates it tells.
struct Delivery {
    mailbox: Mailbox,
    fates: mpsc::UnboundedReceiver<(String, Fate)>,
    stop: CancellationToken,
}

impl Delivery {
    fn to(url: &str, patience: Patience) -> Self {
        let webhook = open(url, patience).unwrap().remove(0);
        let (tell, fates) = mpsc::unbounded_channel();
        let tell = move |letter: &Letter, fate| tell.send((letter.id.clone(), fate)).unwrap();
        let (mailbox, courier) = Courier::new(webhook, tell);
        let stop = CancellationToken::new();
        tokio::spawn(courier.run(stop.clone()));
        Self { mailbox, fates, stop }
    }

    async fn fate(&mut self) -> (String, Fate) {
        tokio::time::timeout(Duration::from_secs(30), self.fates.recv()).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_message_arrives_with_its_id_its_kind_and_who_sent_it() {
    let mut receiver = Receiver::start(&[Reply::Status(204, "")]).await;
    let url = format!("http://ann:hunter2@{}/a/path?and=query", receiver.place);
    let mut delivery = Delivery::to(&url, HASTE);

    delivery.mailbox.put(letter("alert-1"));

    let request = receiver.next().await;
    assert_eq!(
        (request.line.as_str(), request.body.as_str()),
        ("POST /a/path?and=query HTTP/1.1", "{\"id\":\"alert-1\"}")
    );
    assert_eq!(request.header("idempotency-key"), "alert-1");
    assert_eq!(request.header("user-agent"), "capstan/1.2.3");
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("authorization"), "Basic YW5uOmh1bnRlcjI=");
    assert_eq!(delivery.fate().await, ("alert-1".into(), Fate::Sent));
}

#[tokio::test]
async fn what_may_pass_is_tried_again_with_the_same_id_until_it_is_taken() {
    let failing = [500, 503, 408, 425, 429].map(|status| Reply::Status(status, ""));
    let replies = [&failing[..], &[Reply::Close, Reply::Status(200, "")]].concat();
    let mut receiver = Receiver::start(&replies).await;
    let mut delivery = Delivery::to(&format!("http://{}/", receiver.place), HASTE);

    delivery.mailbox.put(letter("alert-1"));

    for _ in &replies {
        assert_eq!(receiver.next().await.header("idempotency-key"), "alert-1");
    }
    assert_eq!(delivery.fate().await.1, Fate::Sent);
}

#[tokio::test]
async fn what_will_not_pass_is_not_tried_again() {
    for status in [400, 401, 403, 404, 410, 413] {
        let mut receiver = Receiver::start(&[Reply::Status(status, "")]).await;
        let mut delivery = Delivery::to(&format!("http://{}/", receiver.place), HASTE);

        delivery.mailbox.put(letter("alert-1"));

        assert_eq!(delivery.fate().await.1, Fate::Failed, "{status}");
        receiver.next().await;
        assert!(receiver.is_quiet(), "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let mut elsewhere = Receiver::start(&[Reply::Status(200, "")]).await;
    let there: &'static str = format!("Location: http://{}/\r\n", elsewhere.place).leak();
    for status in [301, 302, 303, 307, 308] {
        let mut receiver = Receiver::start(&[Reply::Status(status, there)]).await;
        let mut delivery = Delivery::to(&format!("http://{}/", receiver.place), HASTE);

        delivery.mailbox.put(letter("alert-1"));

        assert_eq!(delivery.fate().await.1, Fate::Failed, "{status}");
        receiver.next().await;
        assert!(receiver.is_quiet() && elsewhere.is_quiet(), "{status}");
    }
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it_up_to_a_limit() {
    for (asked, least) in [("Retry-After: 1\r\n", 1_000), ("Retry-After: 86400\r\n", 1_500)] {
        let mut receiver = Receiver::start(&[Reply::Status(429, asked), Reply::Status(200, "")]).await;
        let mut delivery = Delivery::to(&format!("http://{}/", receiver.place), HASTE);

        delivery.mailbox.put(letter("alert-1"));
        receiver.next().await;
        let first = Instant::now();
        receiver.next().await;

        // The first was seen a little before its answer left.
        assert!(first.elapsed() >= Duration::from_millis(least - 50), "{asked} {:?}", first.elapsed());
        assert_eq!(delivery.fate().await.1, Fate::Sent);
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_is_left_and_asked_again() {
    let mut receiver = Receiver::start(&[Reply::Hang, Reply::Status(200, "")]).await;
    let patience = Patience { answer: Duration::from_millis(300), ..HASTE };
    let mut delivery = Delivery::to(&format!("http://{}/", receiver.place), patience);

    delivery.mailbox.put(letter("alert-1"));

    receiver.next().await;
    receiver.next().await;
    assert_eq!(delivery.fate().await.1, Fate::Sent);
}

#[tokio::test]
async fn a_body_without_end_is_not_read() {
    let receiver = Receiver::start(&[Reply::Endless]).await;
    let mut delivery = Delivery::to(&format!("http://{}/", receiver.place), HASTE);
    delivery.mailbox.put(letter("alert-1"));
    assert_eq!(delivery.fate().await.1, Fate::Sent);
}

#[tokio::test]
async fn what_nobody_takes_is_given_up_in_time() {
    let patience = Patience { give_up: Duration::from_millis(300), ..HASTE };
    let receiver = Receiver::start(&[Reply::Status(503, "")]).await;
    let mut delivery = Delivery::to(&format!("http://{}/", receiver.place), patience);
    let begun = Instant::now();

    delivery.mailbox.put(letter("alert-1"));

    assert_eq!(delivery.fate().await.1, Fate::Failed);
    assert!(begun.elapsed() < HASTE.give_up, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_newer_message_supersedes_one_that_waits_and_one_that_is_tried_again() {
    let replies = [Reply::Status(503, "Retry-After: 3600\r\n"), Reply::Status(200, "")];
    let mut receiver = Receiver::start(&replies).await;
    let patience = Patience { asked_max: Duration::from_secs(3_600), give_up: Duration::from_secs(7_200), ..HASTE };
    let mut delivery = Delivery::to(&format!("http://{}/", receiver.place), patience);
    delivery.mailbox.put(letter("alert-1"));
    assert_eq!(receiver.next().await.header("idempotency-key"), "alert-1");

    delivery.mailbox.put(letter("warning-2"));
    delivery.mailbox.put(letter("resolved-3"));

    assert_eq!(receiver.next().await.header("idempotency-key"), "resolved-3");
    let mut fates = vec![delivery.fate().await, delivery.fate().await, delivery.fate().await];
    fates.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [("alert-1", Fate::Superseded), ("resolved-3", Fate::Sent), ("warning-2", Fate::Superseded)];
    assert_eq!(fates, expected.map(|(id, fate)| (id.to_owned(), fate)));
}

#[tokio::test]
async fn a_courier_that_is_stopped_drops_what_it_carries_and_says_so() {
    let mut receiver = Receiver::start(&[Reply::Hang]).await;
    let mut delivery = Delivery::to(&format!("http://{}/", receiver.place), Patience::default());
    delivery.mailbox.put(letter("alert-1"));
    receiver.next().await;
    delivery.mailbox.put(letter("alert-2"));

    delivery.stop.cancel();

    assert_eq!(delivery.fate().await, ("alert-1".into(), Fate::Dropped));
    assert_eq!(delivery.fate().await, ("alert-2".into(), Fate::Dropped));
}

#[tokio::test]
async fn a_host_that_is_not_allowed_is_refused_and_only_its_place_is_told() {
    let error = open("http://localhost:9/hunter2?hunter2", HASTE).unwrap_err();
    assert!(matches!(error, OpenError::NotAllowed(_)));
    assert_eq!(error.to_string(), "http://localhost:9 is not among the allowed hosts");
    assert!(!format!("{error:?}").contains("hunter2"));
}
