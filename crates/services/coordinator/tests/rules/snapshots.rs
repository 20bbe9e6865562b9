//! Rules 5 and 9: snapshots beside the work, the log cut behind them, and damage passed over.

use crate::stage::*;
use capstan_coordinator::{Retention, StartError};
use capstan_ids::{Millis, Position};
use capstan_journal::Journal;
use capstan_work::{Command, ItemView};
use std::sync::atomic::Ordering;

fn often() -> Stage {
    let retention = Retention { session_every: 100, keep: 2, held_back_max: 4_096, ..Retention::default() };
    Stage { retention, ..Stage::new() }
}

async fn items(server: &Server) -> Vec<ItemView> {
    server.handle.read(|state| state.work.items_from(&shop(), 0).unwrap().collect()).await.unwrap()
}

/// Works until so many snapshots are finished, with commands between all steps of each.
async fn work_until_snapshots(server: &Server, count: u64, mut number: usize) -> usize {
    while server.handle.status().snapshots.load(Ordering::Relaxed) < count {
        server.handle.submit(add(&shop(), number..number + 10)).await.unwrap();
        let grant = server.acquire().await;
        server.handle.submit(complete(&grant)).await.unwrap();
        number += 10;
        server.pass(Millis(100)).await;
    }
    number
}

/// Lets the owner turn until the shop has two snapshots and no more, and the log behind them is cut.
async fn housekeeping_is_done(server: &Server) {
    let is_whole = |name: &String| name.starts_with("snapshots/work.shop@") && name.ends_with(".snapshot");
    for _ in 0..50_000 {
        server.pass(Millis(20)).await;
        let names = server.stage.disk.names();
        let is_cut = !names.iter().any(|name| name == "log/00000000000000000001.segment");
        if is_cut && names.iter().filter(|name| is_whole(name)).count() == 2 {
            return;
        }
    }
    panic!("there are {:?}", server.stage.disk.names());
}

/// The positions of the shop's snapshots, the oldest first.
fn shop_snapshots(stage: &Stage) -> Vec<Position> {
    let all = stage.journal().snapshots().unwrap();
    let mut positions: Vec<_> =
        all.iter().filter(|info| info.stream.as_str() == "work/shop").map(|info| info.position).collect();
    positions.sort_unstable();
    positions
}

#[tokio::test]
async fn snapshots_taken_while_work_goes_on_and_the_log_behind_them_make_the_same_state() {
    let stage = often();
    let server = stage.start().with_items(10).await;
    work_until_snapshots(&server, 4, 10).await;
    housekeeping_is_done(&server).await;
    let before = items(&server).await;
    server.stop().await;
    assert!(stage.journal().tail().unwrap().first > Position::new(1), "the log was cut");
    assert_eq!(shop_snapshots(&stage).len(), 2);

    let server = stage.start();

    assert_eq!(items(&server).await, before);
    server.handle.read(|state| state.check().unwrap()).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_damaged_newest_snapshot_is_passed_over_with_all_that_was_read_of_it() {
    let stage = often();
    let server = stage.start().with_items(10).await;
    let number = work_until_snapshots(&server, 4, 10).await;
    // Leases and groups in the snapshot: what is read of it before its damage must leave no trace.
    server.acquire().await;
    work_until_snapshots(&server, 5, number).await;
    housekeeping_is_done(&server).await;
    let before = items(&server).await;
    server.stop().await;
    let newest = *shop_snapshots(&stage).last().unwrap();
    stage.script.damage_snapshots(newest);

    let server = stage.start();

    assert_eq!(items(&server).await, before);
    server.handle.read(|state| state.check().unwrap()).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_session_without_a_readable_snapshot_and_without_a_beginning_is_not_made_up() {
    let stage = often();
    let server = stage.start().with_items(10).await;
    work_until_snapshots(&server, 4, 10).await;
    housekeeping_is_done(&server).await;
    server.stop().await;
    for position in shop_snapshots(&stage) {
        stage.script.damage_snapshots(position);
    }

    assert!(matches!(stage.try_start(), Err(StartError::Recovery(error)) if error.to_string().contains("work/shop")));
}

#[tokio::test]
async fn a_log_without_any_snapshot_is_enough() {
    let stage = Stage::new();
    let server = stage.start().with_items(50).await;
    let grant = server.acquire().await;
    server.handle.submit(complete(&grant)).await.unwrap();
    let before = items(&server).await;
    server.stop().await;
    assert_eq!(stage.journal().snapshots().unwrap(), []);

    let server = stage.start();
    assert_eq!(items(&server).await, before);
    server.stop().await;
}

#[tokio::test]
async fn a_deleted_session_holds_nothing_back_and_does_not_come_back() {
    let stage = often();
    let server = stage.start().with_items(10).await;
    let number = work_until_snapshots(&server, 3, 10).await;
    server.handle.submit(Command::DeleteSession { session: shop() }).await.unwrap();
    let other = named("other");
    server.open(&other, 0).await;
    // The end of the deleted one is still in the log when its snapshots have gone.
    server.pass(Millis::secs(2)).await;
    server.pass(Millis::secs(2)).await;
    server.handle.submit(add(&other, [number])).await.unwrap();
    server.stop().await;
    assert_eq!(shop_snapshots(&stage), []);

    let server = stage.start();
    assert!(server.handle.read(|state| !state.work.has_session(&shop())).await.unwrap());
    server.open(&shop(), 3).await;
    server.stop().await;

    let server = stage.start();
    assert_eq!(items(&server).await.len(), 3, "made again, it is a new one");
    server.stop().await;
}
