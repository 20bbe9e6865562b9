//! Following the log: no gaps, and a word where it cannot be followed.

use crate::stage::*;
use capstan_coordinator::{Change, Retention, StateEvent, Watch, WatchError};
use capstan_ids::Position;
use capstan_work::Event;
use std::sync::atomic::Ordering;

async fn take(watch: &mut Watch, count: usize) -> Vec<Change> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.push(watch.next().await.unwrap());
    }
    taken
}

fn positions(changes: &[Change]) -> Vec<u64> {
    changes.iter().map(|change| change.position.get()).collect()
}

#[tokio::test]
async fn a_watch_has_no_gaps_where_the_log_ends_and_the_window_begins() {
    let server = Stage::new().start().with_items(0).await;
    let batch = |number: usize| add(&shop(), number * 10..(number + 1) * 10);
    for number in 0..50 {
        server.handle.submit(batch(number)).await.unwrap();
    }
    let mut behind = server.handle.watch(Some(position(1)), Some(shop())).await.unwrap();
    let mut live = server.handle.watch(None, None).await.unwrap();
    for number in 50..100 {
        server.handle.submit(batch(number)).await.unwrap();
    }
    let mut late = server.handle.watch(Some(position(600)), None).await.unwrap();

    // 1 is the leader's, 2 the opening, then a thousand items.
    assert_eq!(positions(&take(&mut behind, 1_001).await), (2..=1_002).collect::<Vec<_>>());
    assert_eq!(positions(&take(&mut live, 500).await), (503..=1_002).collect::<Vec<_>>());
    assert_eq!(positions(&take(&mut late, 403).await), (600..=1_002).collect::<Vec<_>>());
    server.stop().await;
}

#[tokio::test]
async fn watchers_who_come_and_go_miss_nothing_in_between() {
    let server = Stage::new().start().with_items(0).await;
    // 1 is the leader's, 2 the opening: who was answered begins behind it.
    let mut next = Position::new(3);
    for number in 0..200 {
        if number % 3 == 0 {
            let mut watch = server.handle.watch(Some(next), Some(shop())).await.unwrap();
            server.handle.submit(add(&shop(), [number])).await.unwrap();
            let change = watch.next().await.unwrap();
            assert_eq!(change.position, next);
            next = watch.position();
        } else {
            server.handle.submit(add(&shop(), [number])).await.unwrap();
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn only_what_is_durable_is_shown() {
    let stage = Stage::new();
    let server = stage.start().with_items(0).await;
    let mut watch = server.handle.watch(None, None).await.unwrap();
    let before = stage.script.offers().len();
    stage.script.hold();
    let adding = server.asked(|handle| async move { handle.submit(add(&shop(), [1])).await }).await;
    stage.script.offered(before + 1).await;

    assert!(!is_done(&mut Box::pin(watch.next())), "it is not durable yet");
    stage.script.let_go();
    adding.await.unwrap().unwrap();

    let change = watch.next().await.unwrap();
    assert!(matches!(change.event, StateEvent::Work(Some(_), Event::ItemAdded { .. })));
    server.stop().await;
}

#[tokio::test]
async fn a_position_that_has_not_come_is_told_with_the_end() {
    let server = Stage::new().start().with_items(3).await;

    let ahead = server.handle.watch(Some(position(100)), None).await.unwrap_err();

    assert!(matches!(ahead, WatchError::Ahead { asked, end } if asked == position(100) && end == position(5)));
    server.stop().await;
}

#[tokio::test]
async fn a_position_that_is_no_longer_kept_is_told_with_where_to_begin() {
    let retention = Retention { session_every: 200, keep: 1, held_back_max: 4_096, ..Retention::default() };
    let stage = Stage { retention, ..Stage::new() };
    let server = stage.start().with_items(0).await;
    let mut number = 0;
    let first = loop {
        server.handle.submit(add(&shop(), number..number + 100)).await.unwrap();
        number += 100;
        server.pass(capstan_ids::Millis::secs(1)).await;
        match server.handle.watch(Some(position(1)), None).await {
            Ok(_) => {}
            Err(WatchError::Dropped { asked, first }) => {
                assert_eq!(asked, position(1));
                break first;
            }
            Err(other) => panic!("{other}"),
        }
    };

    assert!(server.handle.status().snapshots.load(Ordering::Relaxed) > 0);
    let mut watch = server.handle.watch(Some(first), None).await.expect("there is where to begin");
    assert_eq!(watch.next().await.unwrap().position, first);
    server.stop().await;
}

#[tokio::test]
async fn a_watcher_that_is_slow_catches_up_however_far_behind_it_is() {
    let server = Stage::new().start().with_items(0).await;
    let mut slow = server.handle.watch(None, Some(shop())).await.unwrap();
    let notes = "x".repeat(200 << 10);
    let change = |round: usize| capstan_work::Command::UpdateSession {
        session: shop(),
        change: capstan_work::PolicyChange::default(),
        notes: Some(format!("\"{round}{notes}\"").into()),
    };

    // More than the window holds.
    for round in 0..200 {
        server.handle.submit(change(round)).await.unwrap();
    }

    let seen = take(&mut slow, 200).await;
    assert!(seen.windows(2).all(|pair| pair[0].position.plus(1) == pair[1].position));
    server.stop().await;
}
