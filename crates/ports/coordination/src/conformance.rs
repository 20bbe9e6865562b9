//! The suite that every implementation passes: each function is one claim, and panics where it does not hold.
//!
//! An implementation's tests make a [`Stage`] of it and call [`run`].

#![expect(clippy::unwrap_used, reason = "a suite panics where its claim does not hold")]

use crate::{Acquire, Coordination, CoordinationError, Fault, Holding, Leased, News, Outcome, Progress, Successor};
use async_trait::async_trait;
use capstan_ids::{IdempotencyKey, ItemId, Kind, SessionName, Token, WorkerId};
use std::time::Duration;

/// Long enough for whatever must happen by itself; reached only by a suite that fails.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the suite needs beside the port: sessions to work in, and somebody who takes leases back.
#[async_trait]
pub trait Stage: Sync {
    /// The implementation.
    fn coordination(&self) -> &dyn Coordination;

    /// Opens a session with leases from 100 ms, four attempts without back-off, and these items.
    async fn open(&self, session: &SessionName, items: Vec<Successor>);

    /// Pauses a session at once: every lease in it is revoked.
    async fn revoke(&self, session: &SessionName);

    /// Lets a paused session go on.
    async fn resume(&self, session: &SessionName);
}

/// Runs all of it. Sessions are named `conformance-…` and must not exist.
pub async fn run(stage: &dyn Stage) {
    an_item_goes_to_one_worker_with_everything_its_maker_said(stage).await;
    a_repeated_acquire_under_one_key_gives_the_same_lease(stage).await;
    a_completion_may_be_repeated_and_is_final(stage).await;
    successors_come_with_the_completion_or_not_at_all(stage).await;
    a_failed_attempt_comes_back_with_its_checkpoint_and_is_counted(stage).await;
    a_released_item_keeps_its_checkpoint_and_counts_no_attempt(stage).await;
    a_permanent_failure_ends_the_item(stage).await;
    a_lease_that_ran_out_changes_nothing_any_more(stage).await;
    a_revoked_lease_is_told_so_and_is_free_once_released(stage).await;
    an_empty_session_answers_with_nothing(stage).await;
    an_item_without_a_job_has_no_brief(stage).await;
}

/// Briefs are a job's.
pub async fn an_item_without_a_job_has_no_brief(stage: &dyn Stage) {
    let work = Work::open(stage, "brief", 1).await;
    let held = work.take("alice").await.holding;

    let answer = work.calls().brief(&held, 0).await;

    assert!(matches!(answer, Err(CoordinationError::Refused { .. })), "{answer:?}");
}

/// The answer to a request that nothing can be found for is empty.
pub async fn an_empty_session_answers_with_nothing(stage: &dyn Stage) {
    let work = Work::open(stage, "empty", 0).await;

    assert_eq!(work.acquire("alice").await, None);
}

