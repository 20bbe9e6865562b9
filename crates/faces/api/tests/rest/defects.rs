//! The eleven defects of the reference implementation: each is a test here.

use crate::world::{ITEMS, V1, World, item};
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use std::collections::HashSet;

#[tokio::test]
async fn defect_1_an_item_with_times_can_be_stored_and_read_back() {
    let world = World::with_shop().await;
    let made = world.post(ITEMS, item("a")).await.with(201);
    assert_eq!(world.get(&format!("{ITEMS}/a")).await.with(200), made);
}

#[tokio::test]
async fn defect_2_nothing_to_acquire_is_404_and_not_500() {
    let world = World::with_shop().await;
    world.get(&format!("{ITEMS}/acquire?worker_id=w")).await.with(404);
}

#[tokio::test]
async fn defect_3_successors_are_made_with_the_completion_or_it_is_refused_whole() {
    let world = World::with_items(&["a", "taken"]).await;
    world.acquire("w").await;
    let path = format!("{ITEMS}/a/complete");

    let refused = json!({ "worker_id": "w", "successors": [item("a2"), item("taken")] });
    world.put(&path, refused).await.with(422);
    assert_eq!(world.get(&format!("{ITEMS}/a")).await.json()["status"], json!("assigned"));
    world.get(&format!("{ITEMS}/a2")).await.with(404);

    world.put(&path, json!({ "worker_id": "w", "successors": [item("a2"), item("a3")] })).await.with(200);
    for id in ["a2", "a3"] {
        assert_eq!(world.get(&format!("{ITEMS}/{id}")).await.with(200)["status"], json!("pending"));
    }
    world.put(&path, json!({ "worker_id": "w", "successors": [item("a4")] })).await.with(409);
    world.get(&format!("{ITEMS}/a4")).await.with(404);
}

#[tokio::test]
async fn defect_4_no_two_workers_get_one_item_and_no_update_is_lost() {
    let world = World::with_shop().await;
    let items: Vec<_> = (0..50).map(|number| item(&format!("i{number}"))).collect();
    world.post(&format!("{ITEMS}/batch"), json!(items)).await.with(201);

    let acquirers = (0..60).map(|number| {
        let router = world.router.clone();
        tokio::spawn(async move {
            let request = Request::get(format!("{ITEMS}/acquire?worker_id=w{number}")).body(Body::empty()).unwrap();
            let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
            let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            serde_json::from_slice::<Value>(&bytes).unwrap()
        })
    });
    let mut granted = HashSet::new();
    let mut turned_away = 0;
    for acquirer in acquirers.collect::<Vec<_>>() {
        match acquirer.await.unwrap()["work_item"]["work_item_id"].as_str() {
            Some(id) => assert!(granted.insert(id.to_owned()), "{id} was granted twice"),
            None => turned_away += 1,
        }
    }

    assert_eq!((granted.len(), turned_away), (50, 10));
    assert_eq!(world.get(&format!("{ITEMS}/status")).await.json()["assigned_work_items"], json!(50));
}

#[tokio::test]
async fn defect_5_a_lost_reply_to_acquire_can_be_asked_for_again_and_no_cache_answers_it() {
    let world = World::with_items(&["a", "b"]).await;
    let by_header = || {
        let request = Request::get(format!("{ITEMS}/acquire?worker_id=w")).header("idempotency-key", "first");
        world.send(request.body(Body::empty()).unwrap())
    };

    let first = by_header().await;
    let repeat = by_header().await;
    let by_query = world.get(&format!("{ITEMS}/acquire?worker_id=w&idempotency_key=first")).await;
    let another = world.acquire("w").await;

    assert_eq!(first.headers["cache-control"], "no-store");
    assert_eq!(first.json()["token"], repeat.json()["token"]);
    assert_eq!(first.json()["token"], by_query.json()["token"]);
    assert_eq!(another["work_item"]["work_item_id"], json!("b"));
}

