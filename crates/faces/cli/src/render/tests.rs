//! What people and scripts see.

use super::*;
use capstan_client::{Item, v1};
use prost_types::Timestamp;

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: 1_769_860_800 + seconds, nanos: 250_000_000 })
}

fn spec() -> Item {
    Item {
        id: "orders/0".into(),
        kind: "dump".into(),
        index_name: "orders".into(),
        shard_number: 3,
        document_count: 1_000,
        groups: vec!["unit".into()],
        waits_for: vec![v1::WaitsFor { awaited: Some(v1::waits_for::Awaited::ItemId("plan".into())) }],
        payload: Some(r#"{"db":"shop"}"#.into()),
        ..Item::default()
    }
}

fn held_item() -> v1::Item {
    v1::Item {
        session: "shop".into(),
        number: 4,
        spec: Some(spec()),
        state: v1::ItemState::Assigned as i32,
        worker_id: Some("alice".into()),
        token: Some(41),
        lease_granted_at: at(0),
        lease_expires_at: at(300),
        attempts: 1,
        progress: Some(v1::Progress { documents: 400, bytes: 90_000 }),
        checkpoint: Some("chunk 4".into()),
        last_error: Some("timed out\nat line 2".into()),
        created_at: at(-60),
        started_at: at(0),
        ..v1::Item::default()
    }
}

fn a_status() -> v1::SessionStatus {
    v1::SessionStatus {
        session: "shop".into(),
        state: v1::SessionState::Paused as i32,
        reason: Some("item orders/0 has failed".into()),
        pending: 2,
        assigned: 1,
        completed: 7,
        failed: 1,
        total: 11,
        expected: Some(v1::Progress { documents: 11_000, bytes: 1 }),
        done: Some(v1::Progress { documents: 7_400, bytes: 1 }),
        limits: vec![v1::LimitStatus { name: "dump".into(), most: Some(4), live: 1, ready: 2 }],
        ..v1::SessionStatus::default()
    }
}

#[test]
fn an_item_as_json_has_these_fields() {
    insta::assert_snapshot!(format!("{:#}", item(&held_item())));
}

#[test]
fn items_as_a_table_have_these_columns() {
    insta::assert_snapshot!(items(&[held_item()]).text(false));
}

#[test]
fn a_lease_as_json_has_these_fields() {
    let lease = v1::Lease {
        session: "shop".into(),
        item: Some(spec()),
        token: 41,
        lease_ms: 300_000,
        lease_expires_at: at(300),
        attempt: 1,
        created_at: at(-60),
        started_at: at(0),
        ..v1::Lease::default()
    };
    insta::assert_snapshot!(format!("{:#}", told(std::slice::from_ref(&lease))));
    insta::assert_snapshot!(leases(&[lease]).text(false));
}

#[test]
fn a_status_as_json_and_as_a_table() {
    insta::assert_snapshot!(format!("{:#}", status(&a_status())));
    insta::assert_snapshot!(status_of_all([&a_status()]).text(false));
}

#[test]
fn rules_as_json_say_unlimited_in_words() {
    let rules = v1::Policy {
        lease_ms: Some(300_000),
        attempts: Some(0),
        backoff: Some(v1::Backoff { initial_ms: 1_000, cap_ms: 60_000 }),
        limits: vec![v1::Limit { name: "dump".into(), value: 4 }],
        keep_all_completed: true,
        ..v1::Policy::default()
    };
    insta::assert_snapshot!(format!("{:#}", session::policy(&rules)));
}

#[test]
fn a_worker_has_a_row_for_each_lease_it_holds() {
    let now = jiff::Timestamp::from_second(1_769_860_800 + 90).unwrap();
    let held = |item: &str| v1::Holding { item_id: item.into(), token: 41, since: at(0), ..Default::default() };
    let worker = |name: &str, holds| v1::Worker {
        session: "shop".into(),
        worker_id: name.into(),
        holds,
        done: 3,
        last_seen_at: at(60),
        ..v1::Worker::default()
    };
    let (_, table) = workers(&[worker("alice", vec![held("a"), held("b")]), worker("bob", vec![])], now);
    insta::assert_snapshot!(table.text(false));
}