/// C2.
pub async fn an_item_goes_to_one_worker_with_everything_its_maker_said(stage: &dyn Stage) {
    let work = Work::open(stage, "maker", 2).await;

    let first = work.take("alice").await;
    let second = work.take("bob").await;

    assert_ne!(first.holding.item, second.holding.item);
    assert!(first.holding.token < second.holding.token, "tokens grow with every grant");
    assert_eq!(first.kind.as_str(), "dump");
    assert_eq!((&*first.collection, first.part), ("shop.orders", 7));
    assert_eq!(first.expected, Progress { documents: 10, bytes: 1_000 });
    assert_eq!(first.payload.as_deref(), Some(r#"{"chunk":7}"#));
    assert_eq!((first.attempt, first.checkpoint.as_deref()), (1, None));
    assert!(first.lease >= Duration::from_millis(100));
    assert_eq!(work.acquire("carol").await, None, "both are held");
}

/// C3 for acquire.
pub async fn a_repeated_acquire_under_one_key_gives_the_same_lease(stage: &dyn Stage) {
    let work = Work::open(stage, "key", 2).await;
    let wish = Acquire { key: Some(IdempotencyKey::new("k1").unwrap()), ..work.wish("alice") };

    let first = work.calls().acquire(&wish).await.unwrap();
    let again = work.calls().acquire(&wish).await.unwrap();

    assert_eq!(first.len(), 1);
    assert_eq!(again[0].holding, first[0].holding);
}

/// C3 for complete.
pub async fn a_completion_may_be_repeated_and_is_final(stage: &dyn Stage) {
    let work = Work::open(stage, "complete", 1).await;
    let held = work.take("alice").await.holding;
    let outcome = Outcome { result: Some(r#"{"documents":10}"#.into()), ..Outcome::default() };

    work.calls().complete(&held, &outcome).await.unwrap();
    work.calls().complete(&held, &outcome).await.unwrap();

    let stranger = Holding { token: Token::from_wire(held.token.get() + 1_000_000), ..held.clone() };
    assert!(work.calls().complete(&stranger, &outcome).await.is_err());
    assert_eq!(work.acquire("bob").await, None);
}

/// C6.
pub async fn successors_come_with_the_completion_or_not_at_all(stage: &dyn Stage) {
    let work = Work::open(stage, "successors", 1).await;
    let held = work.take("alice").await.holding;
    let successor = |id: &str| Successor::new(ItemId::new(id).unwrap(), Kind::new("restore").unwrap());
    let itself = Outcome { successors: vec![successor("rest"), successor(held.item.as_str())], ..Outcome::default() };
    let rest = Outcome { successors: vec![successor("rest")], ..Outcome::default() };

    let refused = work.calls().complete(&held, &itself).await.unwrap_err();
    assert!(matches!(refused, CoordinationError::Refused { .. }), "{refused:?}");
    assert_eq!(work.acquire("bob").await, None, "a refused completion makes nothing");

    work.calls().complete(&held, &rest).await.unwrap();
    let next = work.take("bob").await;
    assert_eq!((next.holding.item.as_str(), next.kind.as_str()), ("rest", "restore"));
}

/// A checkpoint given with a failure is there for the next attempt.
pub async fn a_failed_attempt_comes_back_with_its_checkpoint_and_is_counted(stage: &dyn Stage) {
    let work = Work::open(stage, "fail", 1).await;
    let held = work.take("alice").await.holding;
    let fault = Fault { error: "disk on fire".into(), checkpoint: Some("half".into()), ..Fault::default() };

    work.calls().fail(&held, &fault).await.unwrap();
    let again = work.calls().fail(&held, &fault).await;
    assert!(matches!(again, Ok(()) | Err(CoordinationError::LeaseLost { .. })), "taken before: {again:?}");

    let next = work.take("bob").await;
    assert_eq!((next.attempt, next.checkpoint.as_deref()), (2, Some("half")));
}

/// C1 and C3 for renew and release.
pub async fn a_released_item_keeps_its_checkpoint_and_counts_no_attempt(stage: &dyn Stage) {
    let work = Work::open(stage, "release", 1).await;
    let held = work.take("alice").await.holding;
    let at = |documents, checkpoint: &str| News {
        progress: Some(Progress { documents, bytes: documents * 100 }),
        checkpoint: Some(checkpoint.into()),
    };

    let length = work.calls().renew(&held, &at(3, "third")).await.unwrap();
    assert!(length >= Duration::from_millis(100));
    work.calls().release(&held, &at(4, "fourth")).await.unwrap();

    let next = work.take("bob").await;
    assert_eq!((next.attempt, next.checkpoint.as_deref(), next.progress.documents), (1, Some("fourth"), 4));
}

/// Nothing tries a permanent failure again.
pub async fn a_permanent_failure_ends_the_item(stage: &dyn Stage) {
    let work = Work::open(stage, "permanent", 1).await;
    let held = work.take("alice").await.holding;

    work.calls()
        .fail(&held, &Fault { error: "no such host".into(), permanent: true, ..Fault::default() })
        .await
        .unwrap();

    assert_eq!(work.acquire("bob").await, None);
}

/// C2: a worker that was away too long.
pub async fn a_lease_that_ran_out_changes_nothing_any_more(stage: &dyn Stage) {
    let work = Work::open(stage, "expiry", 1).await;
    let short = Acquire { lease: Some(Duration::from_millis(100)), ..work.wish("alice") };
    let late = work.calls().acquire(&short).await.unwrap().remove(0);

    let next = work.take_in_time("bob").await;

    assert_eq!(next.holding.item, late.holding.item);
    assert!(next.holding.token > late.holding.token);
    for answer in [
        work.calls().renew(&late.holding, &News::default()).await.map(drop),
        work.calls().complete(&late.holding, &Outcome::default()).await,
        work.calls().release(&late.holding, &News::default()).await,
        work.calls().fail(&late.holding, &Fault::default()).await,
    ] {
        assert!(matches!(answer, Err(CoordinationError::LeaseLost { .. })), "{answer:?}");
    }
    work.calls().complete(&next.holding, &Outcome::default()).await.unwrap();
}

/// C5.
pub async fn a_revoked_lease_is_told_so_and_is_free_once_released(stage: &dyn Stage) {
    let work = Work::open(stage, "revoked", 1).await;
    let held = work.take("alice").await.holding;

    stage.revoke(&work.session).await;
    let told = work.calls().renew(&held, &News::default()).await;
    assert!(matches!(told, Err(CoordinationError::Revoked { .. })), "{told:?}");
    stage.resume(&work.session).await;
    assert_eq!(work.acquire("bob").await, None, "telling is not acknowledging");
    let news = News { checkpoint: Some("so far".into()), ..News::default() };
    work.calls().release(&held, &news).await.unwrap();

    let next = work.take("bob").await;
    assert_eq!((next.attempt, next.checkpoint.as_deref()), (1, Some("so far")));
}

/// A session of the suite.
struct Work<'a> {
    stage: &'a dyn Stage,
    session: SessionName,
}

impl<'a> Work<'a> {
    async fn open(stage: &'a dyn Stage, name: &str, items: usize) -> Self {
        let session = SessionName::new(format!("conformance-{name}")).expect("names of the suite are valid");
        let items = (0..items).map(|number| Successor {
            collection: "shop.orders".into(),
            part: 7,
            expected: Progress { documents: 10, bytes: 1_000 },
            payload: Some(r#"{"chunk":7}"#.into()),
            ..Successor::new(ItemId::new(format!("item/{number}")).expect("short"), Kind::new("dump").expect("plain"))
        });
        stage.open(&session, items.collect()).await;
        Self { stage, session }
    }

    fn calls(&self) -> &'a dyn Coordination {
        self.stage.coordination()
    }

    fn wish(&self, worker: &str) -> Acquire {
        let worker = WorkerId::new(worker).expect("names of the suite are valid");
        Acquire { sessions: vec![self.session.clone()], ..Acquire::any(worker) }
    }

    async fn acquire(&self, worker: &str) -> Option<Leased> {
        let mut leased = self.calls().acquire(&self.wish(worker)).await.expect("the coordinator answers");
        assert!(leased.len() <= 1, "one was asked for");
        leased.pop()
    }

    async fn take(&self, worker: &str) -> Leased {
        self.acquire(worker).await.expect("there is work")
    }

    async fn take_in_time(&self, worker: &str) -> Leased {
        let wish = Acquire { wait: PATIENCE, ..self.wish(worker) };
        self.calls().acquire(&wish).await.expect("the coordinator answers").pop().expect("work came in time")
    }
}