#[tokio::test]
async fn defect_6_attempts_failures_priorities_and_long_polls_exist_beside_the_contract() {
    let world = World::with_shop().await;
    world.post(&format!("{V1}/items"), json!({ "id": "low" })).await.with(201);
    world.post(&format!("{V1}/items"), json!({ "id": "high", "priority": 5 })).await.with(201);

    let lease = world.lease("w").await;
    assert_eq!((&lease["id"], &lease["attempt"]), (&json!("high"), &json!(1)));
    let failed = json!({ "token": lease["token"], "error": "the disk is full" });
    let returned = world.post(&format!("{V1}/items/high/fail"), failed).await.with(200);
    assert_eq!((&returned["state"], &returned["attempts"]), (&json!("pending"), &json!(1)));
    assert_eq!(world.get(&format!("{V1}/items/high")).await.json()["last_error"], json!("the disk is full"));
    let again = world.lease("w").await;
    assert_eq!((&again["id"], &again["attempt"]), (&json!("high"), &json!(2)));

    world.lease("w").await;
    let waiting = tokio::spawn({
        let router = world.router.clone();
        async move {
            let body = json!({ "worker_id": "w", "wait_ms": 30_000 }).to_string();
            let request = Request::post(format!("{V1}/acquire")).body(Body::from(body)).unwrap();
            let response = tower::ServiceExt::oneshot(router, request).await.unwrap();
            let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            serde_json::from_slice::<Value>(&bytes).unwrap()
        }
    });
    world.post(ITEMS, item("new")).await.with(201);
    assert_eq!(waiting.await.unwrap()["leases"][0]["id"], json!("new"));
}

#[tokio::test]
async fn defect_7_totals_reach_100_percent_when_all_is_done() {
    let world = World::with_items(&["a", "b"]).await;
    for id in ["a", "b"] {
        world.acquire("w").await;
        world.put(&format!("{ITEMS}/{id}/complete"), json!("w")).await.with(200);
    }
    let status = world.get(&format!("{ITEMS}/status")).await.with(200);
    assert_eq!(status["total_documents_processed"], status["total_documents"]);
    assert_eq!(status["total_bytes_processed"], status["total_size_bytes"]);
}

#[tokio::test]
async fn defect_8_completed_is_final() {
    let world = World::with_items(&["a"]).await;
    world.acquire("w").await;
    let done = world.put(&format!("{ITEMS}/a/complete"), json!("w")).await.with(200);
    world.pass(60);

    world.put(&format!("{ITEMS}/a/lease"), json!({ "worker_id": "w" })).await.with(409);
    assert_eq!(
        world.put(&format!("{ITEMS}/a/complete"), json!("w")).await.with(200),
        done,
        "its own repeat answers the same"
    );
    world.put(&format!("{ITEMS}/a/complete"), json!("v")).await.with(409);
    assert_eq!(world.get(&format!("{ITEMS}/a")).await.with(200), done);
}

#[tokio::test]
async fn defect_9_bytes_beyond_two_gibibytes_and_any_id_go_through() {
    let world = World::with_shop().await;
    for id in ["$all", "a/b", "with space", "status", "acquire"] {
        world.post(ITEMS, item(id)).await.with(201);
    }
    let acquired = world.acquire("w").await;
    let body =
        json!({ "worker_id": "w", "progress": { "documents_processed": 9, "bytes_processed": 4_294_967_301_u64 } });
    let renewed = world.put(&format!("{ITEMS}/$all/lease"), body).await.with(200);

    assert_eq!(acquired["work_item"]["work_item_id"], json!("$all"));
    assert_eq!(renewed["bytes_processed"], json!(4_294_967_301_u64));
    for id in ["status", "acquire"] {
        assert_eq!(world.get(&format!("{ITEMS}/?id={id}")).await.with(200)["work_item_id"], json!(id));
    }
}

#[tokio::test]
async fn defect_10_deleting_a_session_deletes_its_items_and_revokes_their_leases() {
    let world = World::with_items(&["a"]).await;
    world.acquire("w").await;
    world.delete("/sessions/shop").await.with(200);
    world.get(ITEMS).await.with(404);
    world.put(&format!("{ITEMS}/a/lease"), json!({ "worker_id": "w" })).await.with(404);

    world.post("/sessions/", json!({ "name": "shop" })).await.with(201);
    assert_eq!(world.get(ITEMS).await.with(200), json!([]));
}

#[tokio::test]
async fn defect_11_a_worker_that_sends_its_token_is_told_from_its_restarted_self() {
    let world = World::with_items(&["a"]).await;
    let before = world.acquire("w").await;
    world.pass(301);
    let after = world.acquire("w").await;
    assert!(after["token"].as_u64() > before["token"].as_u64());
    let path = format!("{ITEMS}/a/lease");

    world.put(&path, json!({ "worker_id": "w", "token": before["token"] })).await.with(409);
    world.put(&format!("{ITEMS}/a/complete"), json!({ "worker_id": "w", "token": before["token"] })).await.with(409);
    world.put(&path, json!({ "worker_id": "w", "token": after["token"] })).await.with(200);
}
