//! A coordinator over a real embedded journal: what was answered is there after it starts again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use capstan_coordinator::{Coordinator, Failure, Handle, Options, Retention};
use capstan_ids::{ItemId, Millis, SessionName, WorkerId};
use capstan_journal::{EmbeddedJournal, EmbeddedOptions};
use capstan_work::{
    Acquire, Answer, Command, Complete, Conflicts, Grant, Holder, ItemState, NewItem, Policy, Rejection,
};
use std::path::Path;
use std::time::Duration;

fn start(dir: &Path) -> (Coordinator, Handle) {
    let journal = EmbeddedJournal::open(dir, EmbeddedOptions::default()).unwrap();
    let retention = Retention { session_every: 50, keep: 1, held_back_max: 1 << 20, ..Retention::default() };
    Coordinator::start(Box::new(journal), Options { retention, ..Options::default() }).unwrap()
}

fn shop() -> SessionName {
    SessionName::new("shop").unwrap()
}

fn item(number: usize) -> NewItem {
    NewItem::new(ItemId::new(format!("orders/{number}")).unwrap())
}

fn alice() -> WorkerId {
    WorkerId::new("alice").unwrap()
}

async fn open(handle: &Handle, items: usize) {
    let items = (0..items).map(item).collect();
    let command =
        Command::OpenSession { session: shop(), policy: Policy::default(), notes: None, items, gates: vec![] };
    handle.submit(command).await.unwrap();
}

async fn acquire(handle: &Handle) -> Option<Grant> {
    match handle.submit(Command::Acquire(Acquire::from(shop(), alice()))).await.unwrap() {
        Answer::Granted(grants) => grants.into_iter().next(),
        _ => None,
    }
}

fn completion(grant: &Grant) -> Complete {
    Complete::new(shop(), ItemId::new(grant.body.id()).unwrap(), Holder::Token(grant.token))
}

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (coordinator, handle) = start(dir.path());
    open(&handle, 3).await;
    let first = acquire(&handle).await.unwrap();
    let second = acquire(&handle).await.unwrap();
    handle.submit(Command::Complete(completion(&first))).await.unwrap();
    coordinator.stop().await.unwrap();

    let (coordinator, handle) = start(dir.path());
    let counts = handle.read(|state| state.work.session(&shop()).unwrap().counts).await.unwrap();
    assert_eq!(
        (counts.of(ItemState::Completed), counts.of(ItemState::Assigned), counts.of(ItemState::Ready)),
        (1, 1, 1)
    );
    handle.submit(Command::Complete(completion(&second))).await.expect("the lease outlived the server");
    let third = acquire(&handle).await.unwrap();
    assert!(third.token > second.token);
    coordinator.stop().await.unwrap();
}

#[tokio::test]
async fn a_waiting_acquirer_gets_new_work_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (coordinator, handle) = start(dir.path());
    open(&handle, 0).await;
    let waiting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.acquire(Acquire::from(shop(), alice()), Duration::from_secs(30)).await }
    });
    let seen = handle.clone();
    while seen.status().waiting.load(std::sync::atomic::Ordering::Relaxed) == 0 {
        seen.read(|_| ()).await.unwrap();
    }

    let items = vec![item(1)];
    let add = Command::AddItems { session: shop(), items, gates: vec![], conflicts: Conflicts::Refuse };
    handle.submit(add).await.unwrap();

    let acquired = waiting.await.unwrap().unwrap();
    assert!(matches!(acquired.answer, Answer::Granted(grants) if grants.len() == 1));
    coordinator.stop().await.unwrap();
}

#[tokio::test]
async fn a_waiting_acquirer_is_told_why_there_was_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (coordinator, handle) = start(dir.path());
    open(&handle, 0).await;

    let acquired = handle.acquire(Acquire::from(shop(), alice()), Duration::from_millis(50)).await.unwrap();

    assert!(matches!(acquired.answer, Answer::Nothing(_)), "{acquired:?}");
    assert!(acquired.waited >= Duration::from_millis(50));
    coordinator.stop().await.unwrap();
}

#[tokio::test]
async fn a_lease_that_runs_out_wakes_the_next_worker() {
    let dir = tempfile::tempdir().unwrap();
    let (coordinator, handle) = start(dir.path());
    open(&handle, 1).await;
    let short = Acquire { lease: Some(Millis(200)), ..Acquire::from(shop(), alice()) };
    let first = handle.submit(Command::Acquire(short)).await.unwrap();
    let Answer::Granted(first) = first else { panic!("there was work") };

    let next =
        handle.acquire(Acquire::from(shop(), WorkerId::new("bob").unwrap()), Duration::from_secs(10)).await.unwrap();

    let Answer::Granted(next) = next.answer else { panic!("the lease ran out") };
    assert!(next[0].token > first[0].token);
    let late = handle.submit(Command::Complete(completion(&first[0]))).await;
    assert!(matches!(late, Err(Failure::Rejected(Rejection::NotHolder { .. }))), "{late:?}");
    coordinator.stop().await.unwrap();
}

#[tokio::test]
async fn snapshots_shorten_the_log_and_make_the_same_state() {
    let dir = tempfile::tempdir().unwrap();
    let (coordinator, handle) = start(dir.path());
    open(&handle, 500).await;
    for _ in 0..200 {
        let grant = acquire(&handle).await.unwrap();
        handle.submit(Command::Complete(completion(&grant))).await.unwrap();
    }
    while handle.status().snapshots.load(std::sync::atomic::Ordering::Relaxed) == 0 {
        handle.read(|_| ()).await.unwrap();
    }
    let before = handle.read(|state| state.work.items_from(&shop(), 0).unwrap().collect::<Vec<_>>()).await.unwrap();
    coordinator.stop().await.unwrap();

    let (coordinator, handle) = start(dir.path());
    let after = handle.read(|state| state.work.items_from(&shop(), 0).unwrap().collect::<Vec<_>>()).await.unwrap();
    assert_eq!(before, after);
    coordinator.stop().await.unwrap();
}

#[tokio::test]
async fn a_watcher_misses_nothing_and_sees_it_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (coordinator, handle) = start(dir.path());
    let mut live = handle.watch(None, Some(shop())).await.unwrap();
    open(&handle, 20).await;
    for _ in 0..20 {
        let grant = acquire(&handle).await.unwrap();
        handle.submit(Command::Complete(completion(&grant))).await.unwrap();
    }
    let mut late = handle.watch(Some(capstan_ids::Position::new(1)), Some(shop())).await.unwrap();

    let mut seen = Vec::new();
    while seen.len() < 61 {
        seen.push(live.next().await.unwrap());
    }
    let mut again = Vec::new();
    while again.len() < 61 {
        again.push(late.next().await.unwrap());
    }

    assert_eq!(seen, again);
    assert!(seen.windows(2).all(|pair| pair[0].position < pair[1].position));
    coordinator.stop().await.unwrap();
}

#[tokio::test]
async fn two_servers_do_not_share_a_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (coordinator, _handle) = start(dir.path());

    let second = EmbeddedJournal::open(dir.path(), EmbeddedOptions::default());

    assert!(matches!(second, Err(capstan_journal::JournalError::Locked { .. })));
    coordinator.stop().await.unwrap();
}
