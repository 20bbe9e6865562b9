//! The console's contract, route by route and status by status.

use crate::world::{ITEMS, Reply, World, item};
use axum::body::Body;
use serde_json::{Value, json};

/// `{"detail": "…"}` and this status.
#[track_caller]
fn refused(reply: Reply, status: u16) -> String {
    let body = reply.with(status);
    body["detail"].as_str().unwrap_or_else(|| panic!("no sentence in {body}")).to_owned()
}

/// A list of places, and the place of the first.
#[track_caller]
fn invalid(reply: Reply) -> (Value, String) {
    let body = reply.with(422);
    let first = &body["detail"][0];
    assert!(first["msg"].is_string(), "{body}");
    (first["loc"].clone(), first["type"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn create_answers_201_with_the_whole_item_and_its_nulls() {
    let world = World::with_shop().await;

    let made = world.post(&format!("{ITEMS}/"), item("a")).await.with(201);

    let created = made["created_at"].as_str().unwrap();
    assert_eq!((created.len(), &created[19..20], &created[26..]), (27, ".", "Z"), "{created}");
    assert_eq!(
        made,
        json!({
            "work_item_id": "a",
            "session_name": "shop",
            "status": "pending",
            "index_name": "orders",
            "shard_number": 3,
            "document_count": 1_000,
            "total_size_bytes": 5_000_000_000_u64,
            "worker_id": null,
            "lease_expiry": null,
            "documents_processed": 0,
            "bytes_processed": 0,
            "last_progress_update": null,
            "created_at": created,
            "started_at": null,
            "completed_at": null,
            "state": "pending",
            "token": null,
        })
    );
}

#[tokio::test]
async fn create_refuses_what_exists_what_is_invalid_and_what_has_no_session() {
    let world = World::with_items(&["a"]).await;

    assert!(refused(world.post(ITEMS, item("a")).await, 409).contains("already exists"));
    let mut other = item("a");
    other["document_count"] = json!(7);
    refused(world.post(ITEMS, other).await, 409);
    assert_eq!(refused(world.post("/sessions/none/backfill/work-items", item("a")).await, 404), "Session not found.");
    assert_eq!(refused(world.post("/sessions/a%20b/backfill/work-items", item("a")).await, 404), "Session not found.");
    refused(world.post("/sessions/none/backfill/work-items", json!({})).await, 404);

    let mut lacking = item("b");
    lacking.as_object_mut().unwrap().remove("shard_number");
    assert_eq!(invalid(world.post(ITEMS, lacking).await), (json!(["body", "shard_number"]), "missing".into()));
    let mut negative = item("b");
    negative["document_count"] = json!(-1);
    let (place, sort) = invalid(world.post(ITEMS, negative).await);
    assert_eq!((place, sort.as_str()), (json!(["body", "document_count"]), "greater_than_equal"));
    let mut typed = item("b");
    typed["work_item_id"] = json!(7);
    assert_eq!(invalid(world.post(ITEMS, typed).await), (json!(["body", "work_item_id"]), "string_type".into()));
    let mut too_much = item("b");
    too_much["total_size_bytes"] = json!(u64::MAX);
    invalid(world.post(ITEMS, too_much).await);
    let (place, sort) = invalid(world.ask("POST", ITEMS, "{\"work_item_id\": ").await);
    assert_eq!((place[0].as_str(), sort.as_str()), (Some("body"), "json_invalid"));
    invalid(world.ask("POST", ITEMS, Body::empty()).await);
    invalid(world.post(ITEMS, json!([])).await);
}

#[tokio::test]
async fn batch_creates_what_it_can_and_answers_with_what_it_created() {
    let world = World::with_items(&["b"]).await;

    let made =
        world.post(&format!("{ITEMS}/batch"), json!([item("a"), item("b"), item("c"), item("a")])).await.with(201);

    let ids: Vec<_> = made.as_array().unwrap().iter().map(|item| item["work_item_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a", "c"]);
    assert_eq!(world.post(&format!("{ITEMS}/batch"), json!([])).await.with(201), json!([]));
    let (place, _) = invalid(world.post(&format!("{ITEMS}/batch"), json!([item("d"), { "work_item_id": "e" }])).await);
    assert_eq!((&place[0], &place[1]), (&json!("body"), &json!(1)));
    invalid(world.post(&format!("{ITEMS}/batch"), json!({})).await);
    refused(world.post("/sessions/none/backfill/work-items/batch", json!([])).await, 404);
    assert_eq!(world.get(ITEMS).await.with(200).as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn acquire_answers_the_oldest_item_under_300_seconds() {
    let world = World::with_items(&["z", "a"]).await;

    let acquired = world.acquire("worker-001").await;

    assert_eq!(acquired["lease_duration_seconds"], json!(300));
    let item = &acquired["work_item"];
    assert_eq!(
        (&item["work_item_id"], &item["status"], &item["worker_id"]),
        (&json!("z"), &json!("assigned"), &json!("worker-001"))
    );
    assert!(item["lease_expiry"].is_string() && item["started_at"].is_string(), "{item}");
    assert!(acquired["token"].is_u64() && acquired["token"] == item["token"]);
    assert_eq!(world.get(&format!("{ITEMS}/z")).await.with(200), *item);
}

#[tokio::test]
async fn acquire_says_404_and_why_when_there_is_nothing_to_do() {
    let world = World::with_shop().await;
    let ask = || world.get("/sessions/shop/backfill/work-items/acquire?worker_id=w");

    assert!(refused(ask().await, 404).contains("there are no items"));
    world.post(ITEMS, item("a")).await.with(201);
    world.post(&format!("{}/pause", crate::world::V1), json!({})).await.with(200);
    assert!(refused(ask().await, 404).contains("paused"));
    world.post(&format!("{}/resume", crate::world::V1), json!({})).await.with(200);
    ask().await.with(200);
    assert!(refused(ask().await, 404).contains("1 items are held by others"));
    world.put(&format!("{ITEMS}/a/complete"), json!("w")).await.with(200);
    assert!(refused(ask().await, 404).contains("all items are done"));
    world.post(ITEMS, item("b")).await.with(201);
    let lease = world.lease("w").await;
    let failure = json!({ "token": lease["token"], "error": "no", "permanent": true });
    world.post(&format!("{}/items/b/fail", crate::world::V1), failure).await.with(200);
    let why = refused(ask().await, 404);
    assert!(why.contains("paused") || why.contains("failed"), "{why}");

    assert_eq!(
        invalid(world.get(&format!("{ITEMS}/acquire")).await),
        (json!(["query", "worker_id"]), "missing".into())
    );
    invalid(world.get(&format!("{ITEMS}/acquire?worker_id=")).await);
    invalid(world.get(&format!("{ITEMS}/acquire?worker_id=w&lease_seconds=soon")).await);
    assert_eq!(
        refused(world.get("/sessions/none/backfill/work-items/acquire?worker_id=w").await, 404),
        "Session not found."
    );
}

#[tokio::test]
async fn a_wished_lease_is_an_addition() {
    let world = World::with_items(&["a"]).await;
    let acquired = world.get(&format!("{ITEMS}/acquire?worker_id=w&lease_seconds=20")).await.with(200);
    assert_eq!(acquired["lease_duration_seconds"], json!(20));
}

#[tokio::test]
async fn renewing_replaces_progress_and_extends_the_lease() {
    let world = World::with_items(&["a"]).await;
    let first = world.acquire("w").await;
    let path = format!("{ITEMS}/a/lease");
    world.pass(100);

    let body =
        json!({ "worker_id": "w", "progress": { "documents_processed": 500, "bytes_processed": 5_000_000_000_u64 } });
    let renewed = world.put(&path, body).await.with(200);

    assert_eq!(
        (&renewed["documents_processed"], &renewed["bytes_processed"]),
        (&json!(500), &json!(5_000_000_000_u64))
    );
    assert!(renewed["lease_expiry"].as_str() > first["work_item"]["lease_expiry"].as_str());
    assert!(renewed["last_progress_update"].is_string());
    let body = json!({ "worker_id": "w", "progress": { "documents_processed": 400, "bytes_processed": 4 } });
    assert_eq!(world.put(&path, body).await.with(200)["documents_processed"], json!(400));
    world.put(&path, json!({ "worker_id": "w" })).await.with(200);
    world.put(&path, json!({ "worker_id": "w", "progress": null, "token": first["token"] })).await.with(200);
}

#[tokio::test]
async fn renewing_is_refused_to_others_404_409_410_422() {
    let world = World::with_items(&["a", "b"]).await;
    world.acquire("w").await;
    let path = format!("{ITEMS}/a/lease");

    refused(world.put(&path, json!({ "worker_id": "v" })).await, 409);
    refused(world.put(&format!("{ITEMS}/b/lease"), json!({ "worker_id": "w" })).await, 409);
    refused(world.put(&format!("{ITEMS}/none/lease"), json!({ "worker_id": "w" })).await, 404);
    refused(world.put("/sessions/none/backfill/work-items/a/lease", json!({ "worker_id": "w" })).await, 404);
    assert_eq!(invalid(world.put(&path, json!({})).await), (json!(["body", "worker_id"]), "missing".into()));
    let body = json!({ "worker_id": "w", "progress": { "documents_processed": -1, "bytes_processed": 0 } });
    let (place, sort) = invalid(world.put(&path, body).await);
    assert_eq!((place, sort.as_str()), (json!(["body", "progress", "documents_processed"]), "greater_than_equal"));
    let body = json!({ "worker_id": "w", "progress": { "documents_processed": 1 } });
    assert_eq!(invalid(world.put(&path, body).await).0, json!(["body", "progress", "bytes_processed"]));

    world.pass(301);
    refused(world.put(&path, json!({ "worker_id": "v" })).await, 409);
    refused(world.put(&path, json!({ "worker_id": "w" })).await, 410);
}

#[tokio::test]
async fn the_last_holder_gets_410_until_somebody_else_holds_the_item_then_409() {
    let world = World::with_items(&["a"]).await;
    world.acquire("w").await;
    world.pass(301);
    let ask = || world.put("/sessions/shop/backfill/work-items/a/complete", json!("w"));

    refused(ask().await, 410);
    world.post(&format!("{ITEMS}/cleanup-expired"), json!({})).await.with(200);
    refused(ask().await, 410);
    world.acquire("v").await;
    refused(ask().await, 409);
    world.put(&format!("{ITEMS}/a/complete"), json!("v")).await.with(200);
    refused(ask().await, 409);
}

#[tokio::test]
async fn complete_takes_a_bare_string_and_an_object() {
    let world = World::with_items(&["a", "b", "c"]).await;
    let (_, second, _) = (world.acquire("w").await, world.acquire("w").await, world.acquire("w").await);

    let done = world.ask("PUT", &format!("{ITEMS}/a/complete"), "\"w\"").await.with(200);
    assert_eq!(
        (&done["status"], &done["worker_id"], &done["lease_expiry"]),
        (&json!("completed"), &json!("w"), &Value::Null)
    );
    assert!(done["completed_at"].is_string());
    let body = json!({ "worker_id": "w", "token": second["token"] });
    assert_eq!(world.put(&format!("{ITEMS}/b/complete"), body).await.with(200)["status"], json!("completed"));
    refused(world.put(&format!("{ITEMS}/c/complete"), json!({ "worker_id": "w", "token": 1 })).await, 409);
    refused(world.put(&format!("{ITEMS}/c/complete"), json!("v")).await, 409);
    refused(world.put(&format!("{ITEMS}/none/complete"), json!("w")).await, 404);
    refused(world.put("/sessions/none/backfill/work-items/a/complete", json!("w")).await, 404);
    for body in [json!(7), json!({}), json!([]), json!(null), json!({ "worker_id": 1 }), json!("")] {
        invalid(world.put(&format!("{ITEMS}/c/complete"), body).await);
    }
    world.pass(301);
    refused(world.put(&format!("{ITEMS}/c/complete"), json!("w")).await, 410);
}

#[tokio::test]
async fn status_counts_and_an_empty_session_is_all_zeros() {
    let world = World::with_shop().await;
    let path = format!("{ITEMS}/status");
    let empty = world.get(&path).await.with(200);
    assert_eq!(
        empty,
        json!({
            "session_name": "shop",
            "total_work_items": 0,
            "pending_work_items": 0,
            "assigned_work_items": 0,
            "completed_work_items": 0,
            "total_documents": 0,
            "total_documents_processed": 0,
            "total_size_bytes": 0,
            "total_bytes_processed": 0,
            "started_at": null,
            "last_update": empty["last_update"],
            "state": "running",
        })
    );
    for id in ["a", "b", "c"] {
        world.post(ITEMS, item(id)).await.with(201);
    }
    world.acquire("w").await;
    let second = world.acquire("w").await;
    world.put(&format!("{ITEMS}/a/complete"), json!("w")).await.with(200);

    let status = world.get(&format!("{path}/")).await.with(200);

    let counts = ["total", "pending", "assigned", "completed"].map(|name| status[format!("{name}_work_items")].clone());
    assert_eq!(counts, [json!(3), json!(1), json!(1), json!(1)]);
    assert_eq!((&status["total_documents"], &status["total_documents_processed"]), (&json!(3_000), &json!(1_000)));
    assert!(status["started_at"].as_str() <= second["work_item"]["started_at"].as_str());
    world.pass(301);
    assert_eq!(world.get(&path).await.with(200)["pending_work_items"], json!(2), "an expired lease counts as pending");
    refused(world.get("/sessions/none/backfill/work-items/status").await, 404);
}

#[tokio::test]
async fn list_and_get_show_items_in_the_order_of_their_making() {
    let world = World::with_items(&["c", "a", "b"]).await;

    for path in [ITEMS.to_owned(), format!("{ITEMS}/")] {
        let items = world.get(&path).await.with(200);
        let ids: Vec<_> = items.as_array().unwrap().iter().map(|item| item["work_item_id"].clone()).collect();
        assert_eq!(ids, [json!("c"), json!("a"), json!("b")]);
        assert_eq!(world.get(&format!("{ITEMS}/a")).await.with(200), items[1]);
    }
    refused(world.get(&format!("{ITEMS}/none")).await, 404);
    refused(world.get("/sessions/none/backfill/work-items").await, 404);
    refused(world.get("/sessions/none/backfill/work-items/a").await, 404);
}

#[tokio::test]
async fn a_list_of_many_slices_is_whole_and_in_order() {
    let world = World::with_shop().await;
    for part in 0..3 {
        let items: Vec<_> = (0..1_000).map(|number| item(&format!("i{}", part * 1_000 + number))).collect();
        world.post(&format!("{ITEMS}/batch"), json!(items)).await.with(201);
    }
    let items = world.get(ITEMS).await.with(200);
    let ids: Vec<_> = items.as_array().unwrap().iter().map(|item| item["work_item_id"].as_str().unwrap()).collect();
    assert_eq!(ids, (0..3_000).map(|number| format!("i{number}")).collect::<Vec<_>>());
    world.delete(ITEMS).await.with(200);
    assert_eq!(world.get(ITEMS).await.with(200), json!([]));
}

#[tokio::test]
async fn delete_and_cleanup_say_how_many() {
    let world = World::with_items(&["a", "b"]).await;
    world.acquire("w").await;
    let sweep = format!("{ITEMS}/cleanup-expired");
    assert_eq!(world.post(&sweep, json!({})).await.with(200), json!({ "detail": "Cleaned up 0 expired leases" }));
    world.pass(301);
    assert_eq!(
        world.ask("POST", &sweep, Body::empty()).await.with(200),
        json!({ "detail": "Cleaned up 1 expired leases" })
    );
    assert_eq!(world.post(&sweep, json!({})).await.with(200), json!({ "detail": "Cleaned up 0 expired leases" }));

    assert_eq!(world.delete(ITEMS).await.with(200), json!({ "detail": "Deleted 2 work items" }));
    assert_eq!(world.delete(&format!("{ITEMS}/")).await.with(200), json!({ "detail": "Deleted 0 work items" }));
    refused(world.delete("/sessions/none/backfill/work-items/").await, 404);
    refused(world.post("/sessions/none/backfill/work-items/cleanup-expired", json!({})).await, 404);
}

#[tokio::test]
async fn other_states_show_as_the_contracts_three_with_their_own_beside() {
    let world = World::with_shop().await;
    let v1 = |id: &str, more: Value| {
        let mut spec = json!({ "id": id });
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec
    };
    let items = json!({ "items": [
        v1("failed", json!({ "priority": 9 })),
        v1("blocked", json!({ "waits_for": [{ "item": "failed" }] })),
        v1("revoked", json!({ "priority": 8 })),
        v1("cancelled", json!({})),
        v1("waiting", json!({ "waits_for": [{ "item": "revoked" }] })),
        v1("delayed", json!({ "not_before": "2999-01-01T00:00:00Z" })),
    ] });
    world.post(&format!("{}/items:batch", crate::world::V1), items).await.with(200);
    world.post(&format!("{}/items/cancelled/cancel", crate::world::V1), json!({})).await.with(200);
    let lease = world.lease("w").await;
    world.lease("w").await;
    let failure = json!({ "token": lease["token"], "error": "no", "permanent": true });
    world.post(&format!("{}/items/failed/fail", crate::world::V1), failure).await.with(200);
    world.post(&format!("{}/pause", crate::world::V1), json!({ "immediate": true })).await.with(200);

    let list = world.get(ITEMS).await.with(200);

    let shown: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|item| ["work_item_id", "status", "state"].map(|field| item[field].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(
        shown,
        [
            ["failed", "pending", "failed"],
            ["blocked", "pending", "blocked"],
            ["revoked", "assigned", "revoked"],
            ["cancelled", "completed", "cancelled"],
            ["waiting", "pending", "waiting"],
            ["delayed", "pending", "pending"],
        ]
    );
    let status = world.get(&format!("{ITEMS}/status")).await.with(200);
    let counts = ["total", "pending", "assigned", "completed"].map(|name| status[format!("{name}_work_items")].clone());
    assert_eq!(counts, [json!(6), json!(4), json!(1), json!(1)]);
}

#[tokio::test]
async fn what_the_contract_does_not_know_is_404_or_405_in_its_shape() {
    let world = World::with_items(&["a"]).await;
    for (method, path, status) in [
        ("PUT", ITEMS.to_owned(), 405),
        ("POST", format!("{ITEMS}/acquire"), 405),
        ("HEAD", format!("{ITEMS}/acquire"), 405),
        ("DELETE", format!("{ITEMS}/a"), 405),
        ("POST", format!("{ITEMS}/a/successors"), 405),
        ("PUT", format!("{ITEMS}/a/release"), 404),
        ("GET", "/sessions/shop/other".to_owned(), 404),
        ("PATCH", "/sessions/shop".to_owned(), 405),
        ("DELETE", "/sessions".to_owned(), 405),
    ] {
        let reply = world.ask(method, &path, Body::empty()).await;
        assert_eq!(reply.status.as_u16(), status, "{method} {path}: {}", reply.text());
        assert!(method == "HEAD" || reply.json()["detail"].is_string(), "{method} {path}: {}", reply.text());
    }
    assert_eq!(world.get(&format!("{ITEMS}/a")).await.with(200)["status"], json!("pending"), "HEAD took no lease");
}
