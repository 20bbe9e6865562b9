//! Long polls: who waits, for how long, and who gets what.

use crate::stage::*;
use capstan_coordinator::{Acquired, Failure};
use capstan_ids::{Kind, LimitName, Millis, Token};
use capstan_work::{Acquire, Answer, Command, ItemState, LimitValue, NewItem};
use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

fn tokens(acquired: &Acquired) -> Vec<Token> {
    match &acquired.answer {
        Answer::Granted(grants) => grants.iter().map(|grant| grant.token).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_granted_wait_says_how_long_it_was() {
    let server = Stage::new().start().with_items(0).await;
    let waiting = server.wait(for_alice()).await;

    server.pass(Millis::secs(5)).await;
    server.handle.submit(add(&shop(), [1])).await.unwrap();

    let acquired = waiting.await.unwrap().unwrap();
    assert_eq!((tokens(&acquired).len(), acquired.waited), (1, Duration::from_secs(5)));
    server.stop().await;
}

#[tokio::test]
async fn many_who_wait_in_many_lines_get_each_thing_once() {
    let server = Stage::new().start();
    let sessions: Vec<_> = (0..100).map(|number| named(&format!("s-{number}"))).collect();
    for session in &sessions {
        server.open(session, 0).await;
    }
    let mut waiting = Vec::new();
    for round in 0..3 {
        for session in &sessions {
            let asking = Acquire::from(session.clone(), worker(&format!("w-{round}")));
            waiting.push(server.wait(asking).await);
        }
        waiting.push(server.wait(Acquire::any(worker("anybody"))).await);
    }

    for session in &sessions {
        server.handle.submit(add(session, 0..3)).await.unwrap();
    }
    for left in 3..6 {
        server.handle.submit(add(&sessions[0], [left])).await.unwrap();
    }

    let mut all = BTreeSet::new();
    for acquired in waiting {
        for token in tokens(&acquired.await.unwrap().unwrap()) {
            assert!(all.insert(token), "{token:?} was given twice");
        }
    }
    assert_eq!(all.len(), 303);
    server.handle.read(|state| state.check().unwrap()).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn room_under_a_limit_that_sessions_share_goes_to_who_waits_in_another() {
    let server = Stage::new().start().with_items(1).await;
    let other = named("other");
    server.open(&other, 1).await;
    let limit = Command::SetLimit { session: None, name: LimitName::new("global").unwrap(), value: LimitValue::new(1) };
    server.handle.submit(limit).await.unwrap();
    let grant = server.acquire().await;
    let waiting = server.wait(Acquire::from(other, worker("bob"))).await;

    server.handle.submit(complete(&grant)).await.unwrap();

    assert_eq!(tokens(&waiting.await.unwrap().unwrap()).len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn who_can_do_other_kinds_does_not_stand_in_the_way() {
    let server = Stage::new().start().with_items(0).await;
    let dump = Kind::new("dump").unwrap();
    let first = server.wait(for_alice()).await;
    let dumper = Acquire { kinds: vec![dump.clone()], ..for_alice() };
    let plain = server.wait(Acquire { kinds: vec![Kind::backfill()], ..for_alice() }).await;
    let dumping = server.wait(dumper).await;
    let items = vec![item(1), item(2), NewItem { kind: dump, ..item(3) }];
    let adding =
        Command::AddItems { session: shop(), items, gates: vec![], conflicts: capstan_work::Conflicts::Refuse };

    server.handle.submit(adding).await.unwrap();

    for waiting in [first, plain, dumping] {
        assert_eq!(tokens(&waiting.await.unwrap().unwrap()).len(), 1);
    }
    server.stop().await;
}

#[tokio::test]
async fn whoever_has_gone_away_is_granted_nothing() {
    let stage = Stage::new();
    let server = stage.start().with_items(0).await;
    let waiting = server.wait(for_alice()).await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    // One more goes away before the owner has heard of it.
    let before = stage.script.offers().len();
    stage.script.hold();
    let adding = server.asked(|handle| async move { handle.submit(add(&shop(), [1])).await }).await;
    stage.script.offered(before + 1).await;
    let unheard = server.asked(|handle| async move { handle.acquire(for_alice(), Duration::ZERO).await }).await;
    unheard.abort();
    assert!(unheard.await.unwrap_err().is_cancelled());

    stage.script.let_go();
    adding.await.unwrap().unwrap();

    assert_eq!(server.count(ItemState::Ready).await, 1);
    server.stop().await;
}

#[tokio::test]
async fn one_more_than_may_wait_is_turned_away_until_some_have_gone() {
    const WAITERS_MAX: usize = 100_000;
    let server = Stage { queue: WAITERS_MAX + 1, ..Stage::new() }.start().with_items(0).await;
    let mut waiting = Vec::with_capacity(WAITERS_MAX);
    for _ in 0..WAITERS_MAX {
        let mut one = Box::pin(server.handle.acquire(for_alice(), Duration::from_secs(30)));
        assert!(!is_done(&mut one));
        waiting.push(one);
    }

    let one_more = server.handle.acquire(for_alice(), Duration::from_secs(30)).await;
    assert!(matches!(one_more, Err(Failure::Overloaded { retry_after }) if !retry_after.is_zero()), "{one_more:?}");

    waiting.truncate(10);
    server.pass(Millis::secs(1)).await;
    let handle = server.handle.clone();
    let mut in_place = pin!(handle.acquire(for_alice(), Duration::from_secs(30)));
    assert!(!is_done(&mut in_place));
    server.look().await;
    assert_eq!(server.handle.status().waiting.load(std::sync::atomic::Ordering::Relaxed), 11);
    drop(waiting);
    server.handle.submit(add(&shop(), [1])).await.unwrap();
    assert_eq!(tokens(&in_place.await.unwrap()).len(), 1);
    server.stop().await;
}
